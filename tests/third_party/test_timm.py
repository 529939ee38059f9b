"""Unmodified networks of timm, where timm can be imported (it needs a torchvision that fits torch)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import mulfree.functional as MF
from tests.third_party.support import check_life_of_a_conversion

timm = pytest.importorskip(
    "timm", reason="timm is not installed, or no torchvision that it can import", exc_type=ImportError
)

NETWORKS = (
    "test_vit", "test_vit2", "test_vit3", "test_vit4", "test_resnet", "test_byobnet", "test_convnext",
    "test_efficientnet", "test_nfnet", "test_mambaout",
)  # fmt: skip
"""Small networks that timm tests itself with: Vision Transformers, convolutional and mixing ones."""


@pytest.mark.parametrize("name", NETWORKS)
def test_the_life_of_a_conversion(name: str) -> None:
    torch.manual_seed(0)
    network = (
        timm.create_model(name, num_classes=2, img_size=64) if "vit" in name else timm.create_model(name, num_classes=2)
    )
    images, labels = torch.randn(4, 3, 64, 64), torch.tensor([0, 1, 1, 0])

    def loss(model: torch.nn.Module) -> Tensor:
        return MF.cross_entropy(model(images), labels)

    check_life_of_a_conversion(network, loss)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deit_tiny_patch16_224", "resnet18", "convmixer_768_32"])
def test_networks_in_use(name: str) -> None:
    torch.manual_seed(0)
    images, labels = torch.randn(2, 3, 224, 224), torch.tensor([0, 1])

    def loss(model: torch.nn.Module) -> Tensor:
        return MF.cross_entropy(model(images), labels)

    check_life_of_a_conversion(timm.create_model(name, num_classes=2), loss, lr=1e-4)
