"""What the audit does not count of a step: torch's own float additions, and the operands and results of operations."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from types import TracebackType
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mulfree.audit.entries import PARAMETERS
from mulfree.audit.origins import Origins
from mulfree.audit.report import Phase
from mulfree.catalog.names import plain_name


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is read and written if each call reads each of its operands once and writes each result once.

    Attributes:
        numbers: floating-point numbers in the format of the arithmetic.
        fixed: bytes of all that is as large in every format: integers, and the parameters, gradients and states of
            optimizers, which are float32.
    """

    numbers: int = 0
    fixed: int = 0

    def bytes(self, width: int) -> int:
        """All of it, where a number of the format has ``width`` bytes."""
        return self.numbers * width + self.fixed

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.numbers + other.numbers, self.fixed + other.fixed)


def _of_result(args: tuple[Any, ...], result: Tensor) -> int:
    return result.numel()


def _of_first(args: tuple[Any, ...], result: Tensor) -> int:
    return int(args[0].numel())


ADDING: Final[Mapping[str, Callable[[tuple[Any, ...], Tensor], int]]] = {
    **dict.fromkeys(("add", "sub", "rsub"), _of_result),
    **dict.fromkeys(("sum", "cumsum", "embedding_dense_backward"), _of_first),
}
"""Float additions of torch's operations that remain where nothing multiplies, such as those of residual connections."""


class Tally(TorchDispatchMode):
    """Counts additions and traffic by phase inside the ``with`` block; to be entered outside of an audit.

    Attributes:
        additions: float additions of torch's own operations (``ADDING``).
        traffic: of this library's operations and of those additions.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.additions: defaultdict[Phase, int] = defaultdict(int)
        self.traffic: defaultdict[Phase, Traffic] = defaultdict(Traffic)
        self._origins = Origins()

    def __enter__(self) -> Tally:
        self._origins.start()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        self._origins.stop()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not isinstance(func, torch._ops.OpOverload):
            return result
        namespace, _, name = func._schema.name.partition("::")
        added = 0
        if namespace == "aten" and isinstance(result, Tensor) and result.is_floating_point():
            count = ADDING.get(plain_name(name))
            added = 0 if count is None else count(args, result)
        if added or namespace == "mulfree":
            phase = self._origins.of_call(sys._getframe()).phase
            self.additions[phase] += added
            self.traffic[phase] += traffic_of(func, args, result)
        return result


def traffic_of(func: torch._ops.OpOverload, args: tuple[Any, ...], result: object) -> Traffic:
    """Operands and results of a finished call; what it changes in place is both."""
    changed = [
        value
        for argument, value in zip(func._schema.arguments, args, strict=False)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    returned = [] if changed else [result]
    tensors = [leaf for leaf in tree_leaves([args, changed, returned]) if isinstance(leaf, Tensor)]
    if func._schema.name.partition("::")[2] in PARAMETERS:
        return Traffic(0, _bytes(tensors))
    floats = [tensor for tensor in tensors if tensor.is_floating_point()]
    others = [tensor for tensor in tensors if not tensor.is_floating_point()]
    return Traffic(sum(map(_stored, floats)), _bytes(others))


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(_stored(tensor) * tensor.element_size() for tensor in tensors)


def _stored(tensor: Tensor) -> int:
    """Elements in memory: an expanded dimension has one."""
    return prod(size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride or not size)
