"""Optimizer steps, in place on float32 tensors (``numerics.optimizers.adamw``, ``numerics.optimizers``).

Scalars are bits. A list of optional state is empty where the step has none of it.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from mulfree.backends.contract import AdamScalars, AdamWScalars, LionScalars, RMSpropScalars, SGDScalars
from mulfree.backends.select import for_tensor
from mulfree.ops.registry import define_in_place

_adamw_scalars = lru_cache(maxsize=256)(AdamWScalars)

Lists = dict[str, list[Tensor]]
"""Tensors by the name of the argument: the first list is that of the parameters or averages."""


def _each(operation: str, lists: Lists, scalars: object, optional: tuple[str, ...] = ()) -> None:
    """Call the backend's ``operation`` for each parameter with its tensors in the order of ``lists``, contiguous.

    The second list is only read, all others are changed. Lists that are ``optional`` may be empty and give None then.
    """
    names, columns = list(lists), list(lists.values())
    count = len(columns[0])
    for name, column in lists.items():
        if len(column) != count and (column or name not in optional):
            raise RuntimeError(
                f"{operation}(): argument '{name}' must hold {count} tensors like '{names[0]}', got {len(column)}"
            )
    nothing: list[Tensor | None] = [None] * count
    for row in zip(columns[0], *(column or nothing for column in columns[1:]), strict=True):
        step = getattr(for_tensor(row[0]), operation)
        if _are_plain(row):
            step(*row, scalars)
            continue
        _check(operation, {name: x for name, x in zip(names, row, strict=True) if x is not None})
        whole = [None if x is None else x.contiguous() for x in row]
        step(*whole, scalars)
        for i, (x, result) in enumerate(zip(row, whole, strict=True)):
            if x is not None and result is not None and result is not x and i != 1:
                x.copy_(result)


def _are_plain(row: tuple[Tensor | None, ...]) -> bool:
    """True if the tensors go to a kernel as they are. Cheap."""
    param = row[0]
    assert param is not None
    shape, device = param.shape, param.device
    for x in row:
        if x is not None and (
            x.dtype is not torch.float32 or not x.is_contiguous() or x.device != device or x.shape != shape
        ):
            return False
    return True


def _check(operation: str, tensors: dict[str, Tensor]) -> None:
    (first, param), *_ = tensors.items()
    shape, device = param.shape, param.device
    for argument, x in tensors.items():
        if x.dtype is not torch.float32 or x.device != device:
            raise TypeError(
                f"{operation}(): argument '{argument}' must be float32 on {device}, got {x.dtype} on {x.device}"
            )
        if x.shape != shape:
            raise RuntimeError(
                f"{operation}(): argument '{argument}' must be {tuple(shape)} like '{first}', got {tuple(x.shape)}"
            )


def _adamw_(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    lr: int,
    beta1: int,
    beta2: int,
    eps: int,
    decay: int,
    correction1: int,
    correction2: int,
) -> None:
    scalars = _adamw_scalars(lr, beta1, beta2, eps, decay, correction1, correction2)
    lists = {"params": params, "grads": grads, "exp_avgs": exp_avgs, "exp_avg_sqs": exp_avg_sqs}
    _each("adamw_", lists, scalars)


adamw_ = define_in_place(
    "adamw_(Tensor(a!)[] params, Tensor[] grads, Tensor(b!)[] exp_avgs, Tensor(c!)[] exp_avg_sqs, int lr, int beta1, "
    "int beta2, int eps, int decay, int correction1, int correction2) -> ()",
    _adamw_,
    mutated=(0, 2, 3),
)
"""One step of every parameter; the scalars are bits, see ``backends.contract.AdamWScalars``."""


def _adam_(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    max_exp_avg_sqs: list[Tensor],
    lr: int,
    beta1: int,
    beta2: int,
    eps: int,
    decay: int,
    correction1: int,
    correction2: int,
    weight_decay: int,
) -> None:
    scalars = AdamScalars(lr, beta1, beta2, eps, decay, correction1, correction2, weight_decay)
    lists = {
        "params": params,
        "grads": grads,
        "exp_avgs": exp_avgs,
        "exp_avg_sqs": exp_avg_sqs,
        "max_exp_avg_sqs": max_exp_avg_sqs,
    }
    _each("adam_", lists, scalars, optional=("max_exp_avg_sqs",))


adam_ = define_in_place(
    "adam_(Tensor(a!)[] params, Tensor[] grads, Tensor(b!)[] exp_avgs, Tensor(c!)[] exp_avg_sqs, "
    "Tensor(d!)[] max_exp_avg_sqs, int lr, int beta1, int beta2, int eps, int decay, int correction1, "
    "int correction2, int weight_decay) -> ()",
    _adam_,
    mutated=(0, 2, 3, 4),
)
"""The general form of Adam: an L2 penalty, and ``max_exp_avg_sqs`` for amsgrad (else empty)."""


def _sgd_(
    params: list[Tensor],
    grads: list[Tensor],
    momentum_buffers: list[Tensor],
    lr: int,
    momentum: int,
    rest: int,
    weight_decay: int,
    nesterov: bool,
) -> None:
    scalars = SGDScalars(lr, momentum, rest, weight_decay, nesterov)
    lists = {"params": params, "grads": grads, "momentum_buffers": momentum_buffers}
    _each("sgd_", lists, scalars, optional=("momentum_buffers",))


sgd_ = define_in_place(
    "sgd_(Tensor(a!)[] params, Tensor[] grads, Tensor(b!)[] momentum_buffers, int lr, int momentum, int rest, "
    "int weight_decay, bool nesterov) -> ()",
    _sgd_,
    mutated=(0, 2),
)
"""``momentum_buffers`` is empty if and only if the momentum is zero; ``rest`` is 1 - dampening."""


def _rmsprop_(
    params: list[Tensor],
    grads: list[Tensor],
    square_avgs: list[Tensor],
    grad_avgs: list[Tensor],
    momentum_buffers: list[Tensor],
    lr: int,
    alpha: int,
    eps: int,
    weight_decay: int,
    momentum: int,
) -> None:
    scalars = RMSpropScalars(lr, alpha, eps, weight_decay, momentum)
    lists = {
        "params": params,
        "grads": grads,
        "square_avgs": square_avgs,
        "grad_avgs": grad_avgs,
        "momentum_buffers": momentum_buffers,
    }
    _each("rmsprop_", lists, scalars, optional=("grad_avgs", "momentum_buffers"))


rmsprop_ = define_in_place(
    "rmsprop_(Tensor(a!)[] params, Tensor[] grads, Tensor(b!)[] square_avgs, Tensor(c!)[] grad_avgs, "
    "Tensor(d!)[] momentum_buffers, int lr, int alpha, int eps, int weight_decay, int momentum) -> ()",
    _rmsprop_,
    mutated=(0, 2, 3, 4),
)
"""``grad_avgs`` for the centered form and ``momentum_buffers`` with momentum, else empty."""


def _lion_(
    params: list[Tensor], grads: list[Tensor], exp_avgs: list[Tensor], lr: int, beta1: int, beta2: int, decay: int
) -> None:
    scalars = LionScalars(lr, beta1, beta2, decay)
    lists = {"params": params, "grads": grads, "exp_avgs": exp_avgs}
    _each("lion_", lists, scalars)


lion_ = define_in_place(
    "lion_(Tensor(a!)[] params, Tensor[] grads, Tensor(b!)[] exp_avgs, int lr, int beta1, int beta2, int decay) -> ()",
    _lion_,
    mutated=(0, 2),
)
"""``decay`` is lr * weight_decay."""


def _moving_average_(averages: list[Tensor], params: list[Tensor], share: int) -> None:
    _each("moving_average_", {"averages": averages, "params": params}, share)


moving_average_ = define_in_place(
    "moving_average_(Tensor(a!)[] averages, Tensor[] params, int share) -> ()", _moving_average_, mutated=(0,)
)
"""Every average moves by ``share`` of its distance to its parameter."""
