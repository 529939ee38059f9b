"""The networks of tables 2 and 5: sizes and layers of their sources; conversion."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import nn

import mulfree as mf
from mulfree.models.convmixer import ConvMixer
from mulfree.models.deit import DeiT
from mulfree.models.resnet import PreActivationResNet, ResNeXt20
from mulfree.models.vgg import VGG13

Make = Callable[[], nn.Module]


def _parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def _conv(inputs: int, outputs: int, size: int, groups: int = 1, bias: bool = False) -> int:
    return inputs // groups * outputs * size * size + bias * outputs


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _resnet(blocks: int) -> int:
    """Pre-activation: a norm before each convolution, and before that of a shortcut."""
    total = _conv(3, 16, 3)
    inputs = 16
    for width in (16, 32, 64):
        for place in range(blocks):
            total += 2 * inputs + _conv(inputs, width, 3) + 2 * width + _conv(width, width, 3)
            if place == 0 and inputs != width:
                total += 2 * inputs + _conv(inputs, width, 1)
            inputs = width
    return total + 2 * 64 + _linear(64, 10)


def _resnext() -> int:
    total, inputs = _conv(3, 16, 3) + 2 * 16, 16
    for width in (64, 128, 256):
        for place in range(2):
            total += _conv(inputs, width, 1) + _conv(width, width, 3, groups=4) + _conv(width, 4 * width, 1)
            total += 2 * width + 2 * width + 8 * width
            if place == 0:
                total += _conv(inputs, 4 * width, 1) + 8 * width
            inputs = 4 * width
    return total + _linear(1024, 10)


def _vgg() -> int:
    widths = [3, 64, 64, 128, 128, 256, 256, 512, 512, 512, 512]
    convolutions = sum(_conv(a, b, 3, bias=True) for a, b in itertools.pairwise(widths))
    return convolutions + 2 * _linear(512, 512) + _linear(512, 10)


def _convmixer() -> int:
    layer = _conv(256, 256, 5, groups=256, bias=True) + _conv(256, 256, 1, bias=True) + 2 * 512
    return _conv(3, 256, 2, bias=True) + 512 + 8 * layer + _linear(256, 10)


def _deit() -> int:
    width = 192
    block = _linear(width, 3 * width) + _linear(width, width) + 4 * width + _linear(width, 768) + _linear(768, width)
    return _conv(3, width, 16, bias=True) + width + 197 * width + 12 * block + 2 * width + _linear(width, 1000)


@pytest.mark.parametrize(
    ("make", "formula", "published"),
    [
        (VGG13, _vgg(), None),
        (lambda: PreActivationResNet(20), _resnet(3), None),
        (lambda: PreActivationResNet(110), _resnet(18), None),
        (ResNeXt20, _resnext(), None),
        (ConvMixer, _convmixer(), 594_186),
        (DeiT, _deit(), 5_717_416),
    ],
)
def test_number_of_parameters(make: Make, formula: int, published: int | None) -> None:
    count = _parameters(make())
    assert count == formula
    assert published in (None, count)


@pytest.mark.parametrize(
    ("make", "convolutions", "linear"),
    [
        (VGG13, 10, 3),
        (lambda: PreActivationResNet(20), 19 + 2, 1),  # and the two shortcuts
        (lambda: PreActivationResNet(110), 109 + 2, 1),
        (ResNeXt20, 19 + 3, 1),
        (ConvMixer, 17, 1),
        (DeiT, 1, 49),
    ],
)
def test_layers(make: Make, convolutions: int, linear: int) -> None:
    modules = list(make().modules())
    assert sum(isinstance(m, nn.Conv2d) for m in modules) == convolutions
    assert sum(isinstance(m, nn.Linear) for m in modules) == linear


def test_sizes_of_the_stages() -> None:
    x = torch.randn(2, 3, 32, 32)
    resnet, resnext, vgg, mixer = PreActivationResNet(20), ResNeXt20(), VGG13(), ConvMixer(width=8, depth=2)
    assert resnet.stages(resnet.stem(x)).shape == (2, 64, 8, 8)
    assert resnext.stages(resnext.stem(x)).shape == (2, 1024, 8, 8)
    assert vgg.features(x).shape == (2, 512, 1, 1)
    assert mixer.layers(mixer.patches(x)).shape == (2, 8, 16, 16)


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (VGG13, 32),
        (lambda: PreActivationResNet(20), 8),
        (ResNeXt20, 8),
        (lambda: ConvMixer(width=8, depth=2), 8),
        (lambda: DeiT(image_size=16, patch=8, width=12, depth=2, heads=3, classes=10), 16),
    ],
    ids=["vgg", "resnet", "resnext", "convmixer", "deit"],
)
def test_a_step_without_multiplications(make: Make, size: int) -> None:
    torch.manual_seed(0)
    model = mf.convert(make())
    optimizer = mf.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images, labels = torch.randn(3, 3, size, size), torch.tensor([1, 2, 3])
    with mf.audit() as audit:
        loss = mf.nn.CrossEntropyLoss()(model(images), labels)
        loss.backward()
        optimizer.step()
    assert audit.multiplications == 0, str(audit)
    assert loss.isfinite()


def test_drop_path_leaves_out_whole_branches() -> None:
    torch.manual_seed(0)
    path = DeiT(drop_path=0.5, depth=3, width=12, heads=3, image_size=16, patch=8).blocks[2].path
    out = path(torch.ones(400, 3, 4))
    kept = out[:, 0, 0] != 0
    assert torch.equal(out, torch.where(kept[:, None, None], 2.0, 0.0).expand_as(out))
    assert 0.4 < float(kept.float().mean()) < 0.6
    path.eval()
    assert torch.equal(path(torch.ones(2, 3)), torch.ones(2, 3))


def test_deit_computes_what_transformers_computes() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    ours = DeiT(image_size=32, patch=16, width=24, depth=2, heads=3, classes=5).eval()
    config = transformers.ViTConfig(
        image_size=32, patch_size=16, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=96,
        num_labels=5, layer_norm_eps=1e-6, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    theirs = transformers.ViTForImageClassification(config).eval()
    _copy(ours, theirs)
    images = torch.randn(3, 3, 32, 32)
    assert torch.allclose(ours(images), theirs(images).logits, atol=1e-5)


def _copy(ours: DeiT, theirs: nn.Module) -> None:
    """By the order of the layers, which is the same but for queries, keys and values."""
    vit = theirs.vit
    with torch.no_grad():
        vit.embeddings.patch_embeddings.projection.load_state_dict(ours.patches.state_dict())
        vit.embeddings.cls_token.copy_(ours.class_token)
        vit.embeddings.position_embeddings.copy_(ours.positions)
        vit.layernorm.load_state_dict(ours.norm.state_dict())
        theirs.classifier.load_state_dict(ours.head.state_dict())
        layers = [m for m in vit.modules() if type(m).__name__ == "ViTLayer"]
        for block, layer in zip(ours.blocks, layers, strict=True):
            linear = [m for m in layer.modules() if isinstance(m, nn.Linear)]
            norms = [m for m in layer.modules() if isinstance(m, nn.LayerNorm)]
            weights, biases = block.attn.qkv.weight.chunk(3), block.attn.qkv.bias.chunk(3)
            sources = [
                *zip(weights, biases, strict=True),
                *((m.weight, m.bias) for m in (block.attn.proj, block.mlp[0], block.mlp[2])),
            ]
            for target, (weight, bias) in zip(linear, sources, strict=True):
                target.weight.copy_(weight)
                target.bias.copy_(bias)
            for target, norm in zip(norms, (block.norm1, block.norm2), strict=True):
                target.load_state_dict(norm.state_dict())
