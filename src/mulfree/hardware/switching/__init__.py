"""Energy of a mapped unit by how often its nets change on given operands: ``docs/hardware.md``."""

from mulfree.hardware.switching.cells import Generic, Library, Technology
from mulfree.hardware.switching.liberty import LibertyError
from mulfree.hardware.switching.netlist import Netlist
from mulfree.hardware.switching.operands import Stream
from mulfree.hardware.switching.waveforms import Switching, switching

__all__ = ["Generic", "LibertyError", "Library", "Netlist", "Stream", "Switching", "Technology", "switching"]
