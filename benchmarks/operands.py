"""Products of real training: which loop of the kernel they take, and how near they come to its bare loop.

A Vision Transformer learns handwritten digits without multiplications; the operands of every matrix product of one
step, forward and backward, are recorded and the products timed one by one on one thread.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from rich.progress import track
from rich.table import Table
from torch import Tensor

import mulfree as mf
from benchmarks.report import screen
from mulfree.backends.cpu import CPUBackend
from mulfree.backends.native import kernels
from mulfree.data import batches, load_digits
from mulfree.models import VisionTransformer

SAMPLES = 15


@dataclass
class Products:
    """The products of one pass and one shape."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    tiles: list[int] = field(default_factory=lambda: [0, 0, 0])
    """Without products, fast loop, general loop."""
    seconds: float = 0.0
    torch_seconds: float = 0.0

    @property
    def count(self) -> int:
        """Scalar products."""
        return sum(_count(left, right) for left, right, *_ in self.calls)


def _count(left: Tensor, right: Tensor) -> int:
    batch: int = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2]).numel()
    return batch * left.shape[-2] * left.shape[-1] * right.shape[-1]


@contextmanager
def recorded(calls: list[tuple[Any, ...]]) -> Iterator[None]:
    """Copy the operands of every product that the kernels are given meanwhile."""
    original = CPUBackend._run

    def run(*arguments: Any) -> Tensor:
        calls.append(tuple(x.clone() if isinstance(x, Tensor) else x for x in arguments))
        return original(*arguments)

    CPUBackend._run = staticmethod(run)  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        CPUBackend._run = staticmethod(original)  # type: ignore[method-assign]


def record(steps: int, width: int, seed: int) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Operands of the forward and of the backward products after ``steps`` steps."""
    torch.manual_seed(seed)
    digits, generator = load_digits().train, torch.Generator().manual_seed(seed)
    model = mf.convert(VisionTransformer(width=width, depth=4, heads=4, patch_size=1, dropout=0.1))
    criterion = mf.nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = mf.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.05)
    forward: list[tuple[Any, ...]] = []
    backward: list[tuple[Any, ...]] = []
    epochs = itertools.chain.from_iterable(batches(digits, 32, generator) for _ in itertools.count())
    for step, (images, labels) in enumerate(track(itertools.islice(epochs, steps + 1), "Training", steps + 1)):
        optimizer.zero_grad()
        if step < steps:
            criterion(model(images), labels).backward()
            optimizer.step()
            continue
        with recorded(forward):
            loss = criterion(model(images), labels)
        with recorded(backward):
            loss.backward()
    return forward, backward


def fastest(call: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(SAMPLES):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def measure(products: Products) -> None:
    for arguments in products.calls:
        left, right, *_ = arguments
        kernels.take_tile_counts()
        CPUBackend._run(*arguments)
        products.tiles = [a + b for a, b in zip(products.tiles, kernels.take_tile_counts(), strict=True)]
        products.seconds += fastest(lambda arguments=arguments: CPUBackend._run(*arguments))  # type: ignore[misc]
        products.torch_seconds += fastest(lambda left=left, right=right: torch.matmul(left, right))  # type: ignore[misc]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operands", description=__doc__)
    parser.add_argument("--steps", type=int, default=200, help="training steps before the recorded one")
    parser.add_argument("--width", type=int, default=256, help="features of a token")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    passes = dict(zip(("forward", "backward"), record(options.steps, options.width, options.seed), strict=True))
    groups: dict[tuple[str, str], Products] = {}
    for name, calls in passes.items():
        for arguments in calls:
            shape = " x ".join(str(tuple(x.shape)) for x in arguments[:2])
            groups.setdefault((name, shape), Products()).calls.append(arguments)
    torch.set_num_threads(1)
    bare = kernels.repeat_tile(100) / fastest(lambda: kernels.repeat_tile(100))
    for products in track(groups.values(), description="Measuring"):
        measure(products)
    table = Table("pass", "operands", "calls", "tiles: fast", "general", "10^9 products/s", "of bare loop", "of torch")
    total = Products()
    for (name, shape), products in groups.items():
        table.add_row(name, shape, *_cells(products, bare))
        total.calls += products.calls
        total.tiles = [a + b for a, b in zip(total.tiles, products.tiles, strict=True)]
        total.seconds += products.seconds
        total.torch_seconds += products.torch_seconds
    table.add_section()
    table.add_row("all", "", *_cells(total, bare))
    screen().print(table)


def _cells(products: Products, bare: float) -> tuple[str, ...]:
    rate = products.count / products.seconds
    _, fast, general = products.tiles
    return (
        str(len(products.calls)),
        f"{fast:,}",
        f"{general:,}",
        f"{rate / 1e9:.1f}",
        f"{rate / bare:.2f}",
        f"{products.torch_seconds / products.seconds:.2f}",
    )


if __name__ == "__main__":
    main()
