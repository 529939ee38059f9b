"""What the arithmetic would cost in hardware: a rough model, from Appendix B and Table 4 of the paper."""

from mulfree.hardware.costs import Costs
from mulfree.hardware.count import Counted, Operations, inference, training_step
from mulfree.hardware.estimate import Energy, piecewise_energy, piecewise_unit, standard_energy, standard_unit
from mulfree.hardware.prices import FORMATS, MEMORIES, Format, Memory, Price
from mulfree.hardware.tally import Traffic

__all__ = [
    "FORMATS",
    "MEMORIES",
    "Costs",
    "Counted",
    "Energy",
    "Format",
    "Memory",
    "Operations",
    "Price",
    "Traffic",
    "inference",
    "piecewise_energy",
    "piecewise_unit",
    "standard_energy",
    "standard_unit",
    "training_step",
]
