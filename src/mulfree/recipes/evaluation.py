"""Evaluation of a run that was made earlier, complete or not, and the list of runs in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from mulfree.recipes.recipe import Recipe, parse
from mulfree.train.checkpoints import Checkpoints
from mulfree.train.errors import OutputError, writing
from mulfree.train.plots import save_curves
from mulfree.train.records import recorded
from mulfree.train.run import CHECKPOINTS, RECIPE, diverged, finished
from mulfree.train.seeds import seed_all


@dataclass(frozen=True)
class Evaluation:
    """Measurements of the weights after ``step`` steps."""

    step: int
    scores: dict[str, float]


def evaluate_run(folder: Path, which: Literal["last", "best"], device: torch.device) -> Evaluation:
    """Load the weights of a checkpoint, checksums verified, and measure them as after training.

    Raises:
        OutputError: no run in the folder, no such checkpoint, or a damaged one.
    """
    path = folder / RECIPE
    if not path.exists():
        raise OutputError(f"{folder} is no folder of a run: it has no {RECIPE}")
    recipe = parse(folder.name, path.read_text(encoding="utf-8"))
    stored = Checkpoints(folder / CHECKPOINTS)
    if not stored.steps():
        raise OutputError(f"{folder} has no checkpoint yet")
    checkpoint = stored.read(stored.steps()[-1])
    if which == "best":
        best = checkpoint.state["progress"]["best_step"]
        checkpoint = stored.read(best or checkpoint.step)
    task = recipe.make_task()
    model = recipe.arithmetic.converted(task.model().to(device))
    model.load_state_dict(checkpoint.model)
    model.eval()
    seed_all(recipe.training.seed, checkpoint.step, -1)
    with torch.no_grad():
        return Evaluation(checkpoint.step, task.evaluate(model))


def find_runs(parent: Path) -> list[dict[str, Any]]:
    """All runs in a folder and those below it: recipe, arithmetic, seed, steps, score, ms per step, status.

    Of a run whose files cannot be read there is its folder, the status "damaged" and the reason.
    """
    return [_found(path.parent, parent) for path in sorted(parent.rglob(RECIPE))]


def draw_runs(parent: Path, path: Path) -> None:
    """Draw the curves of all runs in a folder and those below it, by arithmetic, as a PNG; damaged ones are left out.

    Raises:
        OutputError: there are none with a recorded epoch, they are of different tasks, or the figure cannot be written.
    """
    runs: dict[str, list[list[dict[str, Any]]]] = {}
    tasks: dict[str, tuple[str, Any]] = {}
    for recipe_file in sorted(parent.rglob(RECIPE), key=lambda file: file.stat().st_mtime):
        folder = recipe_file.parent
        try:
            recipe, records = _recipe(folder), recorded(folder)
        except OutputError:
            continue
        if any(record["kind"] == "epoch" for record in records):
            runs.setdefault(recipe.arithmetic.label, []).append(records)
            tasks[str(recipe.task)] = recipe.description, folder
    if not runs:
        raise OutputError(f"no run in {parent} has finished an epoch")
    if len(tasks) > 1:
        (_, one), (_, other), *_ = tasks.values()
        raise OutputError(f"{one} and {other} are runs of different tasks; name a folder with runs of one")
    ((title, _),) = tasks.values()
    with writing(path):
        save_curves(path, runs, title)


def _recipe(folder: Path) -> Recipe:
    """Of the run in a folder. Raises OutputError if it cannot be read."""
    path = folder / RECIPE
    try:
        return parse(folder.name, path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot read {path}: {error}") from error


def _found(folder: Path, parent: Path) -> dict[str, Any]:
    run = str(folder.relative_to(parent)) if folder != parent else "."
    try:
        return {"run": run, **_described(folder), "reason": None}
    except OutputError as error:
        unknown = ("recipe", "arithmetic", "seed", "steps", "score", "value", "milliseconds")
        return {"run": run, **dict.fromkeys(unknown), "status": "damaged", "reason": str(error)}


def _described(folder: Path) -> dict[str, Any]:
    recipe = _recipe(folder)
    result = finished(folder)
    metrics = recorded(folder)
    stopped = "diverged" if diverged(folder) else "unfinished"
    return {
        "recipe": result.recipe if result else recipe.kind,
        "arithmetic": recipe.arithmetic.label,
        "seed": recipe.training.seed,
        "steps": result.steps if result else max((r["step"] for r in metrics), default=0),
        "score": result.score if result else None,
        "value": result.scores[result.score] if result else None,
        "milliseconds": result.milliseconds if result else None,
        "status": "complete" if result else stopped,
    }
