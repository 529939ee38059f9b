"""Normalization."""

from __future__ import annotations

import torch

from mulfree.nn._base import PiecewiseAffine


class LayerNorm(PiecewiseAffine, torch.nn.LayerNorm):
    """``torch.nn.LayerNorm`` in piecewise affine arithmetic."""


class RMSNorm(PiecewiseAffine, torch.nn.RMSNorm):
    """``torch.nn.RMSNorm`` in piecewise affine arithmetic."""


class BatchNorm1d(PiecewiseAffine, torch.nn.BatchNorm1d):
    """``torch.nn.BatchNorm1d`` in piecewise affine arithmetic."""


class BatchNorm2d(PiecewiseAffine, torch.nn.BatchNorm2d):
    """``torch.nn.BatchNorm2d`` in piecewise affine arithmetic."""


class BatchNorm3d(PiecewiseAffine, torch.nn.BatchNorm3d):
    """``torch.nn.BatchNorm3d`` in piecewise affine arithmetic."""


class GroupNorm(PiecewiseAffine, torch.nn.GroupNorm):
    """``torch.nn.GroupNorm`` in piecewise affine arithmetic."""


class InstanceNorm1d(PiecewiseAffine, torch.nn.InstanceNorm1d):
    """``torch.nn.InstanceNorm1d`` in piecewise affine arithmetic."""


class InstanceNorm2d(PiecewiseAffine, torch.nn.InstanceNorm2d):
    """``torch.nn.InstanceNorm2d`` in piecewise affine arithmetic."""


class InstanceNorm3d(PiecewiseAffine, torch.nn.InstanceNorm3d):
    """``torch.nn.InstanceNorm3d`` in piecewise affine arithmetic."""


class LocalResponseNorm(PiecewiseAffine, torch.nn.LocalResponseNorm):
    """``torch.nn.LocalResponseNorm`` in piecewise affine arithmetic."""
