"""``mulfree cost``: operations, energy and area of a recipe's or a model's arithmetic, by the paper's Appendix B."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.table import Table

from mulfree.cli.errors import reported
from mulfree.cli.model import recipe_of_model
from mulfree.cli.outputs import check_output
from mulfree.cli.screen import screen, titled
from mulfree.cli.settings import changes_of, fitting
from mulfree.cli.threads import set_threads
from mulfree.hardware import Costs, Memory, Operations, inference, piecewise_unit, standard_unit, training_step
from mulfree.hardware.estimate import Unit
from mulfree.hardware.plot import save_energies
from mulfree.hardware.prices import BYTES, DRAM, FORMATS, LABELS, MEMORIES, PIECEWISE
from mulfree.hardware.synthesis.measured import Measured
from mulfree.hardware.units import joules
from mulfree.recipes import Recipe, changed, load
from mulfree.recipes.model import Loss
from mulfree.train import ConfigError, OutputError
from mulfree.train.arithmetic import Arithmetic
from mulfree.train.errors import writing
from mulfree.train.records import write_json


def cost(
    recipe: Annotated[str | None, typer.Argument(help="Name of a recipe, or path of a TOML file.")] = None,
    *,
    model: Annotated[
        str | None,
        typer.Option(metavar="PACKAGE.MODULE:CALLABLE", help="In place of a recipe: what returns a torch.nn.Module."),
    ] = None,
    argument: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the callable of --model; several are possible.")
    ] = None,
    input_shape: Annotated[
        str | None, typer.Option(metavar="3,224,224", help="Of one input of --model, without the batch.")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(help="Inputs of --model are whole numbers below this; fractions if not given.")
    ] = None,
    loss: Annotated[
        Loss | None, typer.Option(help="Of --model, with random targets; cross-entropy if not given.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Any setting of the recipe.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images, or inputs of --model, of a batch.")] = None,
    memory: Annotated[
        Memory, typer.Option(help="Where operands and results are; none leaves out the energy of moving them.")
    ] = "none",
    json_: Annotated[Path | None, typer.Option("--json", help="Also write everything to this file.")] = None,
    output: Annotated[Path | None, typer.Option(help="PNG of a step's energy by kind of operation.")] = None,
    measured: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON of mulfree hardware cost: areas and energies for Appendix B's."),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads; torch's choice if not given.")] = None,
) -> None:
    """Count one live training step and one inference of a recipe or of a model on random inputs, and price them as in
    the paper's Appendix B."""
    console = screen()
    with reported():
        check_output("--json", json_)
        check_output("--output", output, ".png")
        set_threads(threads)
        found = _measured(measured)
        changes = changes_of({"task.batch_size": batch_size}, set_)
        own = {"--argument": argument, "--input-shape": input_shape, "--tokens": tokens, "--loss": loss}
        if (recipe is None) == (model is None):
            raise ConfigError("give either a recipe or --model")
        if model is None and (stray := [name for name, value in own.items() if value is not None]):
            raise ConfigError(f"{stray[0]} goes with --model; change a recipe with --set")
        base = load(recipe or "") if model is None else recipe_of_model(model, input_shape, argument, tokens, loss)
        full = replace(base, arithmetic=Arithmetic())
        chosen = fitting(changed(full, {"training.workers": 0, **changes}), changes)
        costs = _counted(chosen, memory, found)
    for table in (_operations(chosen, costs), _energies(costs), _units(found)):
        console.print(table)
    console.print(_remarks(costs) + _source(found), highlight=False)
    with reported():
        _write(chosen, costs, json_, output, found)
    for path in filter(None, (json_, output)):
        console.print(f"Wrote {path}", highlight=False, markup=False, soft_wrap=True)


