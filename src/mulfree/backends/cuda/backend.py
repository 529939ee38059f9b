"""The CUDA kernels behind the backend contract; what they lack is inherited from the reference."""

from __future__ import annotations

from torch import Tensor

from mulfree.backends.cuda.channels import CUDAChannels
from mulfree.backends.cuda.convolution import CUDAConvolution
from mulfree.backends.cuda.elementwise import elementwise
from mulfree.backends.cuda.kernels import Launcher
from mulfree.backends.cuda.optimizers import CUDAOptimizers
from mulfree.backends.cuda.products import CUDAProducts
from mulfree.backends.cuda.random import CUDADropout
from mulfree.backends.cuda.rows import CUDARows
from mulfree.backends.cuda.sums import CUDASums
from mulfree.backends.reference import ReferenceBackend


class CUDABackend(
    CUDAChannels, CUDAConvolution, CUDADropout, CUDAOptimizers, CUDAProducts, CUDARows, CUDASums, ReferenceBackend
):
    """Compiled kernels with the bits of the law, on torch's current stream."""

    name = "cuda"

    def __init__(self, launcher: Launcher) -> None:
        self.launcher = launcher

    def mul(self, a: Tensor, b: Tensor, offset: int = 0) -> Tensor:
        return elementwise(self.launcher, "mul", (a, b), offset)

    def mul_grad(self, grad: Tensor, a: Tensor, b: Tensor, offset: int = 0) -> Tensor:
        return elementwise(self.launcher, "mul_grad", (grad, a, b), offset)

    def div(self, a: Tensor, b: Tensor) -> Tensor:
        return elementwise(self.launcher, "div", (a, b))

    def div_grad_numerator(self, grad: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return elementwise(self.launcher, "div_grad_numerator", (grad, a, b))

    def div_grad_denominator(self, grad: Tensor, a: Tensor, b: Tensor, exact: bool) -> Tensor:
        name = "div_grad_denominator" if exact else "div_grad_denominator_approximate"
        return elementwise(self.launcher, name, (grad, a, b))

    def unary(self, name: str, x: Tensor) -> Tensor:
        return elementwise(self.launcher, name, (x,))

    def unary_grad(self, name: str, grad: Tensor, x: Tensor, exact: bool) -> Tensor:
        return elementwise(self.launcher, f"{name}_grad" if exact else f"{name}_grad_approximate", (grad, x))
