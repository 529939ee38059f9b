"""Activations, softmax, dropout."""

from __future__ import annotations

import torch

from mulfree.nn._base import PiecewiseAffine


class GELU(PiecewiseAffine, torch.nn.GELU):
    """``torch.nn.GELU`` in piecewise affine arithmetic."""


class SiLU(PiecewiseAffine, torch.nn.SiLU):
    """``torch.nn.SiLU`` in piecewise affine arithmetic."""


class Mish(PiecewiseAffine, torch.nn.Mish):
    """``torch.nn.Mish`` in piecewise affine arithmetic."""


class Sigmoid(PiecewiseAffine, torch.nn.Sigmoid):
    """``torch.nn.Sigmoid`` in piecewise affine arithmetic."""


class Tanh(PiecewiseAffine, torch.nn.Tanh):
    """``torch.nn.Tanh`` in piecewise affine arithmetic."""


class LogSigmoid(PiecewiseAffine, torch.nn.LogSigmoid):
    """``torch.nn.LogSigmoid`` in piecewise affine arithmetic."""


class Softplus(PiecewiseAffine, torch.nn.Softplus):
    """``torch.nn.Softplus`` in piecewise affine arithmetic."""


class Softsign(PiecewiseAffine, torch.nn.Softsign):
    """``torch.nn.Softsign`` in piecewise affine arithmetic."""


class Tanhshrink(PiecewiseAffine, torch.nn.Tanhshrink):
    """``torch.nn.Tanhshrink`` in piecewise affine arithmetic."""


class ELU(PiecewiseAffine, torch.nn.ELU):
    """``torch.nn.ELU`` in piecewise affine arithmetic."""


class CELU(PiecewiseAffine, torch.nn.CELU):
    """``torch.nn.CELU`` in piecewise affine arithmetic."""


class SELU(PiecewiseAffine, torch.nn.SELU):
    """``torch.nn.SELU`` in piecewise affine arithmetic."""


class GLU(PiecewiseAffine, torch.nn.GLU):
    """``torch.nn.GLU`` in piecewise affine arithmetic."""


class LeakyReLU(PiecewiseAffine, torch.nn.LeakyReLU):
    """``torch.nn.LeakyReLU`` in piecewise affine arithmetic."""


class PReLU(PiecewiseAffine, torch.nn.PReLU):
    """``torch.nn.PReLU`` in piecewise affine arithmetic."""


class RReLU(PiecewiseAffine, torch.nn.RReLU):
    """``torch.nn.RReLU`` in piecewise affine arithmetic."""


class Hardsigmoid(PiecewiseAffine, torch.nn.Hardsigmoid):
    """``torch.nn.Hardsigmoid`` in piecewise affine arithmetic."""


class Hardswish(PiecewiseAffine, torch.nn.Hardswish):
    """``torch.nn.Hardswish`` in piecewise affine arithmetic."""


class Softmax(PiecewiseAffine, torch.nn.Softmax):
    """``torch.nn.Softmax`` in piecewise affine arithmetic."""


class Softmin(PiecewiseAffine, torch.nn.Softmin):
    """``torch.nn.Softmin`` in piecewise affine arithmetic."""


class LogSoftmax(PiecewiseAffine, torch.nn.LogSoftmax):
    """``torch.nn.LogSoftmax`` in piecewise affine arithmetic."""


class Softmax2d(PiecewiseAffine, torch.nn.Softmax2d):
    """``torch.nn.Softmax2d`` in piecewise affine arithmetic."""


class Dropout(PiecewiseAffine, torch.nn.Dropout):
    """``torch.nn.Dropout`` in piecewise affine arithmetic."""


class Dropout1d(PiecewiseAffine, torch.nn.Dropout1d):
    """``torch.nn.Dropout1d`` in piecewise affine arithmetic."""


class Dropout2d(PiecewiseAffine, torch.nn.Dropout2d):
    """``torch.nn.Dropout2d`` in piecewise affine arithmetic."""


class Dropout3d(PiecewiseAffine, torch.nn.Dropout3d):
    """``torch.nn.Dropout3d`` in piecewise affine arithmetic."""


class AlphaDropout(PiecewiseAffine, torch.nn.AlphaDropout):
    """``torch.nn.AlphaDropout`` in piecewise affine arithmetic."""


class FeatureAlphaDropout(PiecewiseAffine, torch.nn.FeatureAlphaDropout):
    """``torch.nn.FeatureAlphaDropout`` in piecewise affine arithmetic."""
