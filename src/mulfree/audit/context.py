"""The audit at the level of PyTorch's operations."""

from __future__ import annotations

import sys
import threading
from collections import Counter, defaultdict
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, _pop_mode, _push_mode

from mulfree.audit import report
from mulfree.audit.counting import scalar_multiplications
from mulfree.audit.formulas import work_of
from mulfree.audit.origins import Origin, Origins
from mulfree.audit.outside import Outside
from mulfree.audit.page import as_html
from mulfree.audit.report import Finding, ModuleWork, Note, Phase, Report
from mulfree.audit.sources import called_by_library, within_compiled
from mulfree.audit.threads import Threads
from mulfree.audit.work import Work
from mulfree.catalog import Kind, bound, classify, constants, reason

_LISTED = (Kind.MULTIPLYING, Kind.UNKNOWN, Kind.INTEGER)


class Audit(TorchDispatchMode):
    """Watches every operation that PyTorch runs inside the ``with`` block and lists those that multiply.

    Forward passes, losses, backward passes, clipping, optimizer steps and collectives are all covered, as are the
    code of custom autograd functions and threads that start within the block. Operations of this library count as
    piecewise affine; their kernels are proven free of multiplications separately, by their machine instructions
    (``audit.instructions``). Functions given to ``torch.compile`` run eagerly, and are seen. What is not seen, such
    as arithmetic on Python numbers and NumPy's, is in docs/audit.md; where values leave torch, a note says so.

    Args:
        model: modules are named as in its ``named_modules``; without it, as in the outermost module that runs.

    Example:
        >>> with mulfree.audit(model) as audit:
        ...     loss_fn(model(x), y).backward()
        ...     optimizer.step()
        >>> assert audit.multiplications == 0, str(audit)
    """

    supports_higher_order_operators = True

    def __init__(self, model: nn.Module | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if model is not None and not isinstance(model, nn.Module):
            raise TypeError(f"audit: model must be a torch.nn.Module or None, got {type(model).__name__}")
        self._origins = Origins(model)
        self._outside = Outside(self._on_leaving, self._on_compiled)
        self._threads = Threads(self, self._origins.callback)
        self._watching = False
        self._lock = threading.Lock()
        self._calls: Counter[tuple[str, Kind, Origin, str | None]] = Counter()
        self._multiplications: Counter[tuple[str, Kind, Origin, str | None]] = Counter()
        self._pa_calls: Counter[str] = Counter()
        self._uncounted: Counter[str] = Counter()
        self._work: defaultdict[tuple[str, Phase], Work] = defaultdict(Work)
        self._kinds: Counter[Kind] = Counter()
        self._notes: Counter[tuple[str, str]] = Counter()
        self._eager: dict[str, bool] = {}  # is this source line below a compiled function?

    def __enter__(self) -> Audit:
        if self._watching:
            raise RuntimeError("audit: this audit is watching already; make another one for a block within its block")
        self._outside.start()
        self._origins.start()
        self._threads.start()
        self._watching = True
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        self._watching = False
        self._threads.stop()
        self._origins.stop()
        self._outside.stop()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not self._watching:  # a thread that outlived the block
            return func(*args, **kwargs)
        if not isinstance(func, torch._ops.OpOverload):  # a higher-order operator
            self._record(Kind.UNKNOWN, str(func), 1)
            return func(*args, **kwargs)
        # Composite operations arrive whole in inference mode; their parts are what counts.
        if func.namespace != "mulfree" and torch.is_inference_mode_enabled():
            _push_mode(self)
            try:
                parts = func.decompose(*args, **kwargs)
            finally:
                _pop_mode()
            if parts is not NotImplemented:
                return parts
        result = func(*args, **kwargs)
        kind = classify(func, args, kwargs, result)
        if kind is Kind.PIECEWISE_AFFINE:
            self._record_work(func, args, kwargs, result)
        else:
            name = f"{func._schema.name}.{func._overloadname}"
            self._record(kind, name, scalar_multiplications(func, args, kwargs, result) if kind in _LISTED else 0)
            if func is torch.ops.aten._local_scalar_dense.default and args[0].is_floating_point():
                self._on_leaving("Tensor.item")
        return result

    def _record(self, kind: Kind, name: str, multiplications: int) -> None:
        origin = self._origin()
        if kind is Kind.MULTIPLYING and multiplications == 0:
            kind = Kind.FREE  # an empty tensor
        why = reason() if kind is Kind.MULTIPLYING else None
        with self._lock:
            if why is None:
                self._kinds[kind] += 1
            if kind in _LISTED:
                key = (name, kind, origin, why)
                self._calls[key] += 1
                self._multiplications[key] += multiplications

    def _record_work(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        origin = self._origin()
        name: str = func._schema.name
        work = work_of(name.partition("::")[2], bound(func, args, kwargs), result)
        with self._lock:
            self._kinds[Kind.PIECEWISE_AFFINE] += 1
            self._pa_calls[f"{name}.{func._overloadname}"] += 1
            if work is None:
                self._uncounted[name] += 1
            elif work != Work():
                self._work[origin.module, origin.phase] += work

    def _origin(self) -> Origin:
        frame = sys._getframe(2)
        origin = self._origins.of_call(frame)
        if origin.source not in self._eager:
            self._eager[origin.source] = within_compiled(frame)
        if self._eager[origin.source]:
            self._note("compiled code ran eagerly, to be seen", origin.source)
        return origin

    def _on_leaving(self, what: str) -> None:
        frame = sys._getframe(1)
        if self._watching and not called_by_library(frame):
            self._note(f"{what}: what happens there is not seen", self._origins.of_call(frame).source)

    def _on_compiled(self, name: str, inputs: tuple[Any, ...]) -> None:
        tensors = [x for x in inputs[0] if isinstance(x, Tensor)] if inputs else []
        self._record(Kind.UNKNOWN, f"inductor::{name}", max((x.numel() for x in tensors), default=1))

    def _note(self, text: str, source: str) -> None:
        with self._lock:
            self._notes[text, source] += 1

    def _listed(self, wanted: tuple[Kind, ...], constant: bool = False) -> tuple[Finding, ...]:
        found = [
            Finding(
                op,
                kind is not Kind.UNKNOWN,
                calls,
                self._multiplications[key],
                origin.module,
                origin.phase,
                origin.source,
                why or "",
            )
            for key, calls in self._calls.items()
            for op, kind, origin, why in [key]
            if kind in wanted and (why is not None) == constant
        ]
        return tuple(sorted(found, key=lambda finding: -finding.multiplications))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Multiplying and unknown operations by place, most multiplications first; empty if there are none."""
        return self._listed((Kind.MULTIPLYING, Kind.UNKNOWN))

    @property
    def unknown(self) -> tuple[Finding, ...]:
        """The findings about operations that the audit does not know."""
        return tuple(finding for finding in self.findings if not finding.known)

    @property
    def constants(self) -> tuple[Finding, ...]:
        """Multiplications that built constants of the architecture (``audit.constants``); no findings."""
        return self._listed((Kind.MULTIPLYING,), constant=True)

    @property
    def multiplications(self) -> int:
        """Scalar multiplications found, unknown operations included; 0 proves the block free of them."""
        return sum(finding.multiplications for finding in self.findings)

    @property
    def pa_operations(self) -> int:
        """Calls of this library's operations."""
        return self._kinds[Kind.PIECEWISE_AFFINE]

    @property
    def report(self) -> Report:
        """Everything that was found, as data."""
        summary = {
            "multiplications": self.multiplications,
            "multiplying_calls": self._kinds[Kind.MULTIPLYING],
            "unknown_calls": self._kinds[Kind.UNKNOWN],
            "pa_operations": self.pa_operations,
            "integer_operations": self._kinds[Kind.INTEGER],
            "free_operations": self._kinds[Kind.FREE],
            "constant_multiplications": sum(finding.multiplications for finding in self.constants),
        }
        return Report(
            summary=summary,
            findings=self.findings,
            constants=self.constants,
            integers=self._listed((Kind.INTEGER,)),
            notes=tuple(Note(text, source, calls) for (text, source), calls in self._notes.items()),
            work=tuple(ModuleWork(module, phase, work) for (module, phase), work in self._work.items()),
            uncounted=dict(self._uncounted),
            pa_calls=dict(self._pa_calls),
        )

    @property
    def work(self) -> Work:
        """Arithmetic of this library's operations; by module and phase in ``report``."""
        return self.report.total_work

    def __str__(self) -> str:
        return report.as_text(self.report)

    def to_text(self, details: bool = False) -> str:
        """Totals, findings, constants and notes; with ``details`` also integer arithmetic and the work by module."""
        return report.as_text(self.report, details)

    def to_json(self) -> str:
        """The whole report as a JSON object."""
        return report.as_json(self.report)

    def to_html(self) -> str:
        """The whole report as an HTML page without references to other files."""
        return as_html(self.report)


class _Auditing:
    """``mulfree.audit``: called, it makes an audit; ``mulfree.audit.constants`` marks what is reported apart."""

    constants = staticmethod(constants)

    def __call__(self, model: nn.Module | None = None) -> Audit:
        """A new audit, to be used as ``with mulfree.audit(model) as audit:``; see ``Audit``."""
        return Audit(model)


audit = _Auditing()
