"""SGD in PA arithmetic."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim.optimizer import ParamsT

from mulfree.numerics import scalar
from mulfree.numerics.formats import ONE
from mulfree.numerics.number import PA
from mulfree.ops.optimizers import sgd_
from mulfree.optim._base import PAOptimizer, grouped, on_shards, word

_sgd = on_shards(sgd_)


class SGD(PAOptimizer):
    """``torch.optim.SGD`` with every product in PA arithmetic (``numerics.optimizers.sgd``).

    ``grad += mul(weight_decay, param)``; ``buffer = mul(buffer, momentum) + mul(grad, 1 - dampening)``, at the first
    step the gradient itself; ``param -= mul(lr, buffer)``, with Nesterov's form
    ``param -= mul(lr, grad + mul(momentum, buffer))``. State dicts are interchangeable with torch's.

    Args:
        params: float32 parameters or groups of them.
        lr: a number or a tensor with one element; like all scalars it is rounded to float32.
        momentum, dampening, weight_decay, nesterov, maximize: as in torch.
        foreach, differentiable, fused: None or False.

    Raises:
        ValueError: a setting is out of range, or Nesterov's form without momentum or with dampening.
        TypeError: a setting is no number, or a parameter is not float32. Keep float32 parameters and cast in the
            forward pass instead.
        RuntimeError: a gradient is sparse.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _check_group(self, group: dict[str, Any]) -> None:
        self._require_not_negative(group, "lr", "momentum", "weight_decay")
        self._require_numbers(group, "dampening")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError(
                "SGD: nesterov requires a momentum and zero dampening, got "
                f"momentum {group['momentum']} and dampening {group['dampening']}"
            )

    def _step_group(self, group: dict[str, Any]) -> None:
        params, grads = self._with_gradients(group)
        lr, momentum, weight_decay = (word(group[name]) for name in ("lr", "momentum", "weight_decay"))
        if scalar.is_zero(momentum):
            _sgd(params, grads, [], lr, 0, ONE, weight_decay, False)
            return
        # The first step is that of a buffer of zeros and no dampening.
        rest = (1 - PA(float(group["dampening"]))).word
        rests = [ONE if self.state[param].get("momentum_buffer") is None else rest for param in params]
        (buffers,) = self._averages(params, "momentum_buffer")
        for share, lists in grouped(rests, params, grads, buffers).items():
            _sgd(*lists, lr, momentum, share, weight_decay, group["nesterov"])
