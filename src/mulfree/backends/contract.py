"""What a backend provides. ``reference.py`` is complete; others inherit it and override.

Shared conventions, not repeated below:

- Tensors are float32 of any strides, on the backend's device, unless a method says more.
  The callers (``mulfree.ops``) have validated dtypes, devices and shapes and hold no gradients.
- Results are new contiguous float32 tensors with the bits of ``docs/spec.md``.
- ``offset`` is the compensation as an integer, ``bits(alpha) - ONE``; 0 is none.
- ``exact`` picks the exact or the approximate derivative (Table 1).
- ``grad`` is the gradient of the result; a ``*_grad`` method returns the gradient of its input.
- *Row* methods take contiguous matrices ``(rows, n)`` and work on the last dimension. ``stats`` are what the
  forward method hands to the backward one: ``(rows, 2)``, meaning stated there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mulfree.numerics.convolution import Window


@dataclass(frozen=True)
class AdamWScalars:
    """Bits of the scalars of one AdamW step; see ``numerics.optimizers.adamw``."""

    lr: int
    beta1: int
    beta2: int
    eps: int
    decay: int
    correction1: int
    correction2: int


@dataclass(frozen=True)
class SGDScalars:
    """Bits of the scalars of one step of SGD; see ``numerics.optimizers.sgd``."""

    lr: int
    momentum: int
    rest: int
    weight_decay: int
    nesterov: bool


@dataclass(frozen=True)
class AdamScalars(AdamWScalars):
    """Bits of the scalars of one step of Adam in its general form; see ``numerics.optimizers.adam``."""

    weight_decay: int


@dataclass(frozen=True)
class RMSpropScalars:
    """Bits of the scalars of one step of RMSprop; see ``numerics.optimizers.rmsprop``."""

    lr: int
    alpha: int
    eps: int
    weight_decay: int
    momentum: int


@dataclass(frozen=True)
class LionScalars:
    """Bits of the scalars of one step of Lion; see ``numerics.optimizers.lion``."""

    lr: int
    beta1: int
    beta2: int
    decay: int


class Backend(ABC):
    """One complete set of kernels."""

    name: str

    # Elementwise, with broadcasting (spec 2 to 4). ``grad`` has the broadcast shape.

    @abstractmethod
    def mul(self, a: Tensor, b: Tensor, offset: int = 0) -> Tensor: ...

    @abstractmethod
    def mul_grad(self, grad: Tensor, a: Tensor, b: Tensor, offset: int = 0) -> Tensor:
        """Exact derivative by ``a``, of the broadcast shape; the approximate one is ``mul(b, grad)``."""

    @abstractmethod
    def div(self, a: Tensor, b: Tensor) -> Tensor: ...

    @abstractmethod
    def div_grad_numerator(self, grad: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Exact derivative by ``a``; the approximate one is ``div(grad, b)``."""

    @abstractmethod
    def div_grad_denominator(self, grad: Tensor, a: Tensor, b: Tensor, exact: bool) -> Tensor: ...

    # Elementwise functions of one tensor (spec 3, 4, 7): name in UNARY.

    UNARY = ("exp2", "log2", "exp", "log", "sqrt", "gelu", "sigmoid", "silu", "tanh")

    @abstractmethod
    def unary(self, name: str, x: Tensor) -> Tensor: ...

    @abstractmethod
    def unary_grad(self, name: str, grad: Tensor, x: Tensor, exact: bool) -> Tensor: ...

    # Dropout (spec 8).

    @abstractmethod
    def dropout(self, x: Tensor, seed: Tensor, threshold: int, scale: int, first: int = 0) -> Tensor:
        """``seed``: int64, one element. ``threshold`` and ``scale`` are words.

        ``first`` is the number of the first element of ``x`` in the tensor of which it is a part.
        """

    # Sums (spec 6).

    @abstractmethod
    def sum(self, x: Tensor, dims: tuple[int, ...], keepdim: bool = False) -> Tensor:
        """Sum over ``dims`` (non-negative, ascending, not empty) in the law's order."""

    # Matrix products (spec 6). float32, float16 or bfloat16 operands of one dtype; result of that dtype.

    @abstractmethod
    def matmul(
        self, a: Tensor, b: Tensor, bias: Tensor | None = None, mantissa_bits: int = 23, offset: int = 0
    ) -> Tensor:
        """``(*batch, m, k) @ (*batch, k, n) -> (*batch, m, n)``, batch dimensions broadcast; ``bias``: ``(n,)``."""

    @abstractmethod
    def matmul_grad(self, p: Tensor, q: Tensor, grad: Tensor, mantissa_bits: int = 23, offset: int = 0) -> Tensor:
        """Exact derivative of ``p @ q`` by ``p``: ``(*batch, i, k), (*batch, k, j), (*batch, i, j) -> (*batch, i, k)``.

        That by ``q`` is ``matmul_grad(q.mT, p.mT, grad.mT).mT``.
        """

    # Convolutions (spec 6) over one to three spatial dimensions; dtypes as for matrix products. ``kernel`` and ``size``
    # are spatial sizes, ``size`` that of the result. A ``slope`` has the result's shape and dtype: the result is then
    # the exact derivative of the sum's products by it, and x (or what a method says) the incoming gradient.

    @abstractmethod
    def convolve(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        window: Window,
        size: Sequence[int],
        slope: Tensor | None = None,
        mantissa_bits: int = 23,
        offset: int = 0,
    ) -> Tensor:
        """``(n, in, ...), (out, in / groups, *kernel), (out,) -> (n, out, *size)``."""

    @abstractmethod
    def convolve_transposed(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        window: Window,
        size: Sequence[int],
        slope: Tensor | None = None,
        mantissa_bits: int = 23,
        offset: int = 0,
    ) -> Tensor:
        """``(n, in, ...), (in, out / groups, *kernel), (out,) -> (n, out, *size)``: the gradient of ``convolve`` by
        its input, for an incoming gradient x."""

    @abstractmethod
    def convolve_weight(
        self,
        dense: Tensor,
        x: Tensor,
        window: Window,
        kernel: Sequence[int],
        slope: Tensor | None = None,
        dense_is_grad: bool = True,
        mantissa_bits: int = 23,
        offset: int = 0,
    ) -> Tensor:
        """``(n, out, *positions), (n, in, ...) -> (out, in / groups, *kernel)``: the gradient of ``convolve`` by its
        weight, for an incoming gradient ``dense`` and an input x. ``dense_is_grad`` says which of the two is the
        gradient where there is a slope."""

    # Rows (spec 7).

    @abstractmethod
    def softmax(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Result and stats (shift, total)."""

    @abstractmethod
    def softmax_grad(self, grad: Tensor, x: Tensor, stats: Tensor, exact: bool) -> Tensor: ...

    @abstractmethod
    def log_softmax(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Result and stats (shift, total)."""

    @abstractmethod
    def log_softmax_grad(self, grad: Tensor, x: Tensor, stats: Tensor, exact: bool) -> Tensor: ...

    @abstractmethod
    def logsumexp(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Result ``(rows,)`` and stats (shift, total)."""

    @abstractmethod
    def logsumexp_grad(self, grad: Tensor, x: Tensor, stats: Tensor, exact: bool) -> Tensor:
        """``grad`` is ``(rows,)``."""

    @abstractmethod
    def count_targets(self, target: Tensor, classes: int, ignore_index: int) -> int:
        """How many entries of ``target`` (int64, ``(rows,)``) are not ``ignore_index``; -1 if one is no class."""

    @abstractmethod
    def cross_entropy(
        self, x: Tensor, target: Tensor, ignore_index: int, label_smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """Loss of each row ``(rows,)``, +0 where ``target`` (int64, ``(rows,)``) is ``ignore_index``; stats
        (shift, total).

        Targets are within ``[0, n)`` or ``ignore_index``; the caller has checked.
        """

    @abstractmethod
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
        """``grad`` is ``(rows,)``; ignored rows get +0."""

    @abstractmethod
    def layer_norm(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
        """``weight`` and ``bias``: ``(n,)``. Stats (mean, variance + eps)."""

    @abstractmethod
    def layer_norm_grad(
        self, grad: Tensor, x: Tensor, weight: Tensor | None, stats: Tensor, exact: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients by x, weight and bias, the last two ``(n,)`` and also computed where the operand is absent."""

    # Channels (spec 7): x is ``(batch, channels, positions)``, a channel a row in the order (batch, position).

    @abstractmethod
    def batch_norm(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
        """``weight`` and ``bias``: ``(channels,)``. Stats ``(channels, 4)``: mean, variance + eps, sum, and sum of the
        centred squares."""

    @abstractmethod
    def batch_norm_grad(
        self, grad: Tensor, x: Tensor, weight: Tensor | None, stats: Tensor, exact: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients by x, weight and bias, the last two ``(channels,)``, also computed where the operand is absent."""

    # Optimizer steps (spec 9), in place on contiguous float32 tensors of one shape.

    @abstractmethod
    def adamw_(
        self, param: Tensor, grad: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, scalars: AdamWScalars
    ) -> None: ...

    @abstractmethod
    def sgd_(self, param: Tensor, grad: Tensor, momentum_buffer: Tensor | None, scalars: SGDScalars) -> None:
        """A buffer if and only if the momentum is not zero."""

    @abstractmethod
    def adam_(
        self,
        param: Tensor,
        grad: Tensor,
        exp_avg: Tensor,
        exp_avg_sq: Tensor,
        max_exp_avg_sq: Tensor | None,
        scalars: AdamScalars,
    ) -> None:
        """A largest second moment for amsgrad."""

    @abstractmethod
    def rmsprop_(
        self,
        param: Tensor,
        grad: Tensor,
        square_avg: Tensor,
        grad_avg: Tensor | None,
        momentum_buffer: Tensor | None,
        scalars: RMSpropScalars,
    ) -> None:
        """An average gradient for the centered form; a buffer if and only if the momentum is not zero."""

    @abstractmethod
    def lion_(self, param: Tensor, grad: Tensor, exp_avg: Tensor, scalars: LionScalars) -> None: ...

    @abstractmethod
    def moving_average_(self, average: Tensor, param: Tensor, share: int) -> None: ...
