"""The command behind ``make bench``: run groups of benchmarks, print the table, write the results."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from threadpoolctl import threadpool_limits

from benchmarks import convolution, matmul, memory, networks, pointwise, report, training
from benchmarks.harness import Budget, Case, Context, Result, WrongResultError, evaluate

RESULTS = Path(__file__).parent / "results"
GROUPS: dict[str, Callable[[Context], Iterator[Case | Result]]] = {
    "matmul": matmul.forward,
    "small-matmul": matmul.small,
    "backward": matmul.backward,
    "rates": matmul.rates,
    "convolution": convolution.convolution,
    memory.GROUP: memory.results,
    "elementwise": pointwise.elementwise,
    "rows": pointwise.rows,
    "channels": pointwise.channels,
    "activations": pointwise.activations,
    "optimizer": pointwise.optimizer,
    "attention": networks.attention,
    "recurrent": networks.recurrent,
    "training": training.training,
    "overhead": pointwise.overhead,
}


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run",
        description="Verify the kernels, time them beside torch and NumPy in turns, and write the table. "
        "MULFREE_CPU=avx2 (or another target) chooses the kernels.",
    )
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="GROUP", help=f"groups: {', '.join(GROUPS)}")
    parser.add_argument("--threads", type=_positive, default=torch.get_num_threads(), help="threads of all rivals")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for the samples of one case (default 2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="tiny sizes and few samples: tries the harness only")
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of the results (default benchmarks/results for a full run; none for --only and --quick)",
    )
    return parser


def _run_group(name: str, context: Context, budget: Budget, progress: Progress) -> Iterator[Result]:
    task = progress.add_task(name)
    for item in GROUPS[name](context):
        if isinstance(item, Result):
            yield item
            continue
        progress.update(task, description=f"{name}: {item.work}, {item.data}", refresh=True)
        yield from evaluate(name, item, budget)
    progress.remove_task(task)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks; 1 if a result is wrong, else 0, whether or not the targets are met."""
    options = _parser().parse_args(arguments)
    console = report.screen()
    torch.set_num_threads(options.threads)
    command = shlex.join(["python", "-m", "benchmarks.run", *(sys.argv[1:] if arguments is None else arguments)])
    machine = report.describe_machine(options.threads, command)
    context = Context(
        threads=options.threads,
        wide=machine.target == "avx512",
        quick=options.quick,
        generator=torch.Generator().manual_seed(options.seed),
    )
    budget = Budget(sample=1e-4, total=0.01) if options.quick else Budget(total=options.seconds)
    column = "AVX-512" if context.wide else "AVX2"
    console.print(f"{machine.processor}, {options.threads} threads, {machine.target} kernels: targets for {column}")

    results: list[Result] = []
    failures: list[str] = []
    columns = (TextColumn("{task.description}"), TimeElapsedColumn())
    progress = Progress(*columns, console=console, auto_refresh=False)
    # NumPy would warn of the overflows that the data bring about on purpose.
    with threadpool_limits(options.threads, user_api="blas"), np.errstate(all="ignore"), progress:
        for name in options.only or GROUPS:
            try:
                results.extend(_run_group(name, context, budget, progress))
            except WrongResultError as error:
                failures.append(f"{name}: {error}")
    report.show(results, console)
    for failure in failures:
        console.print(f"[red]wrong result[/], rest of the group left out: {failure}")
    folder = options.output or (None if options.only or options.quick else RESULTS)
    if folder is not None and not failures:
        for path in report.write(machine, results, folder):
            console.print(f"Wrote {path}")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
