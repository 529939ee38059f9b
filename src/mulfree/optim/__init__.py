"""Optimizers, learning rate schedules and gradient clipping without multiplication."""

from mulfree.optim.adamw import AdamW
from mulfree.optim.clipping import clip_grad_norm_, clip_grad_value_
from mulfree.optim.schedules import WarmupCosineLR

__all__ = ["AdamW", "WarmupCosineLR", "clip_grad_norm_", "clip_grad_value_"]
