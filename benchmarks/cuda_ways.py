"""Which ways the tiles of products take on a CUDA device in real training, and what that allows; needs no device.

Recipes are trained on the processor. Every matrix product and convolution of some steps is also described as the CUDA
backend would launch it; the spans of its panels tell the way of each chunk of each tile.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from benchmarks.cuda_kernels.limits import H200, Device
from benchmarks.cuda_panels import CLAMPED, WAYS
from benchmarks.cuda_watch import GENERAL_INSTRUCTIONS, PASSES, Extremes, Point, Work, total, trained
from benchmarks.report import installed_version, screen, table
from mulfree.data.locations import VARIABLE
from mulfree.train.errors import ConfigError

RECIPES = ("digits", "numbers")
STEPS = (0, 100, 400)


def _percent(part: float, whole: float) -> str:
    """Shares that are not all or nothing are not shown as if they were."""
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.01:
        return "< 0.01 %"
    return "> 99.99 %" if 99.99 < share < 100 else f"{share:.4g} %"


def _shares(work: Work) -> list[str]:
    return [_percent(int(part), int(work.wanted.sum())) for part in work.wanted]


def _limits(work: Work, device: Device) -> list[str]:
    """Products a second at the limits of all multiprocessors: if all entries of all tiles were wanted, and as it is."""
    wanted, (ideal, real) = int(work.wanted.sum()), work.clocks
    rates = [
        wanted / clocks * device.multiprocessors * device.clock / 1e3 if clocks else 0.0 for clocks in (ideal, real)
    ]
    return [f"{rate:.1f}" for rate in rates]


def _spans(found: Extremes, products: int) -> list[str]:
    if np.isnan(found.least):
        return [""] * 5
    zeros = (_percent(int(part), products) for part in found.zeros)
    return [f"{found.left:.0f}", f"{found.right:.0f}", f"2^{found.least:.0f}", *zeros]


SPANS = ("left span", "right span", "least product", "zeros left", "zeros right")
EXPLANATION = """\
Trained on the processor; no device was there. Recorded are all matrix products and convolutions of single steps, as
the CUDA backend would launch them on {multiprocessors} multiprocessors. Shares are of scalar products. *Wanted* is the
share of the entries of tiles that are in a result; the others are computed, too. The limits are products a second, in
10^12, on all multiprocessors at {clock:g} GHz by the instructions and units of the loops
([cuda-kernels.md](cuda-kernels.md)): if every entry of a tile were wanted, and as it is. A product of the general way
is taken as {general} instructions. Reading, writing, and multiprocessors without a tile are not in them.

A tile is fast if its products are normal numbers and, where a panel has zeros, none is below 2^-103 and the spans of
both panels leave room for words that stand for zero: where both have zeros, their octaves together are at most 92;
where one has, its own and twice the other's 195. Otherwise it is clamped, or general where a product may be infinite
or an operand is no finite number (and always with slopes)."""


def _details(points: Sequence[Point], slow: bool) -> Iterator[list[str]]:
    for point in points:
        for group, work in point.found.items():
            products = int(work.wanted[CLAMPED:].sum() if slow else work.wanted.sum())
            if not products:
                continue
            name = [point.recipe, str(point.steps)] if slow else [point.recipe]
            part = [_percent(products, int(work.wanted.sum()))] if slow else [f"{products / 1e6:.4g}", *_shares(work)]
            wanted = [] if slow else [_percent(int(work.wanted.sum()), int(work.issued.sum()))]
            names = [*name, PASSES[group.backward], group.kind, group.shape, group.tiles]
            yield [*names, str(work.calls), *part, *wanted, *_spans(work.slow if slow else work.tiles, products)]


def _summary(points: Sequence[Point], device: Device) -> Iterator[list[str]]:
    for point in points:
        for backward, name in enumerate(PASSES):
            work = total(part for group, part in point.found.items() if group.backward == bool(backward))
            products, issued = int(work.wanted.sum()), int(work.issued.sum())
            shares = [f"{products / 1e9:.3g}", *_shares(work), _percent(products, issued)]
            yield [point.recipe, str(point.steps), name, *shares, *_limits(work, device)]


def markdown(command: str, points: Sequence[Point], device: Device) -> str:
    """The report: all recipes, what is not fast, and every shape at the last point of each recipe."""
    last = list({point.recipe: point for point in points}.values())
    slow = list(_details(points, slow=True))
    everything = total(work for point in points for work in point.found.values())
    shares = ", ".join(f"{name} {share}" for name, share in zip(WAYS, _shares(everything), strict=True))
    shape = ("pass", "kind", "left and right", "tiles", "calls")
    return "\n".join(
        [
            "# Ways of tiles in training",
            "",
            f"    {command}",
            "",
            f"mulfree {installed_version()}, torch {torch.__version__}, {datetime.now(UTC):%Y-%m-%d}.",
            "",
            EXPLANATION.format(
                multiprocessors=device.multiprocessors, clock=device.clock, general=GENERAL_INSTRUCTIONS
            ),
            "",
            f"**All steps together: {shares}.**",
            "",
            *table(
                ("recipe", "steps before", "pass", "10^9 products", *WAYS, "wanted", "limit, all wanted", "limit"),
                3,
                _summary(points, device),
            ),
            "",
            "## What is not fast",
            "",
            "Spans are the widest of a panel, in octaves; zeros, the share of products in tiles whose panel has some."
            if slow
            else "Nothing.",
            *(["", *table(("recipe", "steps before", *shape, "share", *SPANS), 6, slow)] if slow else []),
            "",
            "## Shapes at the last step of each recipe",
            "",
            "How far the widest spans (octaves from the least to the greatest magnitude of a panel) and the least "
            "product are from the bounds above.",
            "",
            *table(("recipe", *shape, "10^6 products", *WAYS, "wanted", *SPANS), 5, _details(last, slow=False)),
            "",
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cuda_ways",
        description="Train recipes on the processor and tell which ways the products of some steps would take on a "
        "CUDA device, and what that allows. No device is needed.",
    )
    help_ = "NAME or NAME,SECTION.FIELD=VALUE,... (default: %(default)s)"
    parser.add_argument("recipes", nargs="*", default=RECIPES, metavar="RECIPE", help=help_)
    parser.add_argument("--steps", nargs="+", type=int, default=STEPS, help="before those that are looked at")
    parser.add_argument("--multiprocessors", type=int, default=H200.multiprocessors, help="default: those of an H200")
    parser.add_argument("--clock", type=float, default=H200.clock, help="in GHz (default: that of an H200)")
    parser.add_argument("--threads", type=int, help="of the training (default: torch's choice)")
    parser.add_argument("--output", type=Path, help="a .md file; the report is printed without one")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Train, watch and report; 1 if a recipe cannot be trained or the output is to be of another kind."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(given)
    output: Path | None = options.output
    if output is not None and output.suffix != ".md":
        print(f"--output must end in .md, got {output}", file=sys.stderr)
        return 1
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    points: list[Point] = []
    try:
        for recipe in options.recipes:
            points += trained(recipe, options.steps, options.multiprocessors)
    except (ConfigError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    device = Device(options.multiprocessors, options.clock)
    data = f"{VARIABLE}=DATA " if VARIABLE in os.environ else ""
    text = markdown(data + shlex.join(["python", "-m", "benchmarks.cuda_ways", *given]), points, device)
    if output is None:
        print(text)
        return 0
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text)
    screen().print(f"Wrote {output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
