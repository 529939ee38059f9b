"""Convolutions beside torch's (oneDNN) on layers of residual networks for images of 32 x 32, forward and backward."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

import mulfree.functional as MF
from benchmarks.harness import Case, Context, Result, Rival, require_close, require_same_bits
from benchmarks.memory import FLOAT_BYTES, RESET, extra_memory
from mulfree.backends.select import backend

BATCH = 128
CHECKED = 3
"""Channels compared with the law."""
WORST_PRODUCT = 1 / 9
"""A PAM product is smaller than the real one by at most this share of it (section 2.7)."""
DERIVATIVES: tuple[MF.Derivative, ...] = ("approximate", "exact")


@dataclass(frozen=True)
class Layer:
    name: str
    inner: int
    outer: int
    size: int
    kernel: int
    stride: int = 1
    groups: int = 1

    @property
    def padding(self) -> int:
        return self.kernel // 2 if self.kernel % 2 else 0

    @property
    def positions(self) -> int:
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    def operands(self, context: Context, batch: int) -> tuple[Tensor, Tensor]:
        """Activations after ReLU, but for the first layer's images, and weights."""
        x = context.normal(batch, self.inner, self.size, self.size)
        weight = context.normal(self.outer, self.inner // self.groups, self.kernel, self.kernel)
        return x if self.inner == 3 else x.relu(), weight

    def ours(self, x: Tensor, weight: Tensor, derivative: MF.Derivative = "approximate") -> Tensor:
        return MF.conv2d(x, weight, None, self.stride, self.padding, 1, self.groups, derivative=derivative)

    def torch(self, x: Tensor, weight: Tensor) -> Tensor:
        return functional.conv2d(x, weight, None, self.stride, self.padding, 1, self.groups)


LAYERS = (
    Layer("first 3x3, 3->64 on 32x32", 3, 64, 32, 3),
    Layer("patches 4x4/4, 3->192 on 32x32", 3, 192, 32, 4, 4),
    Layer("3x3, 64->64 on 32x32", 64, 64, 32, 3),
    Layer("1x1, 64->256 on 32x32", 64, 256, 32, 1),
    Layer("3x3/2, 64->128 on 32x32", 64, 128, 32, 3, 2),
    Layer("3x3, 128->128 on 16x16", 128, 128, 16, 3),
    Layer("3x3, 256->256 on 8x8", 256, 256, 8, 3),
    Layer("3x3, 512->512 on 4x4", 512, 512, 4, 3),
    Layer("depthwise 3x3, 64 on 32x32", 64, 64, 32, 3, groups=64),
)


def _verify_image(layer: Layer, x: Tensor, weight: Tensor, grad: Tensor, derivative: MF.Derivative) -> None:
    """Some channels of one image and of its gradients against the law."""
    image, weights = x.detach()[:1].requires_grad_(), weight.detach().requires_grad_()
    found = layer.ours(image, weights, derivative)
    by_image, by_weights = torch.autograd.grad(found, (image, weights), grad[:1])
    if layer.groups == 1:
        some_out, some_in = (image, weights[:CHECKED]), (image[:, :CHECKED], weights[:, :CHECKED])
    else:
        layer = replace(layer, groups=CHECKED)
        some_out = some_in = (image[:, :CHECKED], weights[:CHECKED])
    with backend("reference"):
        expected = layer.ours(*some_out, derivative)
        (wanted_weights,) = torch.autograd.grad(expected, weights, grad[:1, :CHECKED])
        other = layer.ours(*some_in, derivative)
        (wanted_image,) = torch.autograd.grad(other, image, grad[:1, : other.shape[1]])
    require_same_bits("convolution", found[:, :CHECKED], expected)
    require_same_bits("gradient by the weight", by_weights[:CHECKED], wanted_weights[:CHECKED])
    require_same_bits("gradient by the input", by_image[:, :CHECKED], wanted_image[:, :CHECKED])


def _verify(layer: Layer, x: Tensor, weight: Tensor, grad: Tensor, derivative: MF.Derivative) -> None:
    """One image against the law, the whole batch beside torch within PAM's error."""
    _verify_image(layer, x, weight, grad, derivative)
    with torch.no_grad():
        scale = layer.torch(x.abs(), weight.abs())
        require_close("convolution", layer.ours(x, weight), layer.torch(x, weight), scale * (WORST_PRODUCT + 1e-4))


def convolution(context: Context) -> Iterator[Case | Result]:
    """Forward and backward of each layer in one call, with both derivatives; then the memory they need."""
    batch = context.size(BATCH, 2)
    for layer in LAYERS:
        for derivative in DERIVATIVES:
            yield _case(context, layer, batch, derivative)
    if RESET.exists():
        for index in (2, 4):
            yield _memory(context, index, batch)


def _case(context: Context, layer: Layer, batch: int, derivative: MF.Derivative) -> Case:
    x, weight = (operand.requires_grad_() for operand in layer.operands(context, batch))
    grad = context.normal(*layer.torch(x, weight).shape)
    return Case(
        work=f"{layer.name}, {derivative}",
        data="normal" if layer.inner == 3 else "half zeros",
        ours=lambda: torch.autograd.grad(layer.ours(x, weight, derivative), (x, weight), grad),
        rivals=(
            Rival(
                "torch",
                lambda: torch.autograd.grad(layer.torch(x, weight), (x, weight), grad),
                0.7 if derivative == "approximate" else None,
            ),
        ),
        verify=lambda: _verify(layer, x, weight, grad, derivative),
    )


def probe(index: int, batch: int, threads: int) -> int:
    """Bytes that forward and backward need at their peak beyond operands and results."""
    torch.set_num_threads(threads)
    layer = LAYERS[index]
    context = Context(threads=threads, wide=False, quick=False, generator=torch.Generator().manual_seed(0))

    def step(images: int) -> Callable[[], list[Tensor]]:
        x, weight = (operand.requires_grad_() for operand in layer.operands(context, images))
        grad = context.normal(images, layer.outer, *[layer.positions] * 2)
        return lambda: [(y := layer.ours(x, weight)), *torch.autograd.grad(y, (x, weight), grad)]

    step(1)()  # threads and libraries start here
    return extra_memory(step(batch))


def _memory(context: Context, index: int, batch: int) -> Result:
    layer = LAYERS[index]
    command = [sys.executable, "-m", "benchmarks.convolution", *map(str, (index, batch, context.threads))]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    unfolded = batch * layer.positions * layer.positions * layer.inner * layer.kernel * layer.kernel * FLOAT_BYTES
    extra = float(max(int(output), 1))
    return Result(
        group="convolution",
        work=f"extra memory, {layer.name}",
        data="half zeros",
        rival="unfolded input",
        unit="bytes",
        ours=extra,
        theirs=float(unfolded),
        ratio=unfolded / extra,
        ratio_of_best=unfolded / extra,
        target=4.0,
        samples=1,
    )


if __name__ == "__main__":
    print(probe(*map(int, sys.argv[1:])))
