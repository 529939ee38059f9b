"""The complete backend: the law in torch integer operations, on any device.

It is what every other backend is tested against and what runs where nothing faster was built. It is written to
be read beside ``docs/spec.md``: ``reference_words`` is the law on numbers, ``reference_dots`` the orders of
accumulation, ``reference_rows`` the composed operations, ``reference_convolution`` the patches of convolutions,
``reference_optimizers`` the optimizers' steps. Here tensors become words and words tensors.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.backends import reference_activations as activations
from mulfree.backends import reference_dots as dots
from mulfree.backends import reference_norms as norms
from mulfree.backends import reference_rows as rows
from mulfree.backends import reference_words as word
from mulfree.backends.reference_convolution import ReferenceConvolution
from mulfree.backends.reference_formats import shorten, widen
from mulfree.backends.reference_optimizers import ReferenceOptimizers
from mulfree.backends.reference_random import random_words
from mulfree.backends.reference_words import floats, words

_UNARY = {
    "exp2": word.exp2,
    "log2": word.log2,
    "exp": rows.exp,
    "log": rows.log,
    "sqrt": rows.sqrt,
    "gelu": activations.gelu,
    "sigmoid": activations.sigmoid,
    "silu": activations.silu,
    "tanh": activations.tanh,
}
_UNARY_GRAD = {
    "exp2": rows.exp2_grad,
    "log2": rows.log2_grad,
    "exp": rows.exp_grad,
    "log": rows.log_grad,
    "sqrt": rows.sqrt_grad,
    "gelu": activations.gelu_grad,
    "sigmoid": activations.sigmoid_grad,
    "silu": activations.silu_grad,
    "tanh": activations.tanh_grad,
}


class ReferenceBackend(ReferenceConvolution, ReferenceOptimizers):
    """Every kernel of the contract in torch integer operations and float additions."""

    name = "reference"

    def mul(self, a: Tensor, b: Tensor, offset: int = 0) -> Tensor:
        return floats(word.mul(words(a), words(b), offset))

    def mul_grad(self, grad: Tensor, a: Tensor, b: Tensor, offset: int = 0) -> Tensor:
        return floats(word.mul_grad(words(grad), words(a), words(b), offset))

    def div(self, a: Tensor, b: Tensor) -> Tensor:
        return floats(word.div(words(a), words(b)))

    def div_grad_numerator(self, grad: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return floats(word.div_grad_numerator(words(grad), words(a), words(b)))

    def div_grad_denominator(self, grad: Tensor, a: Tensor, b: Tensor, exact: bool) -> Tensor:
        return floats(rows.denominator_grad(exact, words(grad), words(a), words(b)))

    def unary(self, name: str, x: Tensor) -> Tensor:
        return floats(_UNARY[name](words(x)))

    def unary_grad(self, name: str, grad: Tensor, x: Tensor, exact: bool) -> Tensor:
        return floats(_UNARY_GRAD[name](exact, words(grad), words(x)))

    def dropout(self, x: Tensor, seed: Tensor, threshold: int, scale: int, first: int = 0) -> Tensor:
        kept = random_words(seed, x.numel(), first).view(x.shape) >= threshold
        scaled = word.mul(words(x), torch.tensor(scale, device=x.device))
        return floats(torch.where(kept, scaled, 0))

    def sum(self, x: Tensor, dims: tuple[int, ...], keepdim: bool = False) -> Tensor:
        kept = [dim for dim in range(x.dim()) if dim not in dims]
        outer = [x.shape[dim] for dim in kept]
        reduced = words(x).permute(*kept, *dims).flatten(start_dim=len(kept))
        result = floats(dots.total(reduced))
        shape = [1 if dim in dims else size for dim, size in enumerate(x.shape)] if keepdim else outer
        return result.view(shape)

    def matmul(
        self, a: Tensor, b: Tensor, bias: Tensor | None = None, mantissa_bits: int = 23, offset: int = 0
    ) -> Tensor:
        result = dots.matmul(word.narrow(widen(a), mantissa_bits), word.narrow(widen(b), mantissa_bits), offset)
        if bias is not None:
            result = word.add(result, widen(bias))
        return shorten(result, a.dtype)

    def matmul_grad(self, p: Tensor, q: Tensor, grad: Tensor, mantissa_bits: int = 23, offset: int = 0) -> Tensor:
        left, right, incoming = (word.narrow(widen(x), mantissa_bits) for x in (p, q, grad))
        return shorten(dots.matmul_grad(left, right, incoming, offset), p.dtype)

    def softmax(self, x: Tensor) -> tuple[Tensor, Tensor]:
        result, stats = rows.softmax(words(x))
        return floats(result), floats(stats)

    def softmax_grad(self, grad: Tensor, x: Tensor, stats: Tensor, exact: bool) -> Tensor:
        return floats(rows.softmax_grad(words(grad), words(x), words(stats), exact))

    def log_softmax(self, x: Tensor) -> tuple[Tensor, Tensor]:
        result, stats = rows.log_softmax(words(x))
        return floats(result), floats(stats)

    def log_softmax_grad(self, grad: Tensor, x: Tensor, stats: Tensor, exact: bool) -> Tensor:
        return floats(rows.log_softmax_grad(words(grad), words(x), words(stats), exact))

    def logsumexp(self, x: Tensor) -> tuple[Tensor, Tensor]:
        result, stats = rows.logsumexp(words(x))
        return floats(result[:, 0]), floats(stats)

    def logsumexp_grad(self, grad: Tensor, x: Tensor, stats: Tensor, exact: bool) -> Tensor:
        return floats(rows.logsumexp_grad(words(grad)[:, None], words(x), words(stats), exact))

    def count_targets(self, target: Tensor, classes: int, ignore_index: int) -> int:
        kept = target[target != ignore_index]
        return kept.numel() if bool(((kept >= 0) & (kept < classes)).all()) else -1

    def cross_entropy(
        self, x: Tensor, target: Tensor, ignore_index: int, label_smoothing: float
    ) -> tuple[Tensor, Tensor]:
        loss, stats = rows.cross_entropy(words(x), _is_target(x, target), label_smoothing)
        return floats(torch.where(target == ignore_index, 0, loss[:, 0])), floats(stats)

    def cross_entropy_grad(
        self,
        grad: Tensor,
        x: Tensor,
        target: Tensor,
        stats: Tensor,
        ignore_index: int,
        label_smoothing: float,
        exact: bool,
    ) -> Tensor:
        result = rows.cross_entropy_grad(
            words(grad)[:, None], words(x), _is_target(x, target), words(stats), label_smoothing, exact
        )
        return floats(torch.where((target == ignore_index)[:, None], 0, result))

    def layer_norm(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
        result, stats = rows.layer_norm(words(x), _maybe_words(weight), _maybe_words(bias), eps)
        return floats(result), floats(stats)

    def layer_norm_grad(
        self, grad: Tensor, x: Tensor, weight: Tensor | None, stats: Tensor, exact: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        by_x, by_weight, by_bias = rows.layer_norm_grad(
            words(grad), words(x), _maybe_words(weight), words(stats), exact
        )
        return floats(by_x), floats(by_weight), floats(by_bias)

    def batch_norm(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
        result, stats = norms.batch_norm(words(x), _maybe_words(weight), _maybe_words(bias), eps)
        return floats(result), floats(stats)

    def batch_norm_grad(
        self, grad: Tensor, x: Tensor, weight: Tensor | None, stats: Tensor, exact: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        by_x, by_weight, by_bias = norms.batch_norm_grad(
            words(grad), words(x), _maybe_words(weight), words(stats), exact
        )
        return floats(by_x), floats(by_weight), floats(by_bias)


def _maybe_words(x: Tensor | None) -> Tensor | None:
    return None if x is None else words(x)


def _is_target(x: Tensor, target: Tensor) -> Tensor:
    """Marks the entry of each row that ``target`` names."""
    return torch.arange(x.shape[-1], device=x.device) == target[:, None]
