"""The Vision Transformer in plain PyTorch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mulfree import audit
from mulfree.models import VisionTransformer


def test_parameter_count() -> None:
    width, hidden, tokens, patch, classes = 64, 128, 16, 4, 10
    attention = 3 * width * (width + 1) + width * (width + 1)
    mlp = hidden * (width + 1) + width * (hidden + 1)
    block = attention + mlp + 2 * 2 * width
    total = width * (patch + 1) + tokens * width + 2 * block + 2 * width + classes * (width + 1)
    assert sum(p.numel() for p in VisionTransformer().parameters()) == total


def test_shapes() -> None:
    assert VisionTransformer()(torch.zeros(3, 1, 8, 8)).shape == (3, 10)
    model = VisionTransformer(image_size=12, patch_size=3, channels=2, classes=7, width=24, depth=1, heads=3, hidden=20)
    assert model(torch.zeros(5, 2, 12, 12)).shape == (5, 7)


def test_patches_are_the_squares_of_the_image() -> None:
    image = torch.arange(64.0).reshape(1, 1, 8, 8)
    patches = VisionTransformer().patches(image)[0]
    for i in range(16):
        row, column = divmod(i, 4)
        assert torch.equal(patches[i], image[0, 0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].reshape(4))


@pytest.mark.parametrize(("arguments", "message"), [({"patch_size": 3}, "patch_size"), ({"heads": 5}, "heads")])
def test_bad_sizes(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VisionTransformer(**arguments)


def test_bad_images() -> None:
    with pytest.raises(ValueError, match="images must have shape"):
        VisionTransformer()(torch.zeros(3, 8, 8))


def test_only_replaceable_modules_multiply() -> None:
    model = VisionTransformer(dropout=0.1)
    with audit() as found:
        model(torch.rand(2, 1, 8, 8, requires_grad=True)).sum().backward()
    replaceable = (nn.Linear, nn.LayerNorm, nn.MultiheadAttention, nn.GELU, nn.Dropout)
    inside = {name for name, module in model.named_modules() if isinstance(module, replaceable)}
    outside = [f for f in found.findings if f.module not in inside and "rand" not in f.op]
    assert outside == [], outside
