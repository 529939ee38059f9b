"""One run: a training in a folder of its own, from the start or from its newest checkpoint to its result."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import TypeAdapter

from mulfree.train.audits import Audits
from mulfree.train.checkpoints import Checkpoints
from mulfree.train.errors import Interrupted, NonFiniteLossError, OutputError
from mulfree.train.loop import Step, Trainer, parameters_of
from mulfree.train.plots import save_curves
from mulfree.train.records import (
    ENVIRONMENT,
    RESULT,
    Metrics,
    environment,
    read_json,
    recorded,
    write_json,
    write_text,
)

RECIPE, CURVES, CHECKPOINTS, DIVERGED = "recipe.toml", "curves.png", "checkpoints", "diverged.json"
Report = Callable[[Step, str], None]
"""Hears of every step, and of the latest validation in a few words."""


@dataclass(frozen=True)
class Result:
    """What a finished run leaves in ``result.json``.

    Attributes:
        recipe, arithmetic, seed: which run it was.
        score: name of the measurement by which runs are compared.
        scores: all final measurements, on test data.
        steps, epochs: length.
        milliseconds: median of a step, audited steps apart; 0 if there was no other.
        seconds: sum over the steps that this process and its predecessors trained.
        parameters: trained numbers.
        multiplications: that the last audit found; None if no step was audited.
    """

    recipe: str
    arithmetic: str
    seed: int
    score: str
    scores: dict[str, float]
    steps: int
    epochs: float
    milliseconds: float
    seconds: float
    parameters: int
    multiplications: int | None


@dataclass
class _Progress:
    """Where a training stands between two steps, beside what its position tells."""

    loss: float = 0.0
    """Sum over the items since the last record, and over the epoch."""
    items: int = 0
    epoch_loss: float = 0.0
    epoch_items: int = 0
    seconds: float = 0.0
    best: float = math.inf
    best_step: int = 0
    summary: str = ""


def prepare(folder: Path, recipe: str) -> None:
    """Make the folder of a new run and describe it.

    Raises:
        OutputError: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to the output folder {folder}: {error.strerror or error}") from error
    write_text(folder / RECIPE, recipe)
    write_json(folder / ENVIRONMENT, environment())


def finished(folder: Path) -> Result | None:
    """The result of a run that is complete; None otherwise.

    Raises:
        OutputError: its file is damaged.
    """
    path = folder / RESULT
    if not path.exists():
        return None
    try:
        result = Result(**read_json(path))
        TypeAdapter(Result).validate_python(asdict(result))
        float(result.scores[result.score])
    except (TypeError, ValueError, KeyError) as error:
        raise OutputError(f"{path} is not the result of a run: {error}") from None
    return result


def diverged(folder: Path) -> bool:
    """True if the run there ended by a loss that was not finite, and has not been tried again since."""
    return (folder / DIVERGED).exists()


