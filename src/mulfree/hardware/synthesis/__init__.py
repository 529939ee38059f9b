"""What the arithmetic units cost once synthesized, beside the IEEE multiplier in the same flow: ``docs/hardware.md``.

Needs Yosys (``pip install 'mulfree[hdl]'``), and nextpnr for clock rates (``mulfree[fpga]``).
"""

from mulfree.hardware.synthesis.measure import FORMATS, UNITS, Plan, jobs, measure
from mulfree.hardware.synthesis.points import Point, Results, minimum, pareto

__all__ = ["FORMATS", "UNITS", "Plan", "Point", "Results", "jobs", "measure", "minimum", "pareto"]
