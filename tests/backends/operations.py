"""The elementwise methods of the contract beside the law, as data for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from mulfree.backends.contract import Backend
from mulfree.numerics import rows, scalar


@dataclass(frozen=True)
class Operation:
    """``run(backend, *tensors)`` must have the bits of ``law(*words)``."""

    name: str
    operands: int
    run: Callable[..., Tensor]
    law: Callable[..., int]
    primitive: bool = True
    """False for those that take long on a number, in the law or in the reference: tested on fewer."""

    def __str__(self) -> str:
        return self.name


def _exp2_grad(grad: int, x: int, exact: bool) -> int:
    return (scalar.exp2_grad if exact else scalar.exp2_grad_approximate)(grad, x)


def _log2_grad(grad: int, x: int, exact: bool) -> int:
    return (scalar.log2_grad if exact else scalar.log2_grad_approximate)(grad, x)


_UNARY: dict[str, tuple[Callable[[int], int], Callable[[int, int, bool], int]]] = {
    "exp2": (scalar.exp2, _exp2_grad),
    "log2": (scalar.log2, _log2_grad),
    "exp": (rows.exp, rows.exp_grad),
    "log": (rows.log, rows.log_grad),
    "sqrt": (rows.sqrt, rows.sqrt_grad),
    "gelu": (rows.gelu, rows.gelu_grad),
    "sigmoid": (rows.sigmoid, rows.sigmoid_grad),
    "silu": (rows.silu, rows.silu_grad),
    "tanh": (rows.tanh, rows.tanh_grad),
}

OFFSETS = (scalar.compensation_offset(scalar.bits(1.0625)), scalar.compensation_offset(scalar.bits(0.7)))


def _offset_operations(offset: int) -> list[Operation]:
    suffix = f"[{offset}]" if offset else ""
    return [
        Operation(f"mul{suffix}", 2, lambda b, x, y: b.mul(x, y, offset), partial(scalar.mul, offset=offset)),
        Operation(
            f"mul_grad{suffix}",
            3,
            lambda b, g, x, y: b.mul_grad(g, x, y, offset),
            partial(scalar.mul_grad, offset=offset),
        ),
    ]


def _unary_operations(name: str) -> list[Operation]:
    forward, backward = _UNARY[name]
    primitive = name in ("exp2", "log2")
    found = [Operation(name, 1, lambda b, x: b.unary(name, x), forward, primitive)]
    for exact in (True, False):
        label = f"{name}_grad[{'exact' if exact else 'approximate'}]"
        run = partial(_run_unary_grad, name, exact)
        found.append(Operation(label, 2, run, partial(backward, exact=exact), primitive))
    return found


def _run_unary_grad(name: str, exact: bool, backend: Backend, grad: Tensor, x: Tensor) -> Tensor:
    return backend.unary_grad(name, grad, x, exact)


def _sum_of_two(backend: Backend, x: Tensor, y: Tensor) -> Tensor:
    return backend.sum(torch.stack([x, y]), (0,))


def _law_of_sum_of_two(x: int, y: int) -> int:
    """Two terms, whatever their lanes, are added once; a zero sum is +0."""
    result = scalar.add(x, y)
    return 0 if scalar.is_zero(result) else result


OPERATIONS = [
    *(operation for offset in (0, *OFFSETS) for operation in _offset_operations(offset)),
    Operation("div", 2, lambda b, x, y: b.div(x, y), scalar.div),
    Operation("div_grad_numerator", 3, lambda b, *x: b.div_grad_numerator(*x), scalar.div_grad_numerator),
    Operation(
        "div_grad_denominator[exact]", 3, lambda b, *x: b.div_grad_denominator(*x, True), scalar.div_grad_denominator
    ),
    Operation(
        "div_grad_denominator[approximate]",
        3,
        lambda b, *x: b.div_grad_denominator(*x, False),
        scalar.div_grad_denominator_approximate,
    ),
    Operation("sum of two", 2, _sum_of_two, _law_of_sum_of_two, primitive=False),
    *(operation for name in Backend.UNARY for operation in _unary_operations(name)),
]
