"""Linear layers, convolutions, attention, recurrent layers: modules with matrix products."""

from __future__ import annotations

import torch

from mulfree.nn._base import WithProducts


class Linear(WithProducts, torch.nn.Linear):
    """``torch.nn.Linear`` in piecewise affine arithmetic."""


class Bilinear(WithProducts, torch.nn.Bilinear):
    """``torch.nn.Bilinear`` in piecewise affine arithmetic."""


class Conv1d(WithProducts, torch.nn.Conv1d):
    """``torch.nn.Conv1d`` in piecewise affine arithmetic."""


class Conv2d(WithProducts, torch.nn.Conv2d):
    """``torch.nn.Conv2d`` in piecewise affine arithmetic."""


class Conv3d(WithProducts, torch.nn.Conv3d):
    """``torch.nn.Conv3d`` in piecewise affine arithmetic."""


class ConvTranspose1d(WithProducts, torch.nn.ConvTranspose1d):
    """``torch.nn.ConvTranspose1d`` in piecewise affine arithmetic."""


class ConvTranspose2d(WithProducts, torch.nn.ConvTranspose2d):
    """``torch.nn.ConvTranspose2d`` in piecewise affine arithmetic."""


class ConvTranspose3d(WithProducts, torch.nn.ConvTranspose3d):
    """``torch.nn.ConvTranspose3d`` in piecewise affine arithmetic."""


class MultiheadAttention(WithProducts, torch.nn.MultiheadAttention):
    """``torch.nn.MultiheadAttention`` in piecewise affine arithmetic."""


class Transformer(WithProducts, torch.nn.Transformer):
    """``torch.nn.Transformer`` in piecewise affine arithmetic."""


class TransformerEncoder(WithProducts, torch.nn.TransformerEncoder):
    """``torch.nn.TransformerEncoder`` in piecewise affine arithmetic."""


class TransformerDecoder(WithProducts, torch.nn.TransformerDecoder):
    """``torch.nn.TransformerDecoder`` in piecewise affine arithmetic."""


class TransformerEncoderLayer(WithProducts, torch.nn.TransformerEncoderLayer):
    """``torch.nn.TransformerEncoderLayer`` in piecewise affine arithmetic."""


class TransformerDecoderLayer(WithProducts, torch.nn.TransformerDecoderLayer):
    """``torch.nn.TransformerDecoderLayer`` in piecewise affine arithmetic."""


class RNN(WithProducts, torch.nn.RNN):
    """``torch.nn.RNN`` in piecewise affine arithmetic."""


class LSTM(WithProducts, torch.nn.LSTM):
    """``torch.nn.LSTM`` in piecewise affine arithmetic."""


class GRU(WithProducts, torch.nn.GRU):
    """``torch.nn.GRU`` in piecewise affine arithmetic."""


class RNNCell(WithProducts, torch.nn.RNNCell):
    """``torch.nn.RNNCell`` in piecewise affine arithmetic."""


class LSTMCell(WithProducts, torch.nn.LSTMCell):
    """``torch.nn.LSTMCell`` in piecewise affine arithmetic."""


class GRUCell(WithProducts, torch.nn.GRUCell):
    """``torch.nn.GRUCell`` in piecewise affine arithmetic."""
