"""Matrix products."""

from __future__ import annotations

import mulfree.functional as MF
from mulfree.replace.rules._rule import direct

direct("matmul", MF.matmul, "matmul", "mm", "bmm", "mv", "dot", closed=True)
