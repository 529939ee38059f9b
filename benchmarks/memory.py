"""Extra memory of a matrix product: the peak beyond operands and result, measured in a process of its own."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

import mulfree.functional as MF
from benchmarks.harness import Context, Result

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
FLOAT_BYTES = 4
GROUP = "memory"


def _resident(field: str) -> int:
    """A field of the process status, in bytes."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{STATUS} has no field {field}")


def probe(m: int, k: int, n: int, threads: int) -> int:
    """Bytes that one product needs at its peak beyond its operands and its result."""
    torch.set_num_threads(threads)
    MF.matmul(torch.randn(256, 64), torch.randn(64, 64))  # threads and libraries start here
    a, b = torch.randn(m, k), torch.randn(k, n)
    return extra_memory(lambda: [MF.matmul(a, b)])


def extra_memory(call: Callable[[], Sequence[Tensor]]) -> int:
    """Bytes of resident memory that a call takes at its peak beyond its results."""
    RESET.write_text("5")
    before = _resident("VmRSS")
    results = call()
    return max(0, _resident("VmHWM") - before - sum(x.numel() * x.element_size() for x in results))


def results(context: Context) -> Iterator[Result]:
    """Extra bytes beside the size of the two operands: packing buffers must not be larger than what they pack."""
    if not RESET.exists():
        return
    for shape in ((1024, 1024, 1024), (4096, 512, 2048)):
        m, k, n = (context.size(size, size // 4) for size in shape)
        command = [sys.executable, "-m", "benchmarks.memory", *map(str, (m, k, n, context.threads))]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        extra, operands = float(max(int(output), 1)), float((m * k + k * n) * FLOAT_BYTES)
        yield Result(
            group=GROUP,
            work=f"extra memory, matmul {m}x{k}x{n}",
            data="normal",
            rival="size of A and B",
            unit="bytes",
            ours=extra,
            theirs=operands,
            ratio=operands / extra,
            ratio_of_best=operands / extra,
            target=1.0,
            samples=1,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the bytes of one product."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=main.__doc__)
    for name, text in (("m", "rows of A"), ("k", "columns of A"), ("n", "columns of B"), ("threads", "of the product")):
        parser.add_argument(name, type=int, help=text)
    chosen = parser.parse_args(arguments)
    print(probe(chosen.m, chosen.k, chosen.n, chosen.threads))


if __name__ == "__main__":
    main()
