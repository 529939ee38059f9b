"""AdamW in PA arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from mulfree.numerics import rows, scalar
from mulfree.ops.optimizers import adamw_

_correction = lru_cache(maxsize=256)(rows.adamw_correction)


class AdamW(torch.optim.Optimizer):
    """``torch.optim.AdamW`` with every product, quotient and root in PA arithmetic (``numerics.rows.adamw``).

    Weight decay is decoupled: ``param -= mul(mul(lr, weight_decay), param)``, then
    ``param -= mul(lr, div(m', sqrt(v') + eps))`` with the bias-corrected averages ``m' = div(m, 1 - beta1**t)``
    and ``v' = div(v, 1 - beta2**t)``. State dicts are interchangeable with torch's.

    Args:
        params: float32 parameters or groups of them.
        lr: a number or a tensor without dimensions; like all scalars it is rounded to float32.
        betas, eps, weight_decay, maximize: as in torch.
        amsgrad: must be False.

    Raises:
        ValueError: a setting is out of range, or ``amsgrad``.
        TypeError: a parameter is not float32. Keep float32 parameters and cast in the forward pass instead.
        RuntimeError: a gradient is sparse.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        _check_settings(group)
        for param in group["params"]:
            if param.dtype is not torch.float32:
                raise TypeError(f"AdamW: parameters must be float32, got {param.dtype} of shape {tuple(param.shape)}")

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("amsgrad", False)
            group.setdefault("maximize", False)
            _check_settings(group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step on every parameter that has a gradient; returns what ``closure`` returns, if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        lr, beta1, beta2, eps, weight_decay = (
            scalar.bits(float(x)) for x in (group["lr"], *group["betas"], group["eps"], group["weight_decay"])
        )
        decay = scalar.mul(lr, weight_decay)
        for step, (params, uphill, exp_avgs, exp_avg_sqs) in self._by_step(group["params"]).items():
            grads = [-grad for grad in uphill] if group["maximize"] else uphill
            corrections = _correction(beta1, step), _correction(beta2, step)
            adamw_(params, grads, exp_avgs, exp_avg_sqs, lr, beta1, beta2, eps, decay, *corrections)

    def _by_step(self, params: list[Tensor]) -> dict[int, tuple[list[Tensor], ...]]:
        """Parameters, gradients and averages of those that have a gradient, by the number of the step they take."""
        pairs = [(param, param.grad) for param in params if param.grad is not None]
        if any(grad.is_sparse for _, grad in pairs):
            raise RuntimeError("AdamW: sparse gradients are not supported")
        states = [self.state[param] or self._new_state(param) for param, _ in pairs]
        if states:
            torch._foreach_add_([state["step"] for state in states], 1)
        found: dict[int, tuple[list[Tensor], ...]] = {}
        for (param, grad), state in zip(pairs, states, strict=True):
            step = int(state["step"].item())
            if step not in found:
                found[step] = ([], [], [], [])
            with_grad, grads, exp_avgs, exp_avg_sqs = found[step]
            with_grad.append(param)
            grads.append(grad)
            exp_avgs.append(state["exp_avg"])
            exp_avg_sqs.append(state["exp_avg_sq"])
        return found

    def _new_state(self, param: Tensor) -> dict[str, Any]:
        self.state[param] = {
            "step": torch.tensor(0.0),
            "exp_avg": torch.zeros_like(param, memory_format=torch.preserve_format),
            "exp_avg_sq": torch.zeros_like(param, memory_format=torch.preserve_format),
        }
        state: dict[str, Any] = self.state[param]
        return state


def _check_settings(group: dict[str, Any]) -> None:
    if isinstance(group["lr"], Tensor) and group["lr"].numel() != 1:
        raise ValueError(f"AdamW: lr must be a number or hold one, got a tensor of shape {tuple(group['lr'].shape)}")
    for name in ("lr", "eps", "weight_decay"):
        if not float(group[name]) >= 0.0:
            raise ValueError(f"AdamW: {name} must not be negative, got {group[name]}")
    if len(group["betas"]) != 2 or not all(0.0 <= beta < 1.0 for beta in group["betas"]):
        raise ValueError(f"AdamW: betas must be two numbers in [0, 1), got {group['betas']}")
    if group["amsgrad"]:
        raise ValueError("AdamW: amsgrad is not supported")
