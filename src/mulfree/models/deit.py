"""DeiT (Touvron et al., 2021) without distillation: the network of Dosovitskiy et al., 2021, with drop-path."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DropPath(nn.Module):
    """Leaves out the whole branch of a residual block for single images in training (Huang et al., 2016).

    Those that stay are divided by the probability of staying.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, ...) ->`` the same shape."""
        if not (self.training and self.probability):
            return x
        ones = x.new_ones((x.shape[0],) + (1,) * (x.dim() - 1))
        result: Tensor = x * F.dropout(ones, self.probability)
        return result


class Attention(nn.Module):
    """Self-attention with one linear layer for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, tokens, width) ->`` the same shape."""
        batch, tokens, width = x.shape
        parts = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*parts.unbind(0))
        result: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return result


class Block(nn.Module):
    """``x + path(attention(norm(x)))``, then ``x + path(mlp(norm(x)))``."""

    def __init__(self, width: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, tokens, width) ->`` the same shape."""
        x = x + self.path(self.attn(self.norm1(x)))
        result: Tensor = x + self.path(self.mlp(self.norm2(x)))
        return result


class DeiT(nn.Module):
    """Patches by a strided convolution, a class token, learned positions, pre-norm blocks, a linear head.

    The defaults are DeiT-Tiny with patches of 16 pixels: 12 blocks, 3 heads, width 192; 5,717,416 parameters with 1000
    classes. Drop-path grows linearly from zero in the first block to ``drop_path`` in the last.

    Args:
        image_size: height and width of the images in pixels; a multiple of ``patch``.
        patch: height and width of a patch.
        classes: width of the result.
        width, depth, heads: of the transformer; the feed-forward layers are 4 ``width`` wide.
        drop_path: probability of leaving out a branch of the last block.

    Raises:
        ValueError: sizes that do not divide each other.
    """

    def __init__(
        self,
        *,
        image_size: int = 224,
        patch: int = 16,
        classes: int = 1000,
        width: int = 192,
        depth: int = 12,
        heads: int = 3,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        if image_size % patch or width % heads:
            raise ValueError(
                f"image_size must be a multiple of patch and width of heads, got {image_size} and {patch}, {width} and "
                f"{heads}"
            )
        tokens = (image_size // patch) ** 2 + 1
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, tokens, width))
        rates = [drop_path * i / max(depth - 1, 1) for i in range(depth)]
        self.blocks = nn.Sequential(*(Block(width, heads, rate) for rate in rates))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)
        nn.init.trunc_normal_(self.positions, std=0.02)
        nn.init.trunc_normal_(self.class_token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """``(batch, 3, image_size, image_size) -> (batch, classes)``."""
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1) + self.positions
        scores: Tensor = self.head(self.norm(self.blocks(x))[:, 0])
        return scores
