"""Modules with the names, constructors and state dicts of ``torch.nn``.

Each is a subclass of torch's module with keyword-only options added: ``derivative``, and for matrix products
``mantissa_bits`` and ``compensation`` (see ``mulfree.functional``).
"""

from mulfree.nn._attention import MultiheadAttention
from mulfree.nn._modules import GELU, CrossEntropyLoss, Dropout, LayerNorm, Linear, LogSoftmax, Softmax

__all__ = [
    "GELU",
    "CrossEntropyLoss",
    "Dropout",
    "LayerNorm",
    "Linear",
    "LogSoftmax",
    "MultiheadAttention",
    "Softmax",
]