def train(
    trainer: Trainer,
    folder: Path,
    *,
    recipe: str,
    title: str,
    strict: bool,
    warn: Callable[[str], None],
    report: Report,
) -> Result:
    """Train to the end, from the newest intact checkpoint in ``folder`` if there is one.

    Only the first process writes. A signal to stop (SIGINT, SIGTERM) ends the run after the step it comes in, with a
    checkpoint.

    Raises:
        Interrupted: such a signal came.
        NonFiniteLossError, AuditError, OutputError: see there. Earlier checkpoints stay; a note stays of the first.
    """
    settings, first = trainer.settings, trainer.processes.is_first
    stored = Checkpoints(folder / CHECKPOINTS, settings.keep)
    found = stored.newest(warn if first else lambda _: None)
    progress = _Progress() if found is None else _Progress(**trainer.resume(found))
    metrics = Metrics(folder) if first else None
    if metrics is not None:
        (folder / DIVERGED).unlink(missing_ok=True)
        metrics.keep_until(trainer.step)
    audits = Audits(
        folder if first else None, metrics, settings.audit_every, trainer.arithmetic.multiplication_free, strict
    )
    durations: list[float] = []  # of the steps since the last record, audited ones apart
    try:
        with _stopping() as stopped:
            for step in trainer.steps(audits):
                if step.step not in audits.audited:
                    durations.append(step.seconds)
                at_end = _record(trainer, step, progress, metrics, durations)
                report(step, progress.summary)
                asked = trainer.processes.any(bool(stopped))
                every = settings.checkpoint_every
                due = step.step % every == 0 if every else at_end
                if due or asked or step.step == trainer.total_steps:
                    if first:
                        stored.write(trainer.checkpoint(asdict(progress)), progress.best_step)
                    trainer.processes.wait()
                if asked and step.step < trainer.total_steps:
                    number = stopped[0] if stopped else int(signal.SIGTERM)
                    raise Interrupted(number, f"stopped after step {step.step} of {trainer.total_steps}")
    except NonFiniteLossError as error:
        if first:
            write_json(folder / DIVERGED, {"step": trainer.step + 1, "reason": str(error)})
        raise
    finally:
        if metrics is not None:
            metrics.close()
    records = recorded(folder)  # by the first process
    result = Result(
        recipe=recipe,
        arithmetic=trainer.arithmetic.label,
        seed=settings.seed,
        score=trainer.task.score,
        scores=trainer.evaluate(),
        steps=trainer.step,
        epochs=trainer.step / trainer.steps_per_epoch,
        milliseconds=_milliseconds(records),
        seconds=progress.seconds,
        parameters=parameters_of(trainer.model),
        multiplications=_multiplications(records),
    )
    if first:
        save_curves(folder / CURVES, {result.arithmetic: [records]}, title)
        write_json(folder / RESULT, asdict(result))
    trainer.processes.wait()
    return result


def _milliseconds(records: Sequence[Mapping[str, Any]]) -> float:
    """Median over the records of their median steps."""
    found = [r["milliseconds"] for r in records if r.get("milliseconds")]
    return median(found) if found else 0.0


def _multiplications(records: Sequence[Mapping[str, Any]]) -> int | None:
    found = [r["multiplications"] for r in records if r["kind"] == "audit"]
    return int(found[-1]) if found else None


def _record(trainer: Trainer, step: Step, progress: _Progress, metrics: Metrics | None, durations: list[float]) -> bool:
    """Record a step where that is due, and validate after an epoch; True at the end of an epoch."""
    progress.loss += step.loss * step.items
    progress.items += step.items
    progress.epoch_loss += step.loss * step.items
    progress.epoch_items += step.items
    progress.seconds += step.seconds
    last = step.step == trainer.total_steps
    if step.step % trainer.settings.log_every == 0 or last:
        if metrics is not None:
            loss = progress.loss / max(progress.items, 1)
            pace = median(durations) * 1e3 if durations else None
            metrics.add("train", step.step, loss=loss, lr=step.lr, items=progress.items, milliseconds=pace)
            durations.clear()
        progress.loss, progress.items = 0.0, 0
    at_end = step.step % trainer.steps_per_epoch == 0 or last
    if at_end:
        epochs = step.step / trainer.steps_per_epoch
        training_loss = progress.epoch_loss / max(progress.epoch_items, 1)
        progress.epoch_loss, progress.epoch_items = 0.0, 0
        if last or trainer.epoch % trainer.settings.evaluate_every == 0:
            measured = trainer.validate()
            if measured.get("loss", math.inf) < progress.best:
                progress.best, progress.best_step = measured["loss"], step.step
            progress.summary = ", ".join(f"{name} {value:.4g}" for name, value in measured.items())
            if metrics is not None:
                values = {("validation_loss" if name == "loss" else name): value for name, value in measured.items()}
                metrics.add("epoch", step.step, epoch=epochs, training_loss=training_loss, lr=step.lr, **values)
    return at_end


@contextmanager
def _stopping() -> Iterator[list[int]]:
    """A list that the signals to stop are added to while the block runs; a second one ends the process at once."""
    came: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, _: Any) -> None:
        if came:
            signal.signal(number, before[number])
            raise KeyboardInterrupt
        came.append(number)

    for stopping in map(int, (signal.SIGINT, signal.SIGTERM)):
        with suppress(ValueError):  # only the main thread may
            before[stopping] = signal.signal(stopping, note)
    try:
        yield came
    finally:
        for stopping, handler in before.items():
            signal.signal(stopping, handler)
