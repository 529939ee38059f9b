"""All runs that a recipe asks for: one for each arithmetic and seed, in folders of their own, and their comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Protocol

import torch

from mulfree.recipes.recipe import Recipe, differences, parse, to_toml
from mulfree.train.arithmetic import Arithmetic
from mulfree.train.errors import ConfigError, OutputError
from mulfree.train.loop import Step, Trainer
from mulfree.train.plots import save_curves
from mulfree.train.processes import Processes, processes
from mulfree.train.records import METRICS, read_metrics
from mulfree.train.run import RECIPE, Result, finished, prepare, train

COMPARISON = "comparison.png"


@dataclass(frozen=True)
class Options:
    """What a training is told beside its recipe.

    Attributes:
        folder: of all its runs.
        seeds: number of runs of each arithmetic, with the recipe's seed and those after it.
        device: where to train, such as "cpu" or "cuda".
        resume: go on with the runs in ``folder`` that are not complete.
        strict: an audit with findings ends the training.
    """

    folder: Path
    seeds: int = 1
    device: str = "cpu"
    resume: bool = False
    strict: bool = False


@dataclass(frozen=True)
class Comparison:
    """The results of all runs of a recipe, by arithmetic.

    Attributes:
        recipe: what was trained.
        results: label of the arithmetic -> results by seed; the recipe's own arithmetic is last.
        files: folders of the runs, and the figure that compares them; empty in all processes but the first.
    """

    recipe: Recipe
    results: dict[str, list[Result]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)

    def score(self, label: str) -> tuple[float, float]:
        """Mean and sample standard deviation (0 for one run) of the score of an arithmetic."""
        scores = [result.scores[result.score] for result in self.results[label]]
        return fmean(scores), stdev(scores) if len(scores) > 1 else 0.0

    def milliseconds(self, label: str) -> float:
        """Mean over the runs of their median step."""
        return fmean(result.milliseconds for result in self.results[label])

    def ratio(self, label: str) -> float | None:
        """Duration of a step over that of the first arithmetic; None where one is not known."""
        first = self.milliseconds(next(iter(self.results)))
        return self.milliseconds(label) / first if first else None


class Screen(Protocol):
    """What shows how far the runs are."""

    def begin(self, label: str, seed: int, done: int, total: int) -> Callable[[Step, str], None]:
        """A run starts at step ``done`` of ``total``; returns what hears of its steps and latest validation."""
        ...

    def warn(self, message: str) -> None: ...


class _Quiet:
    def begin(self, label: str, seed: int, done: int, total: int) -> Callable[[Step, str], None]:
        return lambda step, status: None

    def warn(self, message: str) -> None:
        pass


def arithmetics(recipe: Recipe) -> list[Arithmetic]:
    """Those that are trained: the one to compare with, if any, then the recipe's."""
    compare = recipe.training.compare
    others = [] if compare == "none" else [Arithmetic(policy=compare)]
    return [other for other in others if other.label != recipe.arithmetic.label] + [recipe.arithmetic]


def train_recipe(recipe: Recipe, options: Options, screen: Screen) -> Comparison:
    """Make every run of the recipe, one after the other; complete ones are kept when resuming.

    Raises:
        ConfigError: settings that cannot be used, or that differ from those of the run that is to go on.
        OutputError, NonFiniteLossError, AuditError, Interrupted: from a run.
    """
    device = device_named(options.device)
    if options.seeds < 1:
        raise ConfigError(f"seeds must be at least 1, got {options.seeds}")
    task = recipe.make_task()
    comparison = Comparison(recipe)
    with processes(device) as group:
        shown = screen if group.is_first else _Quiet()
        for seed in range(recipe.training.seed, recipe.training.seed + options.seeds):
            for arithmetic in arithmetics(recipe):
                own = replace(recipe, arithmetic=arithmetic, training=replace(recipe.training, seed=seed))
                folder = run_folder(options.folder, arithmetic.label, seed)
                result = _ready(own, folder, options, group)
                if result is None:
                    trainer = Trainer(task, arithmetic, own.optimizer, own.schedule, own.training, device, group)
                    _make_folder(own, folder, group)
                    report = _Reporter(shown, trainer, arithmetic.label, seed)
                    result = train(
                        trainer, folder, recipe=recipe.name, title=f"{recipe.name}: {recipe.description}",
                        strict=options.strict, warn=shown.warn, report=report,
                    )  # fmt: skip
                comparison.results.setdefault(arithmetic.label, []).append(result)
                if group.is_first:
                    comparison.files.append(folder)
        if len(comparison.files) > 1:
            comparison.files.append(_draw(comparison, options.folder))
    return comparison


class _Reporter:
    """Opens the progress with the first step, when it is known where the run goes on."""

    def __init__(self, screen: Screen, trainer: Trainer, label: str, seed: int) -> None:
        self.screen, self.trainer, self.label, self.seed = screen, trainer, label, seed
        self.hear: Callable[[Step, str], None] | None = None

    def __call__(self, step: Step, status: str) -> None:
        if self.hear is None:
            self.hear = self.screen.begin(self.label, self.seed, step.step - 1, self.trainer.total_steps)
        self.hear(step, status)


def device_named(name: str) -> torch.device:
    """Raises ConfigError if it cannot be used."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # AssertionError: a torch built without that device
        raise ConfigError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from None
    return torch.device(name)


def _ready(recipe: Recipe, folder: Path, options: Options, group: Processes) -> Result | None:
    """The result of a run that is complete; None if it is to be trained.

    Raises:
        OutputError: there is a run in the folder and this is no resumption.
        ConfigError: that run was another training.
    """
    exists = (folder / RECIPE).exists()
    group.wait()  # before the first process makes it
    if not exists:
        return None
    if not options.resume:
        raise OutputError(f"{folder} holds a run already; give --resume to go on, or another --output-dir")
    return stored_result(recipe, folder)


def run_folder(parent: Path, arithmetic: str, seed: int) -> Path:
    """Where the run of a seed is, by the label of its arithmetic."""
    return parent / f"{arithmetic}-seed{seed}"


def stored_result(recipe: Recipe, folder: Path) -> Result | None:
    """The result of the run of ``recipe`` in a folder; None if there is no run, or an incomplete one.

    Raises:
        ConfigError: the run there is another training.
        OutputError: its files cannot be read.
    """
    path = folder / RECIPE
    if not path.exists():
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror or error}") from error
    if other := differences(parse(recipe.name, text), recipe):
        raise ConfigError(f"the run in {folder} had other settings: {'; '.join(other)}")
    return finished(folder)


def _make_folder(recipe: Recipe, folder: Path, group: Processes) -> None:
    if group.is_first and not (folder / RECIPE).exists():
        prepare(folder, to_toml(recipe))
    group.wait()


def _draw(comparison: Comparison, folder: Path) -> Path:
    runs: dict[str, Sequence[Sequence[dict[str, object]]]] = {}
    for label, results in comparison.results.items():
        folders = [run_folder(folder, label, result.seed) for result in results]
        runs[label] = [read_metrics(path / METRICS) for path in folders]
    path = folder / COMPARISON
    save_curves(path, runs, f"{comparison.recipe.name}: {comparison.recipe.description}")
    return path
