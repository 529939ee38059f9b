"""Train neural networks without a single floating-point multiplication."""

from mulfree import functional, nn, optim
from mulfree.backends.select import backend
from mulfree.convert import convert
from mulfree.policy import Policy

__all__ = ["Policy", "backend", "convert", "functional", "nn", "optim"]
