"""The costs of a training: a counted step and inference, their energies, and all of it as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from mulfree.hardware.count import Counted, Operations
from mulfree.hardware.estimate import (
    Energy,
    Unit,
    piecewise_energy,
    piecewise_unit,
    standard_energy,
    standard_unit,
)
from mulfree.hardware.prices import ACCUMULATION, FORMATS, MEMORIES, MULTIPLICATION, PIECEWISE, Energies, Format, Memory


@dataclass(frozen=True)
class Costs:
    """What was counted, and how often it is done.

    Attributes:
        step: one training step.
        inference: one forward pass in evaluation mode.
        steps_per_epoch, total_steps: of the training; None where there is none, but a step alone.
        memory: where operands and results are.
        measured: energies of piecewise affine operations in place of Appendix B's.
    """

    step: Counted
    inference: Counted
    steps_per_epoch: int | None = None
    total_steps: int | None = None
    memory: Memory = "none"
    measured: Mapping[Format, Energies] = field(default_factory=dict)

    def energies(self, format: Format) -> dict[str, tuple[Energy, Energy]]:
        """Energies in ordinary and in piecewise affine arithmetic of a step, an epoch, the training (as many steps as
        they have, each like the counted one; neither without a training) and of an inference of one item."""
        step, item = self._both(self.step.total, format), self._both(self.inference.total, format)
        lengths = {"epoch": self.steps_per_epoch, "training": self.total_steps}
        return {
            "step": step,
            **{name: _times(step, count) for name, count in lengths.items() if count is not None},
            "inference": _times(item, 1 / max(self.inference.items, 1)),
        }

    def _both(self, operations: Operations, format: Format) -> tuple[Energy, Energy]:
        return (
            standard_energy(operations, format, self.memory),
            piecewise_energy(operations, format, self.memory, self.measured.get(format, Energies())),
        )

    def to_data(self) -> dict[str, Any]:
        """Counts, energies (pJ), units and prices (pJ, µm²), of names and numbers only."""
        return {
            "step": _counts(self.step),
            "inference": _counts(self.inference),
            "steps_per_epoch": self.steps_per_epoch,
            "total_steps": self.total_steps,
            "memory": {"level": self.memory, "pJ_per_64_bits": MEMORIES[self.memory]},
            "energy_pJ": {
                format: {name: _energies(*both) for name, both in self.energies(format).items()} for format in FORMATS
            },
            "measured_energy_pJ": {format: asdict(energies) for format, energies in self.measured.items()},
            "appendix_b_units": {
                unit: {
                    format: {
                        "standard": asdict(old := standard_unit(unit, format)),
                        "piecewise_affine": asdict(new := piecewise_unit(unit)),
                        "ratio": {"energy": new.energy / old.energy, "area": new.area / old.area},
                    }
                    for format in FORMATS
                }
                for unit in get_args(Unit)
            },
            "appendix_b_prices": {
                "piecewise_affine": asdict(PIECEWISE),
                "addition": asdict(ACCUMULATION),
                **{f"multiplication_{format}": asdict(MULTIPLICATION[format]) for format in FORMATS},
            },
        }


def _times(both: tuple[Energy, Energy], count: float) -> tuple[Energy, Energy]:
    return both[0].times(count), both[1].times(count)


def _counts(counted: Counted) -> dict[str, Any]:
    phases = {str(phase): asdict(operations) for phase, operations in counted.phases.items()}
    return {"items": counted.items, "phases": phases, "total": asdict(counted.total)}


def _energies(standard: Energy, piecewise: Energy) -> dict[str, Any]:
    return {
        "standard": {**asdict(standard), "total": standard.total},
        "piecewise_affine": {**asdict(piecewise), "total": piecewise.total},
        "ratio": piecewise.total / standard.total if standard.total else None,
    }
