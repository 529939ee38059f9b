"""Elementwise operations: one program each, on contiguous operands or on broadcast ones of any strides."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mulfree.backends.cuda.kernels import Launch, Launcher, Program, divider

THREADS = 256
BLOCKS_PER_MULTIPROCESSOR = 16
_MAX_DIMS = 8
_ALIGNMENT = 16

_GRADS = ("exp2", "log2")
_COMPOSED = ("exp", "log", "sqrt")
_FAST = ("gelu", "sigmoid", "silu", "tanh")


def _expressions() -> dict[str, tuple[int, str]]:
    """Number of operands and expression in a, b, c of every operation."""
    found = {
        "mul": (2, "mul(a, b, offset)"),
        "div": (2, "div(a, b)"),
        "mul_grad": (3, "mul_grad(a, b, c, offset)"),
        "div_grad_numerator": (3, "div_grad_numerator(a, b, c)"),
        "div_grad_denominator": (3, "div_grad_denominator(a, b, c)"),
        "div_grad_denominator_approximate": (3, "div_grad_denominator_approximate(a, b, c)"),
    }
    for name in _GRADS:
        found[name] = (1, f"{name}(a)")
        found[f"{name}_grad"] = (2, f"{name}_grad(a, b)")
        found[f"{name}_grad_approximate"] = (2, f"{name}_grad_approximate(a, b)")
    for names, suffix in ((_COMPOSED, ""), (_FAST, "_fast")):
        for name in names:
            found[name] = (1, f"{name}{suffix}(a)")
            found[f"{name}_grad"] = (2, f"d_{name}{suffix}<true>(a, b)")
            found[f"{name}_grad_approximate"] = (2, f"d_{name}{suffix}<false>(a, b)")
    return found


EXPRESSIONS = _expressions()


def program(name: str) -> Program:
    """The program of the operation ``name``, a key of ``EXPRESSIONS``."""
    operands, expression = EXPRESSIONS[name]
    return Program("elementwise.cu", (("MF_OPERANDS", str(operands)), ("MF_EXPRESSION", expression)))


def blocks_for(count: int, launcher: Launcher, threads: int = THREADS) -> tuple[int, int, int]:
    """Enough blocks for ``count`` threads, but no more than keep the device busy."""
    return max(1, min(-(-count // threads), BLOCKS_PER_MULTIPROCESSOR * launcher.multiprocessors())), 1, 1


def elementwise(launcher: Launcher, name: str, operands: Sequence[Tensor], offset: int = 0) -> Tensor:
    """The operation ``name`` on broadcast operands; a new contiguous tensor."""
    shape = torch.broadcast_shapes(*(x.shape for x in operands))
    out = torch.empty(shape, dtype=torch.float32, device=operands[0].device)
    count = out.numel()
    if count == 0:
        return out
    alike = all(x.shape == shape and x.is_contiguous() and x.data_ptr() % _ALIGNMENT == 0 for x in operands)
    if alike:
        arguments = [out.data_ptr(), *_addresses(operands), count, offset]
        launcher.launch(Launch(program(name), "flat", blocks_for(-(-count // 4), launcher), THREADS, arguments))
        return out
    sizes, strides = _collapsed(shape, [x.expand(shape) for x in operands])
    if len(sizes) > _MAX_DIMS:
        return elementwise(launcher, name, [x.expand(shape).contiguous() for x in operands], offset)
    filled = _MAX_DIMS - len(sizes)
    arguments = [out.data_ptr(), *_addresses(operands), count, offset, len(sizes)]
    for size in [*reversed(sizes), *[1] * filled]:
        arguments += divider(size)
    for of_operand in [*strides, *[[0] * len(sizes)] * (3 - len(strides))]:
        arguments += [*reversed(of_operand), *[0] * filled]
    launcher.launch(Launch(program(name), "strided", blocks_for(count, launcher), THREADS, arguments))
    return out


def _addresses(operands: Sequence[Tensor]) -> list[int]:
    return [*(x.data_ptr() for x in operands), *[0] * (3 - len(operands))]


def _collapsed(shape: Sequence[int], operands: Sequence[Tensor]) -> tuple[list[int], list[list[int]]]:
    """Sizes and each operand's strides, neighbouring dimensions that all operands walk as one joined."""
    sizes: list[int] = []
    strides: list[list[int]] = [[] for _ in operands]
    for dim, size in enumerate(shape):
        if size == 1:
            continue
        steps = [x.stride(dim) for x in operands]
        if sizes and all(of[-1] == step * size for of, step in zip(strides, steps, strict=True)):
            sizes[-1] *= size
            for of, step in zip(strides, steps, strict=True):
                of[-1] = step
            continue
        sizes.append(size)
        for of, step in zip(strides, steps, strict=True):
            of.append(step)
    return sizes, strides
