"""Lion in PA arithmetic."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim.optimizer import ParamsT

from mulfree.numerics import scalar
from mulfree.ops.optimizers import lion_
from mulfree.optim._base import PAOptimizer, on_shards, word

_lion = on_shards(lion_)


class Lion(PAOptimizer):
    """Lion (Chen et al., *Symbolic Discovery of Optimization Algorithms*, 2023, algorithm 2) in PA arithmetic.

    ``param -= mul(mul(lr, weight_decay), param)``, then ``param`` moves by ``lr`` against the sign of
    ``mul(exp_avg, beta1) + mul(grad, 1 - beta1)`` (``numerics.optimizers.lion``); the average ``exp_avg`` of the
    gradients is updated with ``beta2`` afterwards. torch has no optimizer of this name; names and defaults are the
    authors'.

    Args:
        params: float32 parameters or groups of them.
        lr: a number or a tensor with one element; like all scalars it is rounded to float32.
        betas: weights of the average in the direction, and in its update.
        weight_decay: decoupled, as in AdamW.
        maximize: climb instead.

    Raises:
        ValueError: a setting is out of range.
        TypeError: a setting is no number, or a parameter is not float32. Keep float32 parameters and cast in the
            forward pass instead.
        RuntimeError: a gradient is sparse.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize})

    def _check_group(self, group: dict[str, Any]) -> None:
        self._require_not_negative(group, "lr", "weight_decay")
        self._require_betas(group)

    def _step_group(self, group: dict[str, Any]) -> None:
        params, grads = self._with_gradients(group)
        lr, beta1, beta2, weight_decay = map(word, (group["lr"], *group["betas"], group["weight_decay"]))
        (averages,) = self._averages(params, "exp_avg")
        _lion(params, grads, averages, lr, beta1, beta2, scalar.mul(lr, weight_decay))
