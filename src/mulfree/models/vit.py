"""A small Vision Transformer (Dosovitskiy et al., 2021) in plain PyTorch.

Everything that multiplies is inside ``nn.Linear``, ``nn.LayerNorm``, ``nn.MultiheadAttention``, ``nn.GELU``
and ``nn.Dropout``; between the modules there are only additions and reshapes. So replacing these modules makes
the whole network multiplication-free. The patches are read out by their sum: the layer norm that follows makes
it the usual mean without a division.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Pre-norm transformer block: ``x + attention(norm(x))``, then ``x + mlp(norm(x))``."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.dropout1 = nn.Dropout(dropout)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.activation = nn.GELU()
        self.contract = nn.Linear(hidden, width)
        self.dropout2 = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, tokens, width) -> (batch, tokens, width)``."""
        y = self.norm1(x)
        x = x + self.dropout1(self.attention(y, y, y, need_weights=False)[0])
        y = self.contract(self.activation(self.expand(self.norm2(x))))
        result: Tensor = x + self.dropout2(y)
        return result


class VisionTransformer(nn.Module):
    """Image classifier: linear patch embedding, learned positions, pre-norm blocks, linear head.

    The defaults suit the 8x8 digits: 16 patches of 2x2 pixels, two blocks of width 64.

    Args:
        image_size: height and width of the images in pixels; a multiple of ``patch_size``.
        patch_size: height and width of a patch in pixels.
        channels: channels of the images.
        classes: number of classes, the width of the result.
        width: features of a token; a multiple of ``heads``.
        depth: number of blocks.
        heads: attention heads of a block.
        hidden: width between the two linear layers of a block; default ``2 * width``.
        dropout: probability of dropping an attention weight or a feature of a block's branch in training.

    Raises:
        ValueError: sizes that do not divide each other.
    """

    def __init__(
        self,
        *,
        image_size: int = 8,
        patch_size: int = 2,
        channels: int = 1,
        classes: int = 10,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        hidden: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ValueError(f"image_size must be a multiple of patch_size, got {image_size} and {patch_size}")
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, got {width} and {heads}")
        self.image_size, self.patch_size, self.channels = image_size, patch_size, channels
        side = image_size // patch_size
        self.embedding = nn.Linear(channels * patch_size**2, width)
        self.positions = nn.Parameter(torch.empty(1, side**2, width))
        self.blocks = nn.ModuleList(Block(width, heads, hidden or 2 * width, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        # About as large as the embedded patches: small positions start as bags of patches and end less accurate.
        nn.init.trunc_normal_(self.positions, std=0.5)

    def patches(self, images: Tensor) -> Tensor:
        """``(batch, channels, height, width) -> (batch, patches, channels * patch_size**2)``, row by row."""
        size, side = self.patch_size, self.image_size // self.patch_size
        blocks = images.reshape(images.shape[0], self.channels, side, size, side, size)
        return blocks.permute(0, 2, 4, 1, 3, 5).reshape(images.shape[0], side * side, -1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits: ``(batch, channels, height, width) -> (batch, classes)``.

        Raises:
            ValueError: images of another shape.
        """
        expected = (self.channels, self.image_size, self.image_size)
        if tuple(images.shape[1:]) != expected:
            raise ValueError(f"images must have shape (batch, *{expected}), got {tuple(images.shape)}")
        x = self.embedding(self.patches(images)) + self.positions
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x.sum(dim=1)))
        return logits
