"""Convolutions of residual networks: forward, and the approximate derivatives by input and weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.convolution import Layer
from benchmarks.cuda.work import Ours, Tensors, Work
from benchmarks.harness import Context
from mulfree.backends.contract import Backend
from mulfree.numerics.convolution import Window

BATCH = 64
CHECKED = 2
"""Images, or channels of the gradient by the weight, that are compared with the law."""

LAYERS = (
    Layer("7x7/2, 3->64 on 224x224", 3, 64, 224, 7, 2),
    Layer("3x3, 64->64 on 56x56", 64, 64, 56, 3),
    Layer("1x1, 64->256 on 56x56", 64, 256, 56, 1),
    Layer("3x3/2, 128->128 on 56x56", 128, 128, 56, 3, 2),
    Layer("3x3, 256->256 on 14x14", 256, 256, 14, 3),
    Layer("3x3, 512->512 on 7x7", 512, 512, 7, 3),
    Layer("3x3, 64->64 on 32x32", 64, 64, 32, 3),
)
TINY = (Layer("3x3, 3->5 on 8x8", 3, 5, 8, 3), Layer("3x3/2, 4->6 on 7x7", 4, 6, 7, 3, 2))


def convolutions(context: Context) -> Iterator[Work]:
    batch = context.size(BATCH, 3)
    for layer in TINY if context.quick else LAYERS:
        yield from _of_layer(context, layer, batch)


def _of_layer(context: Context, layer: Layer, batch: int) -> Iterator[Work]:
    window = Window((layer.stride,) * 2, (layer.padding,) * 2, (1, 1), layer.groups)
    kernel, size, positions = (layer.kernel,) * 2, (layer.size,) * 2, (layer.positions,) * 2
    x, weight = layer.operands(context, batch)
    grad = context.normal(batch, layer.outer, *positions)

    def work(
        name: str,
        operands: Tensors,
        ours: Callable[[Backend, Tensors], Tensor],
        theirs: Callable[[Tensors], object],
        part: Callable[[Tensors], Tensors],
    ) -> Work:
        def prepared(backend: Backend, operands: Tensors) -> Ours:
            return lambda: (ours(backend, operands),)

        return Work(
            group="convolutions",
            name=f"{layer.name}, batch {batch}, {name}",
            data="normal" if layer.inner == 3 else "half zeros",
            operands=operands,
            ours=prepared,
            theirs=lambda operands: lambda: theirs(operands),
            products=batch * layer.positions**2 * layer.outer * layer.inner // layer.groups * layer.kernel**2,
            part=part,
            pick=lambda results: (results[0][:CHECKED],),
        )

    def backward(operands: Tensors, by_input: bool) -> object:
        wanted = [by_input, not by_input, False]
        return torch.ops.aten.convolution_backward(
            *operands, None, window.stride, window.padding, window.dilation, False, [0, 0], layer.groups, wanted
        )

    yield work(
        "forward",
        (x, weight),
        lambda backend, t: backend.convolve(t[0], t[1], None, window, positions),
        lambda t: layer.torch(t[0], t[1]),
        lambda t: (t[0][:CHECKED], t[1]),
    )
    yield work(
        "gradient by the input",
        (grad, x, weight),
        lambda backend, t: backend.convolve_transposed(t[0], t[2], None, window, size),
        lambda t: backward(t, True),
        lambda t: (t[0][:CHECKED], *t[1:]),
    )
    yield work(
        "gradient by the weight",
        (grad, x, weight),
        lambda backend, t: backend.convolve_weight(t[0], t[1], window, kernel),
        lambda t: backward(t, False),
        lambda t: (t[0][:, :CHECKED], *t[1:]),
    )
