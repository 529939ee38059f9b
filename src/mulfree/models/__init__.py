"""Networks in plain PyTorch: nothing here knows of multiplication-free arithmetic."""

from mulfree.models.vit import VisionTransformer

__all__ = ["VisionTransformer"]
