"""Replace the multiplying modules of a model by their counterparts without multiplication."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

import mulfree.nn as mnn
from mulfree.policy import Group, Policy, Products

_Model = TypeVar("_Model", bound=torch.nn.Module)

Where = Callable[[str, torch.nn.Module], bool]

_COUNTERPARTS: dict[type[torch.nn.Module], tuple[type[torch.nn.Module], str]] = {
    torch.nn.Linear: (mnn.Linear, "matmul"),
    torch.nn.MultiheadAttention: (mnn.MultiheadAttention, "matmul"),
    torch.nn.LayerNorm: (mnn.LayerNorm, "norm"),
    torch.nn.GELU: (mnn.GELU, "activation"),
    torch.nn.Softmax: (mnn.Softmax, "softmax"),
    torch.nn.LogSoftmax: (mnn.LogSoftmax, "softmax"),
    torch.nn.Dropout: (mnn.Dropout, "elementwise"),
    torch.nn.CrossEntropyLoss: (mnn.CrossEntropyLoss, "loss"),
}
"""torch's type: ours, and the policy's group that decides about it."""
_GROUPS = dict(_COUNTERPARTS.values())

_FREE: tuple[type[torch.nn.Module], ...] = (
    torch.nn.Sequential,
    torch.nn.ModuleList,
    torch.nn.ModuleDict,
    torch.nn.ParameterList,
    torch.nn.ParameterDict,
    torch.nn.Identity,
    torch.nn.Flatten,
    torch.nn.Unflatten,
    torch.nn.ReLU,
    torch.nn.ReLU6,
    torch.nn.MaxPool1d,
    torch.nn.MaxPool2d,
    torch.nn.ZeroPad2d,
    torch.nn.PixelShuffle,
    torch.nn.PixelUnshuffle,
)
"""Types of torch that only move, add, compare or hold."""

_GROUP_OF_FILE = {
    "conv": "matmul",
    "rnn": "matmul",
    "linear": "matmul",
    "batchnorm": "norm",
    "instancenorm": "norm",
    "normalization": "norm",
    "activation": "activation",
    "loss": "loss",
}
"""The group that a type of torch without counterpart belongs to, by the file that defines it; else elementwise."""


def convert(model: _Model, policy: Policy | None = None, where: Where | None = None) -> _Model:
    """Make the modules inside ``model`` compute without multiplication, in place.

    Every module keeps its identity, its parameters, their names, its hooks and its training flag; only its class
    becomes the counterpart in ``mulfree.nn``. State dicts fit before and after.

    Args:
        model: any module, itself included in the conversion.
        policy: which groups of operations to replace and how; ``Policy.full()`` by default.
        where: ``where(name, module)`` is asked for every module, named as in ``named_modules``; modules for which
            it is False stay as they are.

    Returns:
        ``model``.

    Raises:
        NotImplementedError: a module of torch multiplies and has no counterpart, or a module is of a class
            derived from one that would be replaced; the message names it. Nothing has been changed then.

    Deviations: operations that a user-defined ``forward`` calls itself are not seen. ``torch.nn.MultiheadAttention``
    needs the groups matmul and softmax both on or both off.
    """
    chosen = Policy.full() if policy is None else policy
    modules = [
        (name, module)
        for name, module in model.named_modules()
        if not _belongs_to_attention(model, name) and (where is None or where(name, module))
    ]
    for name, module in modules:
        _check(name, module, chosen)
    for _, module in modules:
        _replace(module, chosen)
    return model


def _belongs_to_attention(model: torch.nn.Module, name: str) -> bool:
    """True for the output projection that ``MultiheadAttention`` applies itself."""
    parent, _, leaf = name.rpartition(".")
    return leaf == "out_proj" and isinstance(model.get_submodule(parent), torch.nn.MultiheadAttention)


def _check(name: str, module: torch.nn.Module, policy: Policy) -> None:
    kind = type(module)
    path = f"{name or 'the model'} ({kind.__module__}.{kind.__qualname__})"
    if kind in _COUNTERPARTS or kind in _GROUPS:
        if isinstance(module, torch.nn.MultiheadAttention) and policy.matmul.on != policy.softmax.on:
            raise NotImplementedError(f"convert(): {path} needs the groups matmul and softmax both on or both off")
        return
    if kind in _FREE or _is_plain_embedding(module):
        return
    for original, (_, group) in _COUNTERPARTS.items():
        if isinstance(module, original) and _group(policy, group).on:
            raise NotImplementedError(
                f"convert(): {path} is derived from torch.nn.{original.__name__} and may compute differently; "
                "exclude it with 'where' or derive it from the class in mulfree.nn"
            )
    if kind.__module__.startswith("torch."):
        group = _GROUP_OF_FILE.get(kind.__module__.rpartition(".")[2], "elementwise")
        if _group(policy, group).on:
            raise NotImplementedError(
                f"convert(): {path} multiplies and has no counterpart in mulfree.nn; exclude it with 'where' or "
                f"switch the policy's group '{group}' off"
            )


def _is_plain_embedding(module: torch.nn.Module) -> bool:
    """An embedding only looks up, unless it rescales rows or gradients."""
    return type(module) is torch.nn.Embedding and module.max_norm is None and not module.scale_grad_by_freq


def _replace(module: torch.nn.Module, policy: Policy) -> None:
    kind = type(module)
    counterpart, name = _COUNTERPARTS.get(kind) or (kind, _GROUPS.get(kind))
    if name is None or not _group(policy, name).on:
        return
    module.__class__ = counterpart
    for option, setting in _options(module, _group(policy, name)).items():
        setattr(module, option, setting)


def _options(module: torch.nn.Module, group: Group) -> dict[str, Any]:
    if isinstance(module, mnn.Dropout):
        return {}
    options: dict[str, Any] = {"derivative": group.derivative}
    if isinstance(group, Products):
        options |= {"mantissa_bits": group.mantissa_bits, "compensation": group.compensation}
    return options


def _group(policy: Policy, name: str) -> Group:
    group: Group = getattr(policy, name)
    return group
