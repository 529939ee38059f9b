"""What the host hands to kernels: divisions by multiplication, parameters, the choice of a backend."""

from __future__ import annotations

import random

import pytest
import torch

import mulfree as mf
import mulfree.functional as MF
from mulfree.backends.cuda.elementwise import _collapsed, program
from mulfree.backends.cuda.kernels import Launch, divider
from mulfree.backends.cuda.plans import plan
from mulfree.backends.cuda.problems import Batch, Problem, Source, Walk
from mulfree.backends.cuda.tiles import SLOPE_TILES, TILES, blocks_of, choose
from mulfree.backends.select import named
from mulfree.numerics.convolution import Window
from tests.cuda.build import COMPILER
from tests.cuda.emulator import emulated_backend


def test_division_by_multiplication() -> None:
    """As ``Divider`` in ``csrc/cuda/device.hpp`` does it."""
    generator = random.Random(0)
    divisors = [1, 2, 3, 5, 7, 10, 255, 256, 257, 1023, 65537, (1 << 31) - 1, 1 << 31, (1 << 40) + 3, (1 << 61) + 1]
    divisors += [generator.randrange(1, 1 << generator.randrange(1, 62)) for _ in range(300)]
    for d in divisors:
        multiplier, shift, divisor = divider(d)
        assert divisor == d
        assert multiplier < 1 << 63
        edges = [0, 1, d - 1, d, d + 1, 2 * d - 1, (1 << 62) - 1, (1 << 62) // d * d, (1 << 62) // d * d - 1]
        for n in [*edges, *(generator.randrange(1 << 62) for _ in range(50))]:
            if 0 <= n < 1 << 62:
                assert ((n << 2) * multiplier >> 64) >> shift == n // d, (n, d)


def test_parameters_are_64_bit_fields() -> None:
    launch = Launch(program("mul"), "flat", (1, 1, 1), 32, [1, -1, 1 << 62])
    assert launch.parameter() == bytes([1, *[0] * 7, *[255] * 8, *[0] * 7, 64])


def test_dimensions_that_are_walked_as_one_are_joined() -> None:
    x, y = torch.empty(2, 3, 4, 5), torch.empty(4, 5).expand(2, 3, 4, 5)
    assert _collapsed(x.shape, [x.stride(), x.stride()]) == ([120], [[1], [1]])
    assert _collapsed(x.shape, [x.stride(), y.stride()]) == ([6, 20], [[20, 1], [0, 1]])


def _problem(rows: int, depth: int, columns: int, batches: int = 1, slopes: bool = False) -> Problem:
    source, batch = Source(Walk(), Walk()), Batch((batches,), ((0,),) * 5) if batches > 1 else Batch()
    return Problem(source, source, Walk(), Walk(), rows, columns, depth, batch, point=source if slopes else None)


@pytest.mark.parametrize(
    ("rows", "depth", "columns", "batches", "tiles", "split"),
    [
        (4096, 4096, 4096, 1, (128, 128), False),
        (4096, 512, 1024, 1, (128, 128), False),
        (50432, 192, 192, 1, (128, 64), False),  # no column is left over
        (512, 4096, 512, 1, (128, 128), True),  # fewer tiles than multiprocessors
        (30, 64, 30, 512, (32, 32), False),  # attention in sentences
        (1, 4096, 4096, 1, (2, 128), True),
    ],
)
def test_tiles_suit_the_shape(
    rows: int, depth: int, columns: int, batches: int, tiles: tuple[int, int], split: bool
) -> None:
    choice = choose(_problem(rows, depth, columns, batches), 132)
    assert (choice.tiles.height, choice.tiles.width) == tiles
    assert choice.split == split
    assert choice.tiles in TILES
    assert choose(_problem(rows, depth, columns, batches, slopes=True), 132).tiles in SLOPE_TILES


def test_a_wave_with_little_left_is_avoided() -> None:
    """One more tile of 128 x 128 than multiprocessors would take twice as long as needed."""
    before, after = (_problem(128 * count, 512, 128) for count in (132, 133))
    assert choose(before, 132).tiles == TILES[0]
    assert choose(after, 132).clocks < 1.6 * choose(before, 132).clocks
    assert blocks_of(after, TILES[0]) == 133


@pytest.mark.parametrize("multiprocessors", [1, 2, 132])
def test_more_work_never_takes_fewer_clocks_on_the_same_tiles(multiprocessors: int) -> None:
    for slopes in (False, True):
        clocks = [choose(_problem(n, n, n, slopes=slopes), multiprocessors).clocks for n in (1, 30, 100, 500, 2000)]
        assert clocks == sorted(clocks)


def test_a_backend_refuses_tensors_of_another_device() -> None:
    class Elsewhere:
        name = "cuda"

    from mulfree.backends import select

    token = select._override.set(Elsewhere())  # type: ignore[arg-type]
    try:
        with pytest.raises(RuntimeError, match="computes on cuda tensors, got one on cpu"):
            MF.mul(torch.ones(2), torch.ones(2))
    finally:
        select._override.reset(token)


def test_the_names_of_backends() -> None:
    with pytest.raises(ValueError, match="reference, cpu, cuda"), mf.backend("gpu"):
        pass


@pytest.mark.native
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.skipif(COMPILER is None, reason="the emulation of CUDA needs a C++ compiler")
@pytest.mark.parametrize("shape", [(2, 3, 5), (3, 600, 4)], ids=str)
def test_results_are_float32_whatever_the_default_is(dtype: torch.dtype, shape: tuple[int, int, int]) -> None:
    backend, cpu = emulated_backend(), named("reference")
    m, k, n = shape
    a, b = torch.randn(m, k), torch.randn(k, n)
    image, weight, window = torch.randn(1, 2, 5), torch.randn(3, 2, 3), Window((1,), (0,), (1,), 1)
    grad = torch.randn(1, 3, 3)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        pairs = [
            (one.matmul(a, b), one.convolve(image, weight, None, window, (3,)), one.sum(a, (0,)), one.softmax(a)[0],
             one.convolve_transposed(grad, weight, None, window, (5,)), one.convolve_weight(grad, image, window, (3,)))
            for one in (backend, cpu)
        ]  # fmt: skip
    finally:
        torch.set_default_dtype(before)
    for mine, expected in zip(*pairs, strict=True):
        assert mine.dtype is torch.float32
        assert torch.equal(mine, expected)


def test_products_may_be_wider_than_a_grid() -> None:
    wide = plan(_problem(1, 64, 1 << 26), 132)
    assert wide.product_blocks[0] == (1 << 26) // 128
    assert wide.product_blocks[1:] == (1, 1)


@pytest.mark.native
@pytest.mark.skipif(COMPILER is None, reason="the emulation of CUDA needs a C++ compiler")
def test_a_target_that_is_no_class_is_not_read() -> None:
    """While a graph is captured targets cannot be checked."""
    x, target = torch.randn(3, 4), torch.tensor([1, 1 << 40, -7])
    for smoothing in (0.0, 0.1):
        loss, stats = emulated_backend().cross_entropy(x, target, -100, smoothing)
        assert loss.isnan().tolist() == [False, True, True]
        grad = emulated_backend().cross_entropy_grad(torch.ones(3), x, target, stats, -100, smoothing, True)
        assert not grad[0].isnan().any()
