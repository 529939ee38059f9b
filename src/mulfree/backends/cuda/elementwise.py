"""Elementwise operations: one program each, on contiguous operands or on broadcast ones of any strides."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

import torch
from torch import Tensor

from mulfree.backends.cuda.kernels import Launch, Launcher, Program, divider, packed

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


@cache
def program(name: str) -> Program:
    """The program of the operation ``name``, a key of ``EXPRESSIONS``."""
    operands, expression = EXPRESSIONS[name]
    return Program("elementwise.cu", (("MF_OPERANDS", str(operands)), ("MF_EXPRESSION", expression)))


def blocks_for(count: int, launcher: Launcher, threads: int = THREADS) -> tuple[int, int, int]:
    """Enough blocks for ``count`` threads, but no more than keep the device busy."""
    return max(1, min(-(-count // threads), BLOCKS_PER_MULTIPROCESSOR * launcher.multiprocessors())), 1, 1


def elementwise(launcher: Launcher, name: str, operands: Sequence[Tensor], offset: int = 0) -> Tensor:
    """The operation ``name`` on broadcast operands; a new contiguous tensor."""
    shape = operands[0].shape
    if any(x.shape != shape for x in operands):
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
    walks = _walks(tuple(shape), tuple(x.expand(shape).stride() for x in operands))
    if walks is None:
        return elementwise(launcher, name, [x.expand(shape).contiguous() for x in operands], offset)
    fields = packed([out.data_ptr(), *_addresses(operands), count, offset]) + walks
    launcher.launch(Launch(program(name), "strided", blocks_for(count, launcher), THREADS, fields))
    return out


@lru_cache(4096)
def _walks(shape: tuple[int, ...], strides: tuple[tuple[int, ...], ...]) -> bytes | None:
    """The last fields of ``StridedArgs``; None if there are too many dimensions."""
    sizes, steps = _collapsed(shape, strides)
    if len(sizes) > _MAX_DIMS:
        return None
    filled = [0] * (_MAX_DIMS - len(sizes))
    fields = [len(sizes)]
    for size in [*reversed(sizes), *[1] * len(filled)]:
        fields += divider(size)
    for of_operand in [*steps, *[[0] * len(sizes)] * (3 - len(steps))]:
        fields += [*reversed(of_operand), *filled]
    return packed(fields)


def _addresses(operands: Sequence[Tensor]) -> list[int]:
    return [*(x.data_ptr() for x in operands), *[0] * (3 - len(operands))]


def _collapsed(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """Sizes and each operand's strides, neighbouring dimensions that all operands walk as one joined."""
    sizes: list[int] = []
    walks: list[list[int]] = [[] for _ in strides]
    for dim, size in enumerate(shape):
        if size == 1:
            continue
        steps = [of[dim] for of in strides]
        if sizes and all(walk[-1] == step * size for walk, step in zip(walks, steps, strict=True)):
            sizes[-1] *= size
            for walk, step in zip(walks, steps, strict=True):
                walk[-1] = step
            continue
        sizes.append(size)
        for walk, step in zip(walks, steps, strict=True):
            walk.append(step)
    return sizes, walks
