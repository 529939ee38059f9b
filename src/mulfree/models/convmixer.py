"""ConvMixer (Trockman & Kolter, 2022)."""

from __future__ import annotations

from torch import Tensor, nn


class _Mixing(nn.Module):
    """``x + norm(gelu(depthwise(x)))``, then ``norm(gelu(pointwise(x)))``."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, kernel, groups=width, padding="same")
        self.norm1 = nn.BatchNorm2d(width)
        self.pointwise = nn.Conv2d(width, width, 1)
        self.norm2 = nn.BatchNorm2d(width)
        self.gelu = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, width, height, width) ->`` the same shape."""
        x = x + self.norm1(self.gelu(self.depthwise(x)))
        result: Tensor = self.norm2(self.gelu(self.pointwise(x)))
        return result


class ConvMixer(nn.Module):
    """Patches by a strided convolution, then ``depth`` layers that mix positions and channels in turn.

    The defaults are ConvMixer-256/8 with kernels of 5 and patches of 2 pixels, the network for CIFAR-10.

    Args:
        width: channels ("256").
        depth: layers ("8").
        kernel: size of the depthwise convolutions.
        patch: size of the patches.
        classes: width of the result.
    """

    def __init__(self, width: int = 256, depth: int = 8, kernel: int = 5, patch: int = 2, classes: int = 10) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.gelu = nn.GELU()
        self.norm = nn.BatchNorm2d(width)
        self.layers = nn.Sequential(*(_Mixing(width, kernel) for _ in range(depth)))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """``(batch, 3, height, width) -> (batch, classes)``."""
        x = self.layers(self.norm(self.gelu(self.patches(images))))
        scores: Tensor = self.head(self.pool(x).flatten(1))
        return scores
