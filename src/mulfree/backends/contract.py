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
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class AdamWScalars:
    """Bits of the scalars of one AdamW step; see ``numerics.rows.adamw``."""

    lr: int
    beta1: int
    beta2: int
    eps: int
    decay: int
    correction1: int
    correction2: int


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

    UNARY = ("exp2", "log2", "exp", "log", "sqrt", "gelu")

    @abstractmethod
    def unary(self, name: str, x: Tensor) -> Tensor: ...

    @abstractmethod
    def unary_grad(self, name: str, grad: Tensor, x: Tensor, exact: bool) -> Tensor: ...

    # Dropout (spec 8).

    @abstractmethod
    def dropout(self, x: Tensor, seed: Tensor, threshold: int, scale: int) -> Tensor:
        """``seed``: int64, one element. ``threshold`` and ``scale`` are words."""

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

    # Optimizer steps, in place on contiguous float32 tensors of one shape.

    @abstractmethod
    def adamw_(
        self, param: Tensor, grad: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, scalars: AdamWScalars
    ) -> None: ...
