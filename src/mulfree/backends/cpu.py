"""The compiled CPU kernels behind the backend contract; what they lack is inherited from the reference."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from mulfree.backends.arguments import address, smoothing
from mulfree.backends.cpu_convolution import CPUConvolution
from mulfree.backends.cpu_optimizers import CPUOptimizers
from mulfree.backends.cpu_products import CPUProducts
from mulfree.backends.native import kernels, threads
from mulfree.backends.reference import ReferenceBackend
from mulfree.numerics.formats import RANDOM_LANES
from mulfree.numerics.scalar import bits

_CODE = {name: code for code, name in enumerate(kernels.operations())}
_MUL, _DIV = _CODE["mul"], _CODE["div"]
_flat = kernels.flat
_empty_like = torch.empty_like

RowKernel = Callable[[int, int, int, int, int, int], None]
RowGradKernel = Callable[[int, int, int, int, int, int, bool, int], None]


def _elementwise(code: int, operands: tuple[Tensor, ...], offset: int = 0) -> Tensor:
    """Operation ``code`` on broadcast operands of any strides."""
    shape = operands[0].shape
    for x in operands[1:]:
        if x.shape != shape:
            shape = torch.broadcast_tensors(*operands)[0].shape
            break
    out = _empty(*shape)
    kernels.broadcast(
        code, out.data_ptr(), shape, tuple([(x.data_ptr(), x.shape, x.stride()) for x in operands]), offset, threads()
    )
    return out


def _empty(*shape: int) -> Tensor:
    """Sizes one by one: torch takes longer to read them from a tuple."""
    return torch.empty(*shape, dtype=torch.float32) if shape else torch.empty((), dtype=torch.float32)


class CPUBackend(CPUProducts, CPUConvolution, CPUOptimizers, ReferenceBackend):
    """Compiled kernels with the bits of the law, on ``torch.get_num_threads()`` threads."""

    name = "cpu"

    def mul(self, a: Tensor, b: Tensor, offset: int = 0) -> Tensor:
        if a.shape == b.shape and a.is_contiguous() and b.is_contiguous():
            out = _empty_like(a)
            _flat(_MUL, out.data_ptr(), a.data_ptr(), b.data_ptr(), 0, a.numel(), offset, threads())
            return out
        return _elementwise(_MUL, (a, b), offset)

    def div(self, a: Tensor, b: Tensor) -> Tensor:
        if a.shape == b.shape and a.is_contiguous() and b.is_contiguous():
            out = _empty_like(a)
            _flat(_DIV, out.data_ptr(), a.data_ptr(), b.data_ptr(), 0, a.numel(), 0, threads())
            return out
        return _elementwise(_DIV, (a, b))

    def mul_grad(self, grad: Tensor, a: Tensor, b: Tensor, offset: int = 0) -> Tensor:
        return _elementwise(_CODE["mul_grad"], (grad, a, b), offset)

    def div_grad_numerator(self, grad: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return _elementwise(_CODE["div_grad_numerator"], (grad, a, b))

    def div_grad_denominator(self, grad: Tensor, a: Tensor, b: Tensor, exact: bool) -> Tensor:
        name = "div_grad_denominator" if exact else "div_grad_denominator_approximate"
        return _elementwise(_CODE[name], (grad, a, b))

    def unary(self, name: str, x: Tensor) -> Tensor:
        x = x.contiguous()
        out = _empty_like(x)
        _flat(_CODE[name], out.data_ptr(), x.data_ptr(), 0, 0, x.numel(), 0, threads())
        return out

    def unary_grad(self, name: str, grad: Tensor, x: Tensor, exact: bool) -> Tensor:
        grad, x = grad.contiguous(), x.contiguous()
        out = _empty_like(x)
        code = _CODE[f"{name}_grad" if exact else f"{name}_grad_approximate"]
        _flat(code, out.data_ptr(), grad.data_ptr(), x.data_ptr(), 0, x.numel(), 0, threads())
        return out

    def dropout(self, x: Tensor, seed: Tensor, threshold: int, scale: int, first: int = 0) -> Tensor:
        start = first % (2 * RANDOM_LANES)  # the kernel starts at whole groups of random words
        padded = torch.cat([x.new_zeros(start), x.reshape(-1)]) if start else x.contiguous()
        out = _empty_like(padded)
        kernels.dropout(
            padded.data_ptr(), out.data_ptr(), seed.data_ptr(), padded.numel(), first - start, threshold, scale,
            threads(),
        )  # fmt: skip
        return out[start:].view(x.shape) if start else out

    def sum(self, x: Tensor, dims: tuple[int, ...], keepdim: bool = False) -> Tensor:
        if dims[-1] - dims[0] >= len(dims):  # not neighbours: bring them together at the end
            kept = [dim for dim in range(x.dim()) if dim not in dims]
            result = self.sum(x.permute(*kept, *dims), tuple(range(len(kept), x.dim())))
            return result.view([1 if dim in dims else size for dim, size in enumerate(x.shape)]) if keepdim else result
        x = x.contiguous()
        if len(dims) == x.dim():
            out = _empty(*(1 for _ in dims if keepdim))
            kernels.sum(x.data_ptr(), out.data_ptr(), 1, x.numel(), 1, threads())
            return out
        before, reduced, after = x.shape[: dims[0]], x.shape[dims[0] : dims[-1] + 1], x.shape[dims[-1] + 1 :]
        out = _empty(*before, *(1 for _ in reduced if keepdim), *after)
        outer, n, inner = prod(before), prod(reduced), prod(after)
        kernels.sum(x.data_ptr(), out.data_ptr(), outer, n, inner, threads())
        return out

    def softmax(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._rows(kernels.softmax, x)

    def softmax_grad(self, grad: Tensor, x: Tensor, stats: Tensor, exact: bool) -> Tensor:
        return self._rows_grad(kernels.softmax_grad, grad, x, stats, exact)

    def log_softmax(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._rows(kernels.log_softmax, x)

    def log_softmax_grad(self, grad: Tensor, x: Tensor, stats: Tensor, exact: bool) -> Tensor:
        return self._rows_grad(kernels.log_softmax_grad, grad, x, stats, exact)

    def logsumexp(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._rows(kernels.logsumexp, x, _empty(x.shape[0]))

    def logsumexp_grad(self, grad: Tensor, x: Tensor, stats: Tensor, exact: bool) -> Tensor:
        return self._rows_grad(kernels.logsumexp_grad, grad, x, stats, exact)

    @staticmethod
    def _rows(kernel: RowKernel, x: Tensor, out: Tensor | None = None) -> tuple[Tensor, Tensor]:
        rows, n = x.shape
        x = x.contiguous()
        out = torch.empty_like(x) if out is None else out
        stats = _empty(rows, 2)
        kernel(x.data_ptr(), out.data_ptr(), stats.data_ptr(), rows, n, threads())
        return out, stats

    @staticmethod
    def _rows_grad(kernel: RowGradKernel, grad: Tensor, x: Tensor, stats: Tensor, exact: bool) -> Tensor:
        rows, n = x.shape
        grad, x, stats = grad.contiguous(), x.contiguous(), stats.contiguous()
        out = torch.empty_like(x)
        kernel(grad.data_ptr(), x.data_ptr(), stats.data_ptr(), out.data_ptr(), rows, n, exact, threads())
        return out

    def count_targets(self, target: Tensor, classes: int, ignore_index: int) -> int:
        target = target.contiguous()
        return kernels.count_targets(target.data_ptr(), target.numel(), classes, ignore_index)

    def cross_entropy(
        self, x: Tensor, target: Tensor, ignore_index: int, label_smoothing: float
    ) -> tuple[Tensor, Tensor]:
        rows, n = x.shape
        x, target = x.contiguous(), target.contiguous()
        out, stats = _empty(rows), _empty(rows, 2)
        kernels.cross_entropy(
            x.data_ptr(), target.data_ptr(), out.data_ptr(), stats.data_ptr(), rows, n,
            ignore_index, *smoothing(label_smoothing, n), threads(),
        )  # fmt: skip
        return out, stats

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
        rows, n = x.shape
        grad, x, target, stats = grad.contiguous(), x.contiguous(), target.contiguous(), stats.contiguous()
        out = torch.empty_like(x)
        kernels.cross_entropy_grad(
            grad.data_ptr(), x.data_ptr(), target.data_ptr(), stats.data_ptr(), out.data_ptr(), rows, n,
            ignore_index, *smoothing(label_smoothing, n), exact, threads(),
        )  # fmt: skip
        return out

    def layer_norm(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
        rows, n = x.shape
        x = x.contiguous()
        weight = None if weight is None else weight.contiguous()
        bias = None if bias is None else bias.contiguous()
        out, stats = torch.empty_like(x), _empty(rows, 2)
        kernels.layer_norm(
            x.data_ptr(), address(weight), address(bias), out.data_ptr(), stats.data_ptr(), rows, n,
            bits(eps), bits(float(n)), threads(),
        )  # fmt: skip
        return out, stats

    def layer_norm_grad(
        self, grad: Tensor, x: Tensor, weight: Tensor | None, stats: Tensor, exact: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows, n = x.shape
        grad, x, stats = grad.contiguous(), x.contiguous(), stats.contiguous()
        weight = None if weight is None else weight.contiguous()
        by_x, by_weight, by_bias = torch.empty_like(x), _empty(n), _empty(n)
        kernels.layer_norm_grad(
            grad.data_ptr(), x.data_ptr(), address(weight), stats.data_ptr(),
            by_x.data_ptr(), by_weight.data_ptr(), by_bias.data_ptr(), rows, n, bits(float(n)), exact, threads(),
        )  # fmt: skip
        return by_x, by_weight, by_bias

    def batch_norm(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
        batch, channels, positions = x.shape
        x = x.contiguous()
        weight = None if weight is None else weight.contiguous()
        bias = None if bias is None else bias.contiguous()
        out, stats = torch.empty_like(x), _empty(channels, 4)
        kernels.batch_norm(
            x.data_ptr(), address(weight), address(bias), out.data_ptr(), stats.data_ptr(),
            batch, channels, positions, bits(eps), bits(float(batch * positions)), threads(),
        )  # fmt: skip
        return out, stats

    def batch_norm_grad(
        self, grad: Tensor, x: Tensor, weight: Tensor | None, stats: Tensor, exact: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        batch, channels, positions = x.shape
        grad, x, stats = grad.contiguous(), x.contiguous(), stats.contiguous()
        weight = None if weight is None else weight.contiguous()
        by_x, by_weight, by_bias = torch.empty_like(x), _empty(channels), _empty(channels)
        kernels.batch_norm_grad(
            grad.data_ptr(), x.data_ptr(), address(weight), stats.data_ptr(),
            by_x.data_ptr(), by_weight.data_ptr(), by_bias.data_ptr(),
            batch, channels, positions, bits(float(batch * positions)), exact, threads(),
        )  # fmt: skip
        return by_x, by_weight, by_bias
