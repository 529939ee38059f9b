"""Proof that nothing multiplies: PyTorch's operations (``audit``), the kernels' instructions (``instructions``)."""

from mulfree.audit.context import Audit, audit
from mulfree.audit.report import Finding, ModuleWork, Note, Report
from mulfree.audit.work import Work
from mulfree.catalog import constants

__all__ = ["Audit", "Finding", "ModuleWork", "Note", "Report", "Work", "audit", "constants"]
