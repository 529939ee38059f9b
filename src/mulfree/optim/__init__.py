"""Optimizers, learning rate schedules, gradient clipping and averages without multiplication."""

from mulfree.optim.adam import Adam
from mulfree.optim.adamw import AdamW
from mulfree.optim.averaging import (
    ExponentialMovingAverage,
    average_gradients,
    get_ema_multi_avg_fn,
    get_swa_multi_avg_fn,
)
from mulfree.optim.clipping import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from mulfree.optim.lion import Lion
from mulfree.optim.rmsprop import RMSprop
from mulfree.optim.schedules import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    InverseSquareRootLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
    WarmupConstantLR,
    WarmupCosineLR,
)
from mulfree.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "ConstantLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "ExponentialMovingAverage",
    "InverseSquareRootLR",
    "LinearLR",
    "Lion",
    "MultiStepLR",
    "PolynomialLR",
    "RMSprop",
    "StepLR",
    "WarmupConstantLR",
    "WarmupCosineLR",
    "average_gradients",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_ema_multi_avg_fn",
    "get_swa_multi_avg_fn",
    "get_total_norm",
]
