"""Calls of the dispatcher's functions, whose arguments differ from those of ``torch.nn.functional``.

``torch.batch_norm`` and ``torch.ops.aten.batch_norm`` order their arguments in another way than
``F.batch_norm``, losses take the reduction as a number, and so on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch

from mulfree.policy import Policy

_NAMES: Final = """
    batch_norm instance_norm group_norm layer_norm embedding kl_div binary_cross_entropy
    binary_cross_entropy_with_logits cosine_embedding_loss margin_ranking_loss hinge_embedding_loss
    triplet_margin_loss poisson_nll_loss nll_loss cross_entropy_loss mse_loss l1_loss smooth_l1_loss huber_loss
    soft_margin_loss multi_margin_loss dropout alpha_dropout
    feature_alpha_dropout
"""
DIFFERENT: Final = frozenset(_NAMES.split())
"""Functions whose dispatcher form differs."""

_RENAMED = {"self": "input", "indices": "input", "train": "training", "use_input_stats": "use_input_stats"}
_DROPPED = frozenset({"cudnn_enable", "cudnn_enabled", "sparse"})
_REDUCTIONS = ("none", "mean", "sum")


def is_dispatcher_form(function: Callable[..., Any], name: str) -> bool:
    """True for a function of the dispatcher whose arguments are not those of its namesake."""
    of_dispatcher = isinstance(function, torch._ops.OpOverload) or getattr(function, "__module__", "") in (
        "torch",
        "torch._C._nn",
    )
    return of_dispatcher and name in DIFFERENT


def translated(apply: Callable[..., Any], function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """``apply`` for a call with the dispatcher's arguments."""
    if not isinstance(function, torch._ops.OpOverload):
        packet = getattr(torch.ops.aten, name)
        function = getattr(packet, packet.overloads()[0])
    names: list[str] = [argument.name for argument in function._schema.arguments]  # type: ignore[attr-defined]

    def call(policy: Policy, *args: Any, **kwargs: Any) -> Any:
        given: dict[str, Any] = dict(zip(names, args, strict=False)) | kwargs
        translation = {_RENAMED.get(key, key): value for key, value in given.items() if key not in _DROPPED}
        if isinstance(translation.get("reduction"), int):
            translation["reduction"] = _REDUCTIONS[translation["reduction"]]
        if name == "embedding" and translation.get("padding_idx") == -1:
            del translation["padding_idx"]
        return apply(policy, **translation)

    return call
