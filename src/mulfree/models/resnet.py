"""Residual networks for images of 32 pixels: pre-activation ResNets (He et al., 2016a, 2016b) and ResNeXt (Xie et al.,
2017)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


def _initialize(network: nn.Module) -> None:
    """He et al., 2015: normal weights of variance 2 / (outputs of a filter); norms start as the identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class PreActivationBlock(nn.Module):
    """Batch norm, ReLU, 3x3 convolution, twice, beside a shortcut.

    Where the size changes the shortcut is batch norm and a 1x1 convolution, else the identity.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.relu = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 1, stride, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, inputs, height, width) -> (batch, outputs, height / stride, width / stride)``."""
        y = self.conv1(self.relu(self.norm1(x)))
        y = self.conv2(self.relu(self.norm2(y)))
        result: Tensor = self.shortcut(x) + y
        return result


class PreActivationResNet(nn.Module):
    """A 3x3 convolution, three stages of n blocks with 16, 32 and 64 channels, batch norm, ReLU, average, linear layer.

    Args:
        depth: 6 n + 2; 20 and 110 are those of He et al., 2016a, section 4.2.
        classes: width of the result.

    Raises:
        ValueError: no n gives this depth.
    """

    def __init__(self, depth: int = 20, classes: int = 10) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise ValueError(f"depth must be 6 n + 2, such as 20 or 110, got {depth}")
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.stages = nn.Sequential(*_stages((16, 32, 64), blocks, 16, PreActivationBlock))
        self.norm = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(64, classes)
        _initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """``(batch, 3, height, width) -> (batch, classes)``."""
        x = self.relu(self.norm(self.stages(self.stem(images))))
        scores: Tensor = self.head(self.pool(x).flatten(1))
        return scores


def _stages(
    widths: tuple[int, ...], blocks: int, inputs: int, make: Callable[[int, int, int], nn.Module], expansion: int = 1
) -> list[nn.Module]:
    """Stages of ``blocks`` blocks; all but the first begin by halving height and width."""
    found: list[nn.Module] = []
    for number, width in enumerate(widths):
        for place in range(blocks):
            stride = 2 if place == 0 and number > 0 else 1
            found.append(make(inputs, width, stride))
            inputs = width * expansion
    return found


class GroupedBottleneck(nn.Module):
    """1x1, grouped 3x3 and 1x1 convolution, each with batch norm, beside a shortcut; ReLU after the sum.

    The stride is that of the 3x3 convolution (ResNet v1.5). ``width`` channels in ``groups`` groups, 4 ``width``
    outputs.
    """

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, groups: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, groups=groups, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, inputs, height, width) -> (batch, 4 width, height / stride, width / stride)``."""
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.relu(self.norm2(self.conv2(y)))
        result: Tensor = self.relu(self.norm3(self.conv3(y)) + self.shortcut(x))
        return result


class ResNeXt20(nn.Module):
    """ResNeXt-20 4x16: a 3x3 convolution with 16 channels, three stages of two bottlenecks, average, linear layer.

    The first stage has 4 groups of 16 channels ("4x16" in the notation of Xie et al., 2017, table 2: cardinality x
    width of the bottleneck), 64 in all and 256 outputs; both double from stage to stage. 3 x 2 blocks of three
    convolutions, the first convolution and the linear layer make 20.
    """

    def __init__(self, classes: int = 10, groups: int = 4, width: int = 16) -> None:
        super().__init__()
        first = groups * width
        widths = (first, first * 2, first * 4)

        def make(inputs: int, width: int, stride: int) -> nn.Module:
            return GroupedBottleneck(inputs, width, stride, groups)

        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.stages = nn.Sequential(*_stages(widths, 2, 16, make, GroupedBottleneck.expansion))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(widths[-1] * GroupedBottleneck.expansion, classes)
        _initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """``(batch, 3, height, width) -> (batch, classes)``."""
        x = self.stages(self.relu(self.norm(self.stem(images))))
        scores: Tensor = self.head(self.pool(x).flatten(1))
        return scores
