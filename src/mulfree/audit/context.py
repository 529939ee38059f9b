"""The audit at the level of PyTorch's operations."""

from __future__ import annotations

from collections import Counter
from types import TracebackType
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mulfree.audit import report
from mulfree.audit.counting import scalar_multiplications
from mulfree.audit.origins import Origin, Origins
from mulfree.audit.report import Finding
from mulfree.catalog import Kind, classify


class Audit(TorchDispatchMode):
    """Watches every operation that PyTorch runs inside the ``with`` block and lists those that multiply.

    Forward passes, losses, backward passes, clipping, optimizer steps and schedules are all covered, as is
    the code of custom autograd functions. Operations of this library count as piecewise affine; their kernels
    are proven free of multiplications separately, by their machine instructions (``audit.instructions``).
    Arithmetic on Python numbers is not seen.

    Example:
        >>> with mulfree.audit() as audit:
        ...     loss_fn(model(x), y).backward()
        ...     optimizer.step()
        >>> assert audit.multiplications == 0, str(audit)
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._depth = 0  # entered again to see the parts of a composite operation
        self._origins = Origins()
        self._calls: Counter[tuple[str, bool, Origin]] = Counter()
        self._multiplications: Counter[tuple[str, bool, Origin]] = Counter()
        self._pa_calls: Counter[str] = Counter()
        self._kinds: Counter[Kind] = Counter()

    def __enter__(self) -> Audit:
        if self._depth == 0:
            self._origins.start()
        self._depth += 1
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        self._depth -= 1
        if self._depth == 0:
            self._origins.stop()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not isinstance(func, torch._ops.OpOverload):  # a higher-order operator
            self._record(Kind.UNKNOWN, str(func), 1)
            return func(*args, **kwargs)
        # Composite operations arrive whole in inference mode; their parts are what counts.
        if func.namespace != "mulfree" and torch.is_inference_mode_enabled():
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        result = func(*args, **kwargs)
        kind = classify(func, args, kwargs, result)
        name = f"{func._schema.name}.{func._overloadname}"
        multiplies = kind in (Kind.MULTIPLYING, Kind.UNKNOWN)
        self._record(kind, name, scalar_multiplications(func, args, kwargs, result) if multiplies else 0)
        return result

    def _record(self, kind: Kind, name: str, multiplications: int) -> None:
        origin = self._origins.of_call()
        if kind is Kind.MULTIPLYING and multiplications == 0:
            kind = Kind.FREE  # an empty tensor
        self._kinds[kind] += 1
        if kind is Kind.PIECEWISE_AFFINE:
            self._pa_calls[name] += 1
        elif kind in (Kind.MULTIPLYING, Kind.UNKNOWN):
            key = (name, kind is Kind.MULTIPLYING, origin)
            self._calls[key] += 1
            self._multiplications[key] += multiplications

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Multiplying and unknown operations by place, most multiplications first; empty if there are none."""
        found = [
            Finding(op, known, calls, self._multiplications[key], origin.module, origin.phase, origin.source)
            for key, calls in self._calls.items()
            for op, known, origin in [key]
        ]
        return tuple(sorted(found, key=lambda finding: -finding.multiplications))

    @property
    def unknown(self) -> tuple[Finding, ...]:
        """The findings about operations that the audit does not know."""
        return tuple(finding for finding in self.findings if not finding.known)

    @property
    def multiplications(self) -> int:
        """Scalar multiplications found, unknown operations included; 0 proves the block free of them."""
        return sum(self._multiplications.values())

    @property
    def pa_operations(self) -> int:
        """Calls of this library's operations."""
        return self._kinds[Kind.PIECEWISE_AFFINE]

    def _summary(self) -> dict[str, int]:
        return {
            "multiplications": self.multiplications,
            "multiplying_calls": self._kinds[Kind.MULTIPLYING],
            "unknown_calls": self._kinds[Kind.UNKNOWN],
            "pa_operations": self.pa_operations,
            "integer_operations": self._kinds[Kind.INTEGER],
            "free_operations": self._kinds[Kind.FREE],
        }

    def __str__(self) -> str:
        return report.table(self.findings, self._summary())

    def to_json(self) -> str:
        """Totals, calls of this library's operations by name, and the findings, as a JSON object."""
        return report.to_json(self.findings, self._summary(), self._pa_calls)


def audit() -> Audit:
    """A new audit, to be used as ``with mulfree.audit() as audit:``; see ``Audit``."""
    return Audit()
