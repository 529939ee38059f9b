"""Means over windows, interpolation, distances."""

from __future__ import annotations

import torch

from mulfree.nn._base import PiecewiseAffine


class AvgPool1d(PiecewiseAffine, torch.nn.AvgPool1d):
    """``torch.nn.AvgPool1d`` in piecewise affine arithmetic."""


class AvgPool2d(PiecewiseAffine, torch.nn.AvgPool2d):
    """``torch.nn.AvgPool2d`` in piecewise affine arithmetic."""


class AvgPool3d(PiecewiseAffine, torch.nn.AvgPool3d):
    """``torch.nn.AvgPool3d`` in piecewise affine arithmetic."""


class AdaptiveAvgPool1d(PiecewiseAffine, torch.nn.AdaptiveAvgPool1d):
    """``torch.nn.AdaptiveAvgPool1d`` in piecewise affine arithmetic."""


class AdaptiveAvgPool2d(PiecewiseAffine, torch.nn.AdaptiveAvgPool2d):
    """``torch.nn.AdaptiveAvgPool2d`` in piecewise affine arithmetic."""


class AdaptiveAvgPool3d(PiecewiseAffine, torch.nn.AdaptiveAvgPool3d):
    """``torch.nn.AdaptiveAvgPool3d`` in piecewise affine arithmetic."""


class LPPool1d(PiecewiseAffine, torch.nn.LPPool1d):
    """``torch.nn.LPPool1d`` in piecewise affine arithmetic."""


class LPPool2d(PiecewiseAffine, torch.nn.LPPool2d):
    """``torch.nn.LPPool2d`` in piecewise affine arithmetic."""


class Upsample(PiecewiseAffine, torch.nn.Upsample):
    """``torch.nn.Upsample`` in piecewise affine arithmetic."""


class EmbeddingBag(PiecewiseAffine, torch.nn.EmbeddingBag):
    """``torch.nn.EmbeddingBag`` in piecewise affine arithmetic."""


class CosineSimilarity(PiecewiseAffine, torch.nn.CosineSimilarity):
    """``torch.nn.CosineSimilarity`` in piecewise affine arithmetic."""


class PairwiseDistance(PiecewiseAffine, torch.nn.PairwiseDistance):
    """``torch.nn.PairwiseDistance`` in piecewise affine arithmetic."""
