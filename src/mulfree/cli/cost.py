"""``mulfree cost``: operations, energy and area of a recipe's arithmetic, by the model of the paper's Appendix B."""

from __future__ import annotations

from dataclasses import replace
from os.path import isdir
from pathlib import Path
from typing import Annotated, get_args

import torch
import typer
from rich.table import Table

from mulfree.cli.errors import reported
from mulfree.cli.screen import screen, titled
from mulfree.cli.settings import changes_of, fitting
from mulfree.cli.threads import set_threads
from mulfree.hardware import Costs, Memory, Operations, inference, piecewise_unit, standard_unit, training_step
from mulfree.hardware.estimate import Unit
from mulfree.hardware.plot import save_energies
from mulfree.hardware.prices import BYTES, DRAM, FORMATS, LABELS, MEMORIES
from mulfree.hardware.units import joules
from mulfree.recipes import Recipe, changed, load
from mulfree.train import ConfigError, Trainer
from mulfree.train.arithmetic import Arithmetic
from mulfree.train.errors import writing
from mulfree.train.records import write_json


def cost(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or path of a TOML file.")],
    *,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Any setting of the recipe.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images of a batch.")] = None,
    memory: Annotated[
        Memory, typer.Option(help="Where operands and results are; none leaves out the energy of moving them.")
    ] = "none",
    json_: Annotated[Path | None, typer.Option("--json", help="Also write everything to this file.")] = None,
    output: Annotated[Path | None, typer.Option(help="PNG of a step's energy by kind of operation.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads; torch's choice if not given.")] = None,
) -> None:
    """Count one live training step and one inference of a recipe, and price them as in the paper's Appendix B."""
    for option, path in (("--json", json_), ("--output", output)):
        if path is not None and (isdir(path) or not isdir(path.absolute().parent)):
            reason = f"{path} is a folder" if isdir(path) else f"no folder {path.parent}"
            raise typer.BadParameter(reason, param_hint=option)
    console = screen()
    with reported():
        set_threads(threads)
        changes = changes_of({"task.batch_size": batch_size}, set_)
        full = replace(load(recipe), arithmetic=Arithmetic())
        chosen = fitting(changed(full, {"training.workers": 0, **changes}), changes)
        costs = _counted(chosen, memory)
    for table in (_operations(chosen, costs), _energies(costs), _units()):
        console.print(table)
    console.print(_remarks(costs), highlight=False)
    with reported():
        _write(chosen, costs, json_, output)
    for path in filter(None, (json_, output)):
        console.print(f"Wrote {path}", highlight=False, soft_wrap=True)


def _counted(recipe: Recipe, memory: Memory) -> Costs:
    if not recipe.arithmetic.replaced:
        raise ConfigError("arithmetic: nothing is replaced, so there is nothing to compare; try arithmetic.policy=full")
    trainer = Trainer(
        recipe.make_task(), recipe.arithmetic, recipe.optimizer, recipe.schedule, recipe.training, torch.device("cpu")
    )
    step = training_step(trainer)
    return Costs(step, inference(trainer), trainer.steps_per_epoch, trainer.total_steps, memory)


def _operations(recipe: Recipe, costs: Costs) -> Table:
    moved = [] if costs.memory == "none" else [f"bytes moved, {format}" for format in FORMATS]
    table = titled(
        f"{recipe.name}, {recipe.arithmetic.label}: scalar operations", "of", "PAM", "PAD", "exp2", "log2",
        "float additions", "multiplications replaced", "left", *moved,
    )  # fmt: skip
    step, inference = costs.step, costs.inference
    rows = [(str(phase), operations, 1) for phase, operations in step.phases.items()]
    rows.append((f"training step, {step.items:,} items", step.total, 1))
    rows.append((f"inference, {inference.items:,} items", inference.total, 1))
    rows.append(("inference, one item", inference.total, max(inference.items, 1)))
    for index, (name, operations, items) in enumerate(rows):
        counts = _counts(operations)[: 7 + len(moved)]
        table.add_row(name, *(f"{count / items:,.0f}" for count in counts), end_section=index == len(rows) - 4)
    return table


def _counts(operations: Operations) -> list[int]:
    work = operations.work
    numbers = [work.products, work.quotients, work.powers, work.logarithms, operations.all_additions, work.replaced]
    return [*numbers, operations.multiplications, *(operations.traffic.bytes(BYTES[format]) for format in FORMATS)]


def _energies(costs: Costs) -> Table:
    what = "arithmetic" if costs.memory == "none" else f"arithmetic and memory ({costs.memory})"
    table = titled(
        f"Energy of the {what}", "multiplications in", "of", "standard", "piecewise affine", "ratio", words=2
    )
    names = {
        "step": "training step",
        "epoch": f"epoch, {costs.steps_per_epoch:,} steps",
        "training": f"training, {costs.total_steps:,} steps",
        "inference": "inference, one item",
    }
    for format in FORMATS:
        for name, (standard, piecewise) in costs.energies(format).items():
            numbers = joules(standard.total), joules(piecewise.total), _percent(piecewise.total, standard.total)
            table.add_row(LABELS[format], names[name], *numbers)
        table.add_section()
    return table


def _units() -> Table:
    table = titled(
        "Energy of one operation and area of its circuit", "multiplications in", "unit", "standard",
        "piecewise affine", "ratio", "standard", "piecewise affine", "ratio", words=2,
    )  # fmt: skip
    for format in FORMATS:
        for unit in get_args(Unit):
            old, new = standard_unit(unit, format), piecewise_unit(unit)
            table.add_row(
                LABELS[format], unit,
                f"{old.energy:.1f} pJ", f"{new.energy:.1f} pJ", _percent(new.energy, old.energy),
                f"{old.area:,.0f} µm²", f"{new.area:,.0f} µm²", _percent(new.area, old.area),
            )  # fmt: skip
    return table


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _remarks(costs: Costs) -> str:
    if costs.memory == "none":
        memory = "Left out: memory (ask with --memory)"
    else:
        price = f"{MEMORIES[costs.memory]:g} pJ for 64 bits"
        price += f", the middle of {DRAM[0]:g} to {DRAM[1]:g}" if costs.memory == "dram" else ""
        memory = f"Memory: each operand is read and each result written once a call, {price}.\nLeft out: repeated reads"
    partial = ""
    if costs.step.total.multiplications:
        partial = "\nMultiplications left are torch's own operations; their additions and memory are not counted."
    return (
        "Estimates for a 45 nm process by Table 4 and Appendix B of the paper. A PAM, PAD, exp2 or log2 is two int32 "
        "additions; additions are\nfloat32 in every format. In standard arithmetic a division, root, exponential or "
        f"logarithm is priced as one multiplication, less than it costs.\n{memory}, control, instruction fetch, "
        f"interconnect, idle circuits. An epoch is as many steps like the first one.{partial}"
    )


def _write(recipe: Recipe, costs: Costs, data: Path | None, picture: Path | None) -> None:
    if data is not None:
        write_json(data, {"recipe": recipe.name, "arithmetic": recipe.arithmetic.label, **costs.to_data()})
    if picture is not None:
        with writing(picture):
            _draw(picture, recipe, costs)


def _draw(path: Path, recipe: Recipe, costs: Costs) -> None:
    steps = {format: costs.energies(format)["step"] for format in FORMATS}
    bars = {LABELS[format]: {"standard": old, "piecewise affine": new} for format, (old, new) in steps.items()}
    memory = "" if costs.memory == "none" else f", memory: {costs.memory}"
    save_energies(path, bars, f"{recipe.name}: one training step of {costs.step.items:,} items{memory}")
