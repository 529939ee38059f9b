"""Train neural networks without a single floating-point multiplication."""

from mulfree import functional, nn, optim
from mulfree.audit import audit
from mulfree.backends.select import backend
from mulfree.convert import convert, revert, summary
from mulfree.policy import Policy

__all__ = ["Policy", "audit", "backend", "convert", "functional", "nn", "optim", "revert", "summary"]
