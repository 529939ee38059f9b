"""The paper's tables, trained anew: which training stands in which place, the paper's figure beside ours."""

from mulfree.reproduction.execution import Job, Outcome, jobs, run_all
from mulfree.reproduction.paper import TableName, table2, table3, table5, table6
from mulfree.reproduction.results import measure
from mulfree.reproduction.table import Cell, Reported, Table

__all__ = [
    "Cell",
    "Job",
    "Outcome",
    "Reported",
    "Table",
    "TableName",
    "jobs",
    "measure",
    "run_all",
    "table2",
    "table3",
    "table5",
    "table6",
]
