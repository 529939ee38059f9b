"""The command: every group on the current device."""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks import report as screens
from benchmarks.cuda import report
from benchmarks.cuda.run import GROUPS, TRAINING, evaluate, evaluate_step
from benchmarks.cuda.timing import EventTimer, Speed, Timer, ask_driver, greatest_clock, measure_copy
from benchmarks.cuda.training import steps
from benchmarks.harness import Budget, Context, WrongResultError
from mulfree.backends.contract import Backend
from mulfree.backends.cuda.compiler import compiler_version
from mulfree.backends.select import for_tensor, named

NO_DEVICE = (
    "python -m benchmarks.cuda needs a CUDA device and a torch built for CUDA; torch.cuda.is_available() is False"
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cuda",
        description="Verify the CUDA kernels against those of the processor, then time them beside torch.",
    )
    names = [*GROUPS, TRAINING]
    parser.add_argument("--only", nargs="+", choices=names, metavar="GROUP", help=f"groups: {', '.join(names)}")
    parser.add_argument("--seconds", type=float, default=1.0, help="time for the samples of one case (default 1)")
    parser.add_argument("--clock", type=float, help="GHz for the issue limit (default: nvidia-smi's highest)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="tiny sizes and few samples: tries the harness only")
    parser.add_argument("--output", type=Path, help="a .md or .json file; the table is printed without one")
    return parser


@dataclass(frozen=True)
class Session:
    """A device and what is known of it; ``facts`` are those of ``report.Machine`` that only it tells."""

    device: torch.device
    backend: Backend
    timer: Timer
    speed: Speed
    facts: dict[str, str]


def open_device(clock: float | None, budget: Budget) -> Session:
    """The current device, without TF32; ``clock`` in GHz, None: the highest there is."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    device = torch.device("cuda", torch.cuda.current_device())
    clock = clock or greatest_clock()
    timer = EventTimer(clock)
    multiprocessors = torch.cuda.get_device_properties(device).multi_processor_count
    speed = Speed(multiprocessors, clock, measure_copy(timer, budget, device))
    facts = {"device": torch.cuda.get_device_name(), "driver": ask_driver("driver_version") or "unknown"}
    return Session(device, named("cuda"), timer, speed, {**facts, "nvrtc": compiler_version()})


def _machine(session: Session, command: str) -> report.Machine:
    speed = session.speed
    return report.Machine(
        **session.facts,
        multiprocessors=speed.multiprocessors,
        clock="unknown" if speed.clock is None else f"{speed.clock:g} GHz",
        copy=f"{speed.copy / 1e9:.0f} GB/s",
        cuda=str(torch.version.cuda),
        torch=torch.__version__,
        python=platform.python_version(),
        mulfree=screens.installed_version(),
        command=command,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
    )


def _rows(
    group: str, session: Session, context: Context, budget: Budget, law: Backend
) -> Iterator[report.Row | WrongResultError]:
    """The group ends with its first wrong result."""
    try:
        if group == TRAINING:
            for step in steps(context, session.device):
                yield evaluate_step(step, session.timer, budget)
        else:
            for work in GROUPS[group](context):
                yield evaluate(work, session.backend, session.device, law, session.timer, budget, session.speed)
    except WrongResultError as error:
        yield error


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks; 1 without a device, or if a result is wrong."""
    options = _parser().parse_args(arguments)
    output: Path | None = options.output
    if output is not None and output.suffix not in (".md", ".json"):
        print(f"--output must end in .md or .json, got {output}", file=sys.stderr)
        return 1
    if not torch.cuda.is_available():
        print(NO_DEVICE, file=sys.stderr)
        return 1
    budget = Budget(total=0.01) if options.quick else Budget(total=options.seconds)
    session = open_device(options.clock, budget)
    command = shlex.join(["python", "-m", "benchmarks.cuda", *(sys.argv[1:] if arguments is None else arguments)])
    machine = _machine(session, command)
    generator = torch.Generator().manual_seed(options.seed)
    context = Context(threads=torch.get_num_threads(), wide=False, quick=options.quick, generator=generator)

    console = screens.screen()
    rows: list[report.Row] = []
    failures = 0
    law = for_tensor(torch.empty(0))
    for group in options.only or [*GROUPS, TRAINING]:
        for found in _rows(group, session, context, budget, law):
            if isinstance(found, WrongResultError):
                failures += 1
                console.print(f"[red]wrong result[/], rest of the group left out: {found}")
            else:
                rows.append(found)
                console.print(f"{group}: {', '.join(cell for cell in found.cells if cell)}", highlight=False)
    if output is None:
        print(report.markdown(machine, rows))
    elif not failures:
        output.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report.data(machine, rows), indent=2) + "\n"
        output.write_text(text if output.suffix == ".json" else report.markdown(machine, rows))
        console.print(f"Wrote {output}")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
