"""What the optimizers share: settings and their checks, the closure, parameters by the number of their step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from mulfree.numerics import optimizers, scalar
from mulfree.ops.constants import capturing

_IMPLEMENTATIONS = ("foreach", "fused", "capturable", "differentiable")
"""torch's choices between implementations; here there is one."""

_PLAIN = frozenset({Tensor, torch.nn.Parameter})

correction = lru_cache(maxsize=256)(optimizers.adamw_correction)


def word(number: float | Tensor) -> int:
    """Bits of a setting rounded to float32."""
    return scalar.bits(float(number))


class PAOptimizer(torch.optim.Optimizer):
    """An optimizer whose settings are torch's, with one fused step in place of torch's implementations.

    Subclasses give ``_check_group`` and ``_step_group``.
    """

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        if not isinstance(params, Iterable):
            raise TypeError(f"{type(self).__name__}: params must be parameters or groups of them, got {params!r}")
        for name in _IMPLEMENTATIONS:
            if defaults.get(name):
                raise ValueError(
                    f"{type(self).__name__}: {name} must be None or False, got {defaults[name]}; "
                    "every step is one fused pass already"
                )
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        self._check(group)
        for param in group["params"]:
            if param.dtype is not torch.float32:
                raise TypeError(
                    f"{type(self).__name__}: parameters must be float32, got {param.dtype} of shape "
                    f"{tuple(param.shape)}; keep float32 parameters and cast in the forward pass"
                )

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A state of torch's optimizer of this name fits, whichever implementation it was made with."""
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
                if name in _IMPLEMENTATIONS:
                    group[name] = value
            self._check(group)

    def _check(self, group: dict[str, Any]) -> None:
        if isinstance(group["lr"], Tensor) and group["lr"].numel() != 1:
            raise ValueError(
                f"{type(self).__name__}: lr must be a number or hold one, got a tensor of shape "
                f"{tuple(group['lr'].shape)}"
            )
        self._check_group(group)

    def _require_numbers(self, group: dict[str, Any], *names: str) -> None:
        for name in names:
            if not hasattr(group[name], "__float__"):
                raise TypeError(f"{type(self).__name__}: {name} must be a number, got {group[name]!r}")

    def _require_not_negative(self, group: dict[str, Any], *names: str) -> None:
        self._require_numbers(group, *names)
        for name in names:
            if not float(group[name]) >= 0.0:
                raise ValueError(f"{type(self).__name__}: {name} must not be negative, got {group[name]}")

    def _require_betas(self, group: dict[str, Any]) -> None:
        betas, message = group["betas"], f"{type(self).__name__}: betas must be two numbers in [0, 1), got"
        if not isinstance(betas, Sequence) or not all(hasattr(beta, "__float__") for beta in betas):
            raise TypeError(f"{message} {betas!r}")
        if len(betas) != 2 or not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(f"{message} {betas}")

    def _check_group(self, group: dict[str, Any]) -> None:
        """Raise TypeError if a setting is no number, ValueError if it is out of range."""
        raise NotImplementedError

    def _step_group(self, group: dict[str, Any]) -> None:
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step on every parameter that has a gradient; returns what ``closure`` returns, if given.

        Raises:
            RuntimeError: a CUDA graph is being captured; the number of the step would be part of it.
        """
        self._refuse_capture()
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step_group(group)
        return loss

    def _refuse_capture(self) -> None:
        devices = {param.device for group in self.param_groups for param in group["params"]}
        if not torch.compiler.is_compiling() and any(capturing(device) for device in devices):
            raise RuntimeError(
                f"{type(self).__name__}: a step cannot be captured in a CUDA graph, since its number is part of it"
            )

    def _with_gradients(self, group: dict[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
        """Parameters that have a gradient, and their gradients; negated to maximize."""
        pairs = [(param, param.grad) for param in group["params"] if param.grad is not None]
        if any(grad.layout is not torch.strided for _, grad in pairs):
            raise RuntimeError(f"{type(self).__name__}: sparse gradients are not supported")
        if any(getattr(param, "placements", None) != getattr(grad, "placements", None) for param, grad in pairs):
            raise RuntimeError(f"{type(self).__name__}: gradients must be sharded as their parameters are")
        return [param for param, _ in pairs], [-grad if group["maximize"] else grad for _, grad in pairs]

    def _averages(self, params: list[Tensor], *names: str) -> list[list[Tensor]]:
        """State tensors of the parameters by name, zeros where there are none yet."""
        states = [self.state[param] for param in params]
        for name in names:
            for param, state in zip(params, states, strict=True):
                if state.get(name) is None:
                    state[name] = torch.zeros_like(param, memory_format=torch.preserve_format)
        return [[state[name] for state in states] for name in names]

    def _count_steps(self, params: list[Tensor]) -> list[int]:
        """The number of the step that each parameter takes, now counted in its state."""
        states = [self.state[param] for param in params]
        for state in states:
            if "step" not in state:
                state["step"] = torch.tensor(0.0)
        steps = [state["step"] for state in states]
        if steps:
            torch._foreach_add_(steps, 1)
        return [int(step.item()) for step in steps]


def on_shards(step: Callable[..., None]) -> Callable[..., None]:
    """``step`` with, for each DTensor in its lists, what this process holds of it: steps are elementwise."""

    def run(*arguments: Any) -> None:
        step(*(_shards(argument) if isinstance(argument, list) else argument for argument in arguments))

    return run


def _shards(tensors: list[Tensor]) -> list[Tensor]:
    if _PLAIN.issuperset(map(type, tensors)):
        return tensors
    return [x.to_local() if hasattr(x, "to_local") else x for x in tensors]


def grouped(keys: Iterable[int], *columns: list[Tensor]) -> dict[int, list[list[Tensor]]]:
    """Columns of tensors, split by the keys of their rows; an empty column stays empty."""
    keys = list(keys)
    if len(set(keys)) == 1:
        return {keys[0]: list(columns)}
    found: dict[int, list[list[Tensor]]] = {}
    for row, key in enumerate(keys):
        lists = found.setdefault(key, [[] for _ in columns])
        for column, chosen in zip(columns, lists, strict=True):
            if column:
                chosen.append(column[row])
    return found
