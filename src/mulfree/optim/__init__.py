"""Optimizers, learning rate schedules and gradient clipping without multiplication."""

from mulfree.optim.adam import Adam
from mulfree.optim.adamw import AdamW
from mulfree.optim.clipping import clip_grad_norm_, clip_grad_value_
from mulfree.optim.lion import Lion
from mulfree.optim.rmsprop import RMSprop
from mulfree.optim.schedules import WarmupCosineLR
from mulfree.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Lion", "RMSprop", "WarmupCosineLR", "clip_grad_norm_", "clip_grad_value_"]
