"""Adam and AdamW in PA arithmetic."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim.optimizer import ParamsT

from mulfree.numerics import scalar
from mulfree.ops.optimizers import adam_, adamw_
from mulfree.optim._base import PAOptimizer, correction, grouped, on_shards, word

_adam, _adamw = on_shards(adam_), on_shards(adamw_)


class Adam(PAOptimizer):
    """``torch.optim.Adam`` with every product, quotient and root in PA arithmetic (``numerics.optimizers.adam``).

    Weight decay is an L2 penalty: ``grad += mul(weight_decay, param)``; with ``decoupled_weight_decay`` it is that of
    ``AdamW``. Then ``param -= mul(lr, div(m', sqrt(v') + eps))`` with the bias-corrected averages
    ``m' = div(m, 1 - beta1**t)`` and ``v' = div(v, 1 - beta2**t)``, v being the largest so far with ``amsgrad``.
    State dicts are interchangeable with torch's.

    Args:
        params: float32 parameters or groups of them.
        lr: a number or a tensor with one element; like all scalars it is rounded to float32.
        betas, eps, weight_decay, amsgrad, maximize, decoupled_weight_decay: as in torch.
        foreach, capturable, differentiable, fused: None or False.

    Raises:
        ValueError: a setting is out of range.
        TypeError: a setting is no number, or a parameter is not float32. Keep float32 parameters and cast in the
            forward pass instead.
        RuntimeError: a gradient is sparse.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _check_group(self, group: dict[str, Any]) -> None:
        self._require_not_negative(group, "lr", "eps", "weight_decay")
        self._require_betas(group)

    def _step_group(self, group: dict[str, Any]) -> None:
        params, grads = self._with_gradients(group)
        lr, beta1, beta2, eps, weight_decay = map(
            word, (group["lr"], *group["betas"], group["eps"], group["weight_decay"])
        )
        decay, penalty = (scalar.mul(lr, weight_decay), 0) if group["decoupled_weight_decay"] else (0, weight_decay)
        means, squares = self._averages(params, "exp_avg", "exp_avg_sq")
        largest = self._averages(params, "max_exp_avg_sq")[0] if group["amsgrad"] else []
        steps = grouped(self._count_steps(params), params, grads, means, squares, largest)
        for step, lists in steps.items():
            scalars = (lr, beta1, beta2, eps, decay, correction(beta1, step), correction(beta2, step))
            if group["amsgrad"] or penalty:
                _adam(*lists, *scalars, penalty)
            else:
                _adamw(*lists[:4], *scalars)
