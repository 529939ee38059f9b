"""The command: compile, count, print the tables."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.progress import track

from benchmarks import report as machine
from benchmarks.cuda_kernels.cubin import resources
from benchmarks.cuda_kernels.limits import ARCHITECTURES, H200, Device
from benchmarks.cuda_kernels.loops import loops, transfers
from benchmarks.cuda_kernels.report import Kernel, Report
from mulfree.audit.instructions import FORBIDDEN
from mulfree.audit.sass import MISSING, classes_of, disassemble, disassembler
from mulfree.backends.cuda.compiler import compiler_version, machine_code
from mulfree.backends.cuda.programs import Named, groups


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cuda_kernels",
        description="Compile every CUDA kernel and report registers, memory, occupancy and the instructions of the "
        "loops of products. No device is needed.",
    )
    parser.add_argument("--arch", choices=ARCHITECTURES, default="sm_90")
    parser.add_argument("--only", nargs="+", choices=groups(), metavar="GROUP", help=f"of {', '.join(groups())}")
    parser.add_argument("--multiprocessors", type=int, default=H200.multiprocessors, help="default: those of an H200")
    parser.add_argument("--clock", type=float, default=H200.clock, help="in GHz (default: that of an H200)")
    parser.add_argument("--output", type=Path, help="a .md or .json file; the table is printed without one")
    return parser


def inspect(group: str, named: Named, arch: str, tool: str | None) -> Iterator[Kernel]:
    """The kernels of a program."""
    code = machine_code(named.program, arch)
    blocks = {} if tool is None else disassemble(tool, code)
    for found in resources(code):
        if not named.launches(found.kernel):
            continue
        if tool is None:
            yield Kernel(group, named.name, found, None, None)
            continue
        of_kernel = blocks[found.kernel]
        is_product = found.kernel == "product" and named.entries is not None
        inner = tuple(loops(of_kernel, named.entries or 0)) if is_product else ()
        classes = classes_of(of_kernel)
        forbidden = sum(classes[name] for name in FORBIDDEN)
        words = named.words if is_product else None
        moved = None if words is None else transfers(of_kernel, words)
        yield Kernel(group, named.name, found, classes["spill"], forbidden, inner, moved)


def main(arguments: list[str] | None = None) -> int:
    """Compile and report; 1 if NVRTC is missing or the output cannot be of the kind that is asked for."""
    options = _parser().parse_args(arguments)
    output: Path | None = options.output
    if output is not None and output.suffix not in (".md", ".json"):
        print(f"--output must end in .md or .json, got {output}", file=sys.stderr)
        return 1
    try:
        compiler = compiler_version()
    except ImportError as error:
        print(error, file=sys.stderr)
        return 1
    tool = disassembler()
    if tool is None:
        print(MISSING, file=sys.stderr)
    chosen = [(group, named) for group, found in groups().items() for named in found]
    chosen = [(group, named) for group, named in chosen if options.only is None or group in options.only]
    console = machine.screen()
    kernels = [
        kernel
        for group, named in track(chosen, "Compiling", console=console, transient=True)
        for kernel in inspect(group, named, options.arch, tool)
    ]
    report = Report(
        command=shlex.join(
            ["python", "-m", "benchmarks.cuda_kernels", *(sys.argv[1:] if arguments is None else arguments)]
        ),
        compiler=compiler,
        version=machine.installed_version(),
        architecture=ARCHITECTURES[options.arch],
        device=Device(options.multiprocessors, options.clock),
        kernels=tuple(kernels),
        disassembled=tool is not None,
    )
    if output is None:
        print(report.markdown())
        return 0
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report.data(), indent=2) + "\n" if output.suffix == ".json" else report.markdown())
    console.print(f"Wrote {output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
