"""Train neural networks without a single floating-point multiplication."""

from importlib.metadata import PackageNotFoundError, version

from mulfree import functional, nn, optim
from mulfree.audit import audit
from mulfree.backends.select import backend
from mulfree.convert import convert, revert, summary
from mulfree.policy import Policy

try:
    __version__ = version("mulfree")
except PackageNotFoundError:  # a folder on the path, not installed
    __version__ = "unknown"

__all__ = ["Policy", "__version__", "audit", "backend", "convert", "functional", "nn", "optim", "revert", "summary"]
