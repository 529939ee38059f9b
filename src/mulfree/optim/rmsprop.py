"""RMSprop in PA arithmetic."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim.optimizer import ParamsT

from mulfree.numerics import scalar
from mulfree.ops.optimizers import rmsprop_
from mulfree.optim._base import PAOptimizer, on_shards, word

_rmsprop = on_shards(rmsprop_)


class RMSprop(PAOptimizer):
    """``torch.optim.RMSprop`` with every product, quotient and root in PA arithmetic (``numerics.optimizers.rmsprop``).

    ``square_avg = mul(square_avg, alpha) + mul(mul(grad, grad), 1 - alpha)``, then
    ``param -= mul(lr, div(grad, sqrt(square_avg) + eps))``, the quotient collected in a buffer if there is momentum.
    The centered form takes the root of the variance; deviation: the variance is followed by itself, as
    ``mul(alpha, variance + mul(1 - alpha, mul(d, d)))`` with the distance d of the gradient from its average, since
    the difference of two PA averages may be negative. ``square_avg`` keeps its meaning, variance plus squared mean.
    State dicts are interchangeable with torch's.

    Args:
        params: float32 parameters or groups of them.
        lr: a number or a tensor with one element; like all scalars it is rounded to float32.
        alpha, eps, weight_decay, momentum, centered, maximize: as in torch; alpha is at most 1.
        capturable, foreach, differentiable: None or False.

    Raises:
        ValueError: a setting is out of range.
        TypeError: a setting is no number, or a parameter is not float32. Keep float32 parameters and cast in the
            forward pass instead.
        RuntimeError: a gradient is sparse.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _check_group(self, group: dict[str, Any]) -> None:
        self._require_not_negative(group, "lr", "alpha", "eps", "weight_decay", "momentum")
        if group["alpha"] > 1.0:
            raise ValueError(f"RMSprop: alpha must be between 0 and 1, got {group['alpha']}")

    def _step_group(self, group: dict[str, Any]) -> None:
        params, grads = self._with_gradients(group)
        names = ("lr", "alpha", "eps", "weight_decay", "momentum")
        scalars = [word(group[name]) for name in names]
        (squares,) = self._averages(params, "square_avg")
        means = self._averages(params, "grad_avg")[0] if group["centered"] else []
        has_momentum = not scalar.is_zero(scalars[-1])
        buffers = self._averages(params, "momentum_buffer")[0] if has_momentum else []
        self._count_steps(params)
        _rmsprop(params, grads, squares, means, buffers, *scalars)
