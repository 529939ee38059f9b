"""Proof that nothing multiplies: PyTorch's operations (``audit``), the kernels' instructions (``instructions``)."""

from mulfree.audit.context import Audit, audit
from mulfree.audit.report import Finding

__all__ = ["Audit", "Finding", "audit"]
