"""Convolutions of every backend and their exact derivatives, bit for bit (spec 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor

from mulfree.backends.contract import Backend
from mulfree.backends.select import named
from mulfree.numerics import scalar
from mulfree.numerics.convolution import Window
from tests.backends import convolutions as law
from tests.backends import patterns
from tests.backends.operations import OFFSETS
from tests.backends.patterns import assert_same_bits

DATA: dict[str, Callable[[int, int], Tensor]] = {
    "normal": patterns.normal,
    "activations": patterns.relu_like,
    "gradients": patterns.gradient_like,
    "wide": partial(patterns.log_uniform, low=-70, high=70),
    "with specials": lambda count, seed: patterns.sprinkled(patterns.log_uniform(count, seed), seed + 1, 0.02),
    "random bits": patterns.random_bits,
}


@dataclass(frozen=True)
class Layer:
    """A convolution: images, channels in and out, spatial sizes, and how the kernel slides."""

    images: int
    channels: tuple[int, int]
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1

    def __str__(self) -> str:
        parts = (self.size, self.kernel, self.stride, self.padding, self.dilation)
        return f"{self.images}x{self.channels}g{self.groups}-" + "-".join("x".join(map(str, part)) for part in parts)

    @property
    def window(self) -> Window:
        return Window(self.stride, self.padding, self.dilation, self.groups)

    @property
    def positions(self) -> list[int]:
        return law.positions(self.window, self.size, self.kernel)

    def operands(self, data: str, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Input, weight, bias of the output and gradient of the output."""
        (inner, outer), images = self.channels, self.images
        shapes = [
            (images, inner, *self.size),
            (outer, inner // self.groups, *self.kernel),
            (outer,),
            (images, outer, *self.positions),
        ]
        x, weight, bias, grad = (DATA[data](prod(s), 7 * i).view(s).to(dtype) for i, s in enumerate(shapes))
        return x, weight, bias, grad


LAYERS = [
    Layer(2, (3, 5), (9,), (3,), (1,), (1,), (1,)),
    Layer(1, (2, 4), (11,), (4,), (3,), (2,), (2,), 2),
    Layer(2, (3, 4), (5, 6), (3, 3), (1, 1), (1, 1), (1, 1)),
    Layer(2, (4, 6), (7, 5), (3, 2), (2, 3), (1, 0), (1, 2), 2),
    Layer(3, (3, 3), (4, 4), (3, 3), (1, 1), (1, 1), (1, 1), 3),
    Layer(2, (2, 4), (6, 6), (3, 3), (2, 2), (1, 1), (1, 1), 2),
    Layer(1, (2, 3), (8, 8), (1, 1), (2, 2), (0, 0), (1, 1)),
    Layer(1, (2, 3), (8, 8), (4, 4), (4, 4), (0, 0), (1, 1)),
    Layer(1, (1, 2), (3, 3), (2, 2), (1, 1), (4, 3), (1, 1)),
    Layer(1, (1, 2), (9, 9), (2, 3), (4, 3), (0, 0), (2, 3)),
    Layer(1, (2, 2), (4, 3, 5), (2, 3, 2), (2, 1, 1), (1, 1, 0), (1, 1, 2)),
]


def sums(run: Any, layer: Layer, operands: Sequence[Tensor], rounding: tuple[int, ...]) -> Iterator[Tensor]:
    """All seven sums of a layer as ``run`` computes them."""
    x, weight, bias, grad = operands
    window, positions = layer.window, layer.positions
    by_channel = bias.new_ones(layer.channels[0])
    calls = [
        ("convolve", (x, weight, bias, window, positions, None)),
        ("convolve_transposed", (grad, weight, by_channel, window, layer.size, None)),
        ("convolve_weight", (grad, x, window, layer.kernel, None, True)),
        ("convolve", (x, weight, None, window, positions, grad)),
        ("convolve_transposed", (grad, weight, None, window, layer.size, x)),
        ("convolve_weight", (grad, x, window, layer.kernel, weight, True)),
        ("convolve_weight", (grad, x, window, layer.kernel, weight, False)),
    ]
    for name, arguments in calls:
        yield getattr(run, name)(*arguments, *rounding)


@cache
def _by_law(layer: Layer, data: str, dtype: torch.dtype, rounding: tuple[int, ...]) -> list[Tensor]:
    return list(sums(law, layer, layer.operands(data, dtype), rounding))


@cache
def _by_reference(layer: Layer, data: str) -> list[Tensor]:
    return list(sums(named("reference"), layer, layer.operands(data), ()))


def check(run: Backend, layer: Layer, data: str, dtype: torch.dtype = torch.float32, *rounding: int) -> None:
    """The sums of a small layer against the law."""
    for got, expected in zip(
        sums(run, layer, layer.operands(data, dtype), rounding), _by_law(layer, data, dtype, rounding), strict=True
    ):
        assert got.is_contiguous()
        assert_same_bits(got, expected)


def check_large(run: Backend, layer: Layer, data: str) -> None:
    """The sums of a larger layer against the reference."""
    for got, expected in zip(sums(run, layer, layer.operands(data), ()), _by_reference(layer, data), strict=True):
        assert_same_bits(got, expected)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_every_entry(backend: Backend, layer: Layer, data: str) -> None:
    check(backend, layer, data)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layer", LAYERS[::3], ids=str)
def test_short_formats(backend: Backend, layer: Layer, dtype: torch.dtype) -> None:
    for data in ("normal", "with specials"):
        check(backend, layer, data, dtype)


@pytest.mark.parametrize("mantissa_bits", [1, 4, 10])
@pytest.mark.parametrize("offset", [0, *OFFSETS])
def test_narrowing_and_compensation(backend: Backend, mantissa_bits: int, offset: int) -> None:
    for data in ("normal", "with specials"):
        check(backend, LAYERS[3], data, torch.float32, mantissa_bits, offset)


@pytest.mark.parametrize("alpha", [2.0**-126, 2.0**-60, 2.0**60, 2.0**127])
def test_compensation_far_from_one(backend: Backend, alpha: float) -> None:
    offset = scalar.compensation_offset(scalar.bits(alpha))
    for layer in (LAYERS[2], LAYERS[4]):
        check(backend, layer, "with specials", torch.float32, 23, offset)


DEEP = Layer(2, (60, 3), (4, 4), (3, 3), (1, 1), (1, 1), (1, 1))
LONG = Layer(3, (1, 2), (13, 13), (3, 3), (1, 1), (0, 1), (1, 1))


@pytest.mark.parametrize("layer", [DEEP, LONG], ids=str)
def test_sums_of_several_chunks(backend: Backend, layer: Layer) -> None:
    """A depth of 540 of the first layer's sum and of its input gradient, of 363 of the second's weight gradient."""
    check(backend, layer, "normal")


LARGE = [
    Layer(3, (20, 40), (12, 12), (3, 3), (1, 1), (1, 1), (1, 1)),
    Layer(5, (33, 17), (9, 7), (3, 3), (2, 2), (1, 1), (1, 1)),
    Layer(20, (5, 70), (4, 4), (3, 3), (1, 1), (1, 1), (1, 1)),
    Layer(2, (33, 33), (10, 10), (3, 3), (1, 1), (1, 1), (1, 1), 33),
    Layer(2, (20, 40), (11, 11), (5, 5), (2, 1), (2, 2), (1, 1), 20),
    Layer(2, (3, 50), (23, 23), (7, 7), (2, 2), (3, 3), (1, 1)),
    Layer(2, (8, 6), (70,), (9,), (1,), (8,), (2,)),
    Layer(2, (6, 8), (6, 7, 8), (3, 3, 3), (1, 2, 1), (1, 1, 1), (1, 1, 1), 2),
]


@pytest.mark.parametrize("data", ["normal", "gradients", "wide", "with specials"])
@pytest.mark.parametrize("layer", LARGE, ids=str)
def test_kernels_on_larger_layers(compiled: Backend, layer: Layer, data: str) -> None:
    check_large(compiled, layer, data)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads(native: Backend, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for layer in LARGE[:3]:
            check_large(native, layer, "wide")
    finally:
        torch.set_num_threads(before)


def _layouts(x: Tensor) -> list[Tensor]:
    """The same images with other strides: channels last, spaced, expanded where possible."""
    spaced = torch.full((*x.shape[:-1], 2 * x.shape[-1]), float("nan"), dtype=x.dtype)[..., ::2]
    spaced.copy_(x)
    turned = torch.full((*x.shape[:-2], x.shape[-1], x.shape[-2]), float("nan"), dtype=x.dtype).mT
    turned.copy_(x)
    return [x.contiguous(memory_format=torch.channels_last), spaced, turned]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layer", [LAYERS[2], LAYERS[3], LARGE[1]], ids=str)
def test_strides(backend: Backend, layer: Layer, dtype: torch.dtype) -> None:
    x, weight, bias, grad = layer.operands("wide", dtype)
    reference = layer.operands("wide", dtype)
    for layout in zip(_layouts(x), _layouts(weight), _layouts(grad), strict=True):
        window = layer.window
        results = backend.convolve(layout[0], layout[1], bias, window, layer.positions)
        assert_same_bits(results, named("reference").convolve(*reference[:3], window, layer.positions))
        by_x = backend.convolve_transposed(layout[2], layout[1], None, window, layer.size, layout[0])
        assert_same_bits(by_x, named("reference").convolve_transposed(grad, weight, None, window, layer.size, x))
        for is_grad in (True, False):
            by_weight = backend.convolve_weight(layout[2], layout[0], window, layer.kernel, layout[1], is_grad)
            expected = named("reference").convolve_weight(grad, x, window, layer.kernel, weight, is_grad)
            assert_same_bits(by_weight, expected)


def test_expanded_operands(backend: Backend) -> None:
    layer = LAYERS[2]
    x, weight, _, grad = layer.operands("normal")
    one = x[:1].expand(2, -1, -1, -1)
    level = grad[:, :, :1, :1].expand(grad.shape)
    for first, second in ((one, level), (one.contiguous(), level.contiguous())):
        got = backend.convolve_weight(second, first, layer.window, layer.kernel)
        assert_same_bits(got, law.convolve_weight(second, first, layer.window, layer.kernel))
    assert_same_bits(
        backend.convolve(one, weight, None, layer.window, layer.positions),
        law.convolve(one, weight, None, layer.window, layer.positions),
    )


EMPTY = [
    Layer(0, (3, 5), (4, 4), (3, 3), (1, 1), (1, 1), (1, 1)),
    Layer(2, (0, 5), (4, 4), (3, 3), (1, 1), (1, 1), (1, 1)),
    Layer(2, (3, 0), (4, 4), (3, 3), (1, 1), (1, 1), (1, 1)),
    Layer(2, (3, 5), (0, 4), (3, 3), (1, 1), (2, 1), (1, 1)),
]


@pytest.mark.parametrize("layer", EMPTY, ids=str)
def test_empty(backend: Backend, layer: Layer) -> None:
    check(backend, layer, "normal")


def test_what_is_missing_is_no_zero(backend: Backend) -> None:
    """A tap in the padding, or between the strides, adds nothing even where it would meet an infinity or a NaN."""
    window = Window((1,), (1,), (1,), 1)
    x, weight = torch.ones(1, 1, 3), torch.tensor([[[float("inf"), 1.0, float("nan")]]])
    got = backend.convolve(x, weight, None, window, (3,))
    assert torch.isnan(got[0, 0, :2]).all()
    assert got[0, 0, 2] == float("inf")
    apart = Window((4,), (0,), (1,), 1)
    got = backend.convolve_transposed(x, weight[..., :2], None, apart, (10,), torch.full((1, 1, 10), float("nan")))
    assert torch.isnan(got[0, 0, [0, 1, 4, 5, 8, 9]]).all()
    assert (got[0, 0, [2, 3, 6, 7]] == 0).all()


# In the first, most taps meet nothing but padding; the last one is summed up in several chunks.
PADDED = [
    Layer(2, (3, 4), (1, 2), (3, 4), (1, 1), (1, 2), (1, 1)),
    Layer(1, (4, 3), (6, 5), (3, 3), (2, 2), (2, 3), (1, 2)),
    Layer(5, (32, 29), (8, 9), (3, 3), (1, 1), (1, 1), (1, 1)),
]


@cache
def _with_specials(layer: Layer, operand: int, special: float) -> tuple[Sequence[Tensor], list[Tensor]]:
    """Operands of a layer, one of them special at the first and last entry of a channel, and the sums."""
    operands = layer.operands("normal")
    for entry in (0, -1):
        operands[operand][:, 1].flatten(1)[:, entry] = special
    run: Any = named("reference") if layer is PADDED[-1] else law
    return operands, list(sums(run, layer, operands, ()))


@pytest.mark.parametrize("special", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("operand", [0, 1, 3], ids=["x", "weight", "grad"])
@pytest.mark.parametrize("layer", PADDED, ids=str)
def test_specials_spread_only_to_what_they_meet(backend: Backend, layer: Layer, operand: int, special: float) -> None:
    operands, expected = _with_specials(layer, operand, special)
    for got, total in zip(sums(backend, layer, operands, ()), expected, strict=True):
        assert_same_bits(got, total)
