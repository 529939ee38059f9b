"""The compiled CPU kernels behind the backend contract; what they lack is inherited from the reference."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.backends.native import kernels, threads
from mulfree.backends.reference import ReferenceBackend

_CODE = {name: code for code, name in enumerate(kernels.operations())}
_MUL, _DIV = _CODE["mul"], _CODE["div"]
_flat = kernels.flat
_empty_like = torch.empty_like


def _elementwise(code: int, operands: tuple[Tensor, ...], offset: int = 0) -> Tensor:
    """Operation ``code`` on broadcast operands of any strides."""
    views = torch.broadcast_tensors(*operands)
    out = torch.empty(views[0].shape, dtype=torch.float32)
    kernels.broadcast(
        code, out.data_ptr(), [x.data_ptr() for x in views], out.shape, [x.stride() for x in views], offset, threads()
    )
    return out


class CPUBackend(ReferenceBackend):
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
