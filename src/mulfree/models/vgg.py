"""VGG-13 (Simonyan & Zisserman, 2015, configuration B) for images of 32 pixels, without batch norm."""

from __future__ import annotations

from torch import Tensor, nn

LAYOUT = ((64, 2), (128, 2), (256, 2), (512, 2), (512, 2))
"""Channels and 3x3 convolutions of each stage; a 2x2 maximum after each."""


class VGG13(nn.Module):
    """Ten convolutions and three linear layers, ReLU between them.

    Where the original has 7x7x512 features and 4096 units, five halvings of 32 pixels leave 512 features, and the two
    hidden linear layers have ``hidden`` units, with dropout after each.

    Args:
        classes: width of the result.
        hidden: units of a hidden linear layer.
        dropout: probability of dropping a unit in training.
    """

    def __init__(self, classes: int = 10, hidden: int = 512, dropout: float = 0.5) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width, count in LAYOUT:
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """``(batch, 3, 32, 32) -> (batch, classes)``."""
        scores: Tensor = self.classifier(self.features(images).flatten(1))
        return scores
