"""Progress of trainings on the screen: a bar for each run, with loss, rate and time left."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mulfree.train.loop import Step

_SMOOTHED = 0.95
"""Share of the past in the shown loss."""


class TrainingProgress:
    """The screen of ``recipes.train_recipe``; a context manager."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[status]}"),
            console=console,
        )

    def __enter__(self) -> TrainingProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, label: str, seed: int, done: int, total: int) -> Callable[[Step, str], None]:
        task = self._progress.add_task(f"{label}, seed {seed}", total=total, completed=done, status="")
        loss = None

        def hear(step: Step, status: str) -> None:
            nonlocal loss
            loss = step.loss if loss is None else _SMOOTHED * loss + (1 - _SMOOTHED) * step.loss
            rate = step.items / step.seconds if step.seconds else 0.0
            words = f"loss {loss:.3f}, {rate:,.0f} items/s" + (f"; validation: {status}" if status else "")
            self._progress.update(task, completed=step.step, status=words)

        return hear

    def warn(self, message: str) -> None:
        self._progress.console.print(f"Warning: {message}", style="yellow", highlight=False, markup=False)
