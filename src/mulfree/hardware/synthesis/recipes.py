"""Ways to synthesize: architectures of multipliers and adders, and scripts of ABC. One alone misleads by two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

_AREA: Final = "+strash;ifraig;scorr;dc2;dc2;strash;amap,-m;topo"
_BALANCED: Final = "+strash;ifraig;scorr;dc2;dch,-f;map,-B,0.9;topo"
_DELAY: Final = "+strash;&get,-n;&syn3;&syn3;&put;dch,-f;map,-B,0.9;topo"
_SIZING: Final = ";buffer,-c;upsize;dnsize"
_TIMES: Final = ";stime,-p"


@dataclass(frozen=True)
class Recipe:
    """One way.

    Attributes:
        name: of the recipe.
        script: of ABC, spaces as commas.
        options: of Yosys' ``synth``: the multiplier's partial products (Booth's or one a bit), carries of adders
            (Kogge and Stone's or Brent and Kung's).
        sized: whether gates of a library get buffers and other sizes for speed.
    """

    name: str
    script: str
    options: str = ""
    sized: bool = True

    @property
    def front(self) -> str:
        return f"synth -flatten -noabc {self.options}".rstrip()

    @property
    def timed(self) -> str:
        """The script for cells of a library, with a print of the delay."""
        return self.script + (_SIZING if self.sized else "") + _TIMES


_FAST_CARRIES: Final = "-extra-map +/choices/kogge-stone.v"
RECIPES: Final = (
    Recipe("area, array", _AREA, sized=False),
    Recipe("area, Booth", _AREA, "-booth", sized=False),
    Recipe("balanced, Booth", _BALANCED, "-booth"),
    Recipe("delay, array", _DELAY, _FAST_CARRIES),
    Recipe("delay, Booth", _DELAY, f"-booth {_FAST_CARRIES}"),
)


@dataclass(frozen=True)
class Device:
    """A family of FPGAs.

    Attributes:
        command: of Yosys.
        without: its option to use no multiplier blocks.
        using: its option to use them.
        luts: cell -> look-up tables that it takes.
        blocks: cells that multiply.
        registers: how names of registers begin.
    """

    label: str
    command: str
    without: str
    using: str
    luts: Mapping[str, int]
    blocks: tuple[str, ...]
    registers: str


Family = Literal["ecp5", "ice40", "xilinx"]
FAMILIES: Final[Mapping[Family, Device]] = {
    "ecp5": Device(
        "ECP5", "synth_ecp5", "-nodsp", "", {"LUT4": 1, "CCU2C": 2}, ("MULT18X18D",), "TRELLIS_FF"
    ),
    "ice40": Device("iCE40", "synth_ice40", "", "-dsp", {"SB_LUT4": 1}, ("SB_MAC16",), "SB_DFF"),
    "xilinx": Device(
        "Xilinx 7", "synth_xilinx -family xc7 -flatten -noiopad", "-nodsp", "",
        {**{f"LUT{inputs}": 1 for inputs in range(1, 7)}, "INV": 1}, ("DSP48E1",), "FD",
    ),
}  # fmt: skip
"""A carry cell of ECP5 holds two look-up tables; those of iCE40 and Xilinx stand beside them."""
