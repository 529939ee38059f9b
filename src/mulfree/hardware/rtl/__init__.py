"""The arithmetic units themselves, as Amaranth modules of any width: ``docs/rtl.md``.

Importing this package imports no Amaranth; building a unit does (``pip install 'mulfree[hdl]'``).
"""

from mulfree.hardware.rtl.catalog import DEFAULTS, UNITS, Unit, unit
from mulfree.hardware.rtl.output import rtlil, verilog
from mulfree.hardware.rtl.proof import Proof, prove
from mulfree.hardware.rtl.vectors import Vectors, golden_vectors
from mulfree.hardware.rtl.words import BFLOAT16, FLOAT16, FLOAT32, NAMED, Format

__all__ = [
    "BFLOAT16",
    "DEFAULTS",
    "FLOAT16",
    "FLOAT32",
    "NAMED",
    "UNITS",
    "Format",
    "Proof",
    "Unit",
    "Vectors",
    "golden_vectors",
    "prove",
    "rtlil",
    "unit",
    "verilog",
]
