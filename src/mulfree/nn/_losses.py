"""Losses."""

from __future__ import annotations

import torch

from mulfree.nn._base import Loss


class CrossEntropyLoss(Loss, torch.nn.CrossEntropyLoss):
    """``torch.nn.CrossEntropyLoss`` in piecewise affine arithmetic."""


class NLLLoss(Loss, torch.nn.NLLLoss):
    """``torch.nn.NLLLoss`` in piecewise affine arithmetic."""


class BCELoss(Loss, torch.nn.BCELoss):
    """``torch.nn.BCELoss`` in piecewise affine arithmetic."""


class BCEWithLogitsLoss(Loss, torch.nn.BCEWithLogitsLoss):
    """``torch.nn.BCEWithLogitsLoss`` in piecewise affine arithmetic."""


class MSELoss(Loss, torch.nn.MSELoss):
    """``torch.nn.MSELoss`` in piecewise affine arithmetic."""


class L1Loss(Loss, torch.nn.L1Loss):
    """``torch.nn.L1Loss`` in piecewise affine arithmetic."""


class SmoothL1Loss(Loss, torch.nn.SmoothL1Loss):
    """``torch.nn.SmoothL1Loss`` in piecewise affine arithmetic."""


class HuberLoss(Loss, torch.nn.HuberLoss):
    """``torch.nn.HuberLoss`` in piecewise affine arithmetic."""


class KLDivLoss(Loss, torch.nn.KLDivLoss):
    """``torch.nn.KLDivLoss`` in piecewise affine arithmetic."""


class GaussianNLLLoss(Loss, torch.nn.GaussianNLLLoss):
    """``torch.nn.GaussianNLLLoss`` in piecewise affine arithmetic."""


class PoissonNLLLoss(Loss, torch.nn.PoissonNLLLoss):
    """``torch.nn.PoissonNLLLoss`` in piecewise affine arithmetic."""


class SoftMarginLoss(Loss, torch.nn.SoftMarginLoss):
    """``torch.nn.SoftMarginLoss`` in piecewise affine arithmetic."""


class HingeEmbeddingLoss(Loss, torch.nn.HingeEmbeddingLoss):
    """``torch.nn.HingeEmbeddingLoss`` in piecewise affine arithmetic."""


class MarginRankingLoss(Loss, torch.nn.MarginRankingLoss):
    """``torch.nn.MarginRankingLoss`` in piecewise affine arithmetic."""


class CosineEmbeddingLoss(Loss, torch.nn.CosineEmbeddingLoss):
    """``torch.nn.CosineEmbeddingLoss`` in piecewise affine arithmetic."""


class TripletMarginLoss(Loss, torch.nn.TripletMarginLoss):
    """``torch.nn.TripletMarginLoss`` in piecewise affine arithmetic."""


class MultiMarginLoss(Loss, torch.nn.MultiMarginLoss):
    """``torch.nn.MultiMarginLoss`` in piecewise affine arithmetic."""