def _counted(recipe: Recipe, memory: Memory, measured: Measured | None) -> Costs:
    if not recipe.arithmetic.replaced:
        raise ConfigError("arithmetic: nothing is replaced, so there is nothing to compare; try arithmetic.policy=full")
    trainer = recipe.make_trainer()
    try:
        step, forward = training_step(trainer), inference(trainer)
    except NotImplementedError as error:  # refused by the conversion
        raise ConfigError(f"{recipe.name} has no piecewise affine form: {error}") from error
    energies = {format: measured.energies(format) for format in FORMATS} if measured else {}
    if recipe.kind == "model":
        return Costs(step, forward, memory=memory, measured=energies)
    return Costs(step, forward, trainer.steps_per_epoch, trainer.total_steps, memory, energies)


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
        "epoch": f"epoch, {costs.steps_per_epoch or 0:,} steps",
        "training": f"training, {costs.total_steps or 0:,} steps",
        "inference": "inference, one item",
    }
    for format in FORMATS:
        for name, (standard, piecewise) in costs.energies(format).items():
            numbers = joules(standard.total), joules(piecewise.total), _percent(piecewise.total, standard.total)
            table.add_row(LABELS[format], names[name], *numbers)
        table.add_section()
    return table


def _measured(path: Path | None) -> Measured | None:
    if path is None:
        return None
    try:
        return Measured.read(path)
    except (ValueError, OutputError) as error:
        raise ConfigError(f"--measured: {path}: {error}") from error


def _units(measured: Measured | None) -> Table:
    table = titled(
        "Energy of one operation and area of its circuit", "multiplications in", "unit", "standard",
        "piecewise affine", "ratio", "standard", "piecewise affine", "ratio", words=2,
    )  # fmt: skip
    measure = "µm²" if measured is None else "transistors" if measured.target == "gates" else ""
    for format in FORMATS:
        for unit in get_args(Unit):
            old, new = standard_unit(unit, format), piecewise_unit(unit)
            sizes = (old.area, new.area) if measured is None else measured.areas(unit, format)
            energy = new.energy
            if measured is not None:
                energy += measured.energies(format).products - PIECEWISE.energy
            table.add_row(
                LABELS[format], unit, f"{old.energy:.1f} pJ", f"{energy:.2g} pJ", _percent(energy, old.energy),
                *(f"{size:,.0f} {measure}".rstrip() for size in sizes), _percent(sizes[1], sizes[0]),
            )  # fmt: skip
    return table


def _source(measured: Measured | None) -> str:
    if measured is None:
        return "\nAreas and energies are Table 4's."
    return (
        f"\nAreas are measured ({measured.target}, {measured.measure}; float16's for bfloat16 too). Energies of PAM, "
        "PAD, exp2 and log2 are Table 4's\nof a multiplication times the measured ratio to it (Gaussian operands, "
        "without or with glitches, whichever is larger); the others are Table 4's."
    )


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _remarks(costs: Costs) -> str:
    if costs.memory == "none":
        memory = "Left out: memory (ask with --memory)"
    else:
        price = f"{MEMORIES[costs.memory]:g} pJ for 64 bits"
        price += f", the middle of {DRAM[0]:g} to {DRAM[1]:g}" if costs.memory == "dram" else ""
        memory = f"Memory: each operand is read and each result written once a call, {price}.\nLeft out: repeated reads"
    operations = "" if costs.measured else " A PAM, PAD, exp2 or log2 is two int32 additions."
    epochs = "" if costs.steps_per_epoch is None else " An epoch is as many steps like the first one."
    partial = ""
    if costs.step.total.multiplications:
        partial = "\nMultiplications left are torch's own operations; their additions and memory are not counted."
    return (
        f"Estimates for a 45 nm process by Table 4 and Appendix B of the paper.{operations} Additions are\nfloat32 in "
        "every format. In standard arithmetic a division, root, exponential or "
        f"logarithm is priced as one multiplication, less than it costs.\n{memory}, control, instruction fetch, "
        f"interconnect, idle circuits.{epochs}{partial}"
    )


def _write(recipe: Recipe, costs: Costs, data: Path | None, picture: Path | None, measured: Measured | None) -> None:
    if data is not None:
        found = {} if measured is None else {"measured": measured.to_data()}
        write_json(data, {"recipe": recipe.name, "arithmetic": recipe.arithmetic.label, **costs.to_data(), **found})
    if picture is not None:
        with writing(picture):
            _draw(picture, recipe, costs)


def _draw(path: Path, recipe: Recipe, costs: Costs) -> None:
    steps = {format: costs.energies(format)["step"] for format in FORMATS}
    bars = {LABELS[format]: {"standard": old, "piecewise affine": new} for format, (old, new) in steps.items()}
    memory = "" if costs.memory == "none" else f", memory: {costs.memory}"
    save_energies(path, bars, f"{recipe.name}: one training step of {costs.step.items:,} items{memory}")
