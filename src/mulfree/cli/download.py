"""``mulfree download``: fetch published data sets."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from mulfree.cli.errors import reported
from mulfree.cli.screen import screen
from mulfree.data.download import DATA_SETS, DownloadError, download
from mulfree.data.locations import VARIABLE, data_path
from mulfree.train import ConfigError, OutputError


def download_data(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help=f"Of {', '.join(DATA_SETS)}.")],
    data_dir: Annotated[
        Path | None, typer.Option(help=f"Folder of the data sets; that of {VARIABLE}, or data, if not given.")
    ] = None,
) -> None:
    """Fetch data sets, verify their checksums, and put them where recipes look for them."""
    console = screen()
    with reported():
        if unknown := [name for name in names if name not in DATA_SETS]:
            raise ConfigError(f"no data set {unknown[0]!r}; there are {', '.join(DATA_SETS)}")
        folder = data_path(data_dir)
        try:
            logging.getLogger("pooch").setLevel(logging.WARNING)
            for name in names:
                with _Bar(console) as bar:
                    files = download(DATA_SETS[name], folder, bar)
                console.print(f"{name}:", *(f"  {path}" for path in files), sep="\n", highlight=False, soft_wrap=True)
        except DownloadError as error:
            raise OutputError(str(error)) from error
        except ModuleNotFoundError as error:
            raise ConfigError(f"{error.name} is not installed: pip install 'mulfree[download]'") from None


class _Bar:
    """A bar of rich, as pooch wants it."""

    def __init__(self, console: Console) -> None:
        columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
        self._progress = Progress(*columns, console=console)
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @property
    def total(self) -> float:
        return self._progress.tasks[0].total or 0.0

    @total.setter
    def total(self, size: float) -> None:
        self._progress.update(self._task, total=size, completed=0)

    def update(self, size: float) -> None:
        self._progress.advance(self._task, size)

    def reset(self) -> None:
        """pooch goes back to the start when all is there, to move the bar to its end once more."""
        self._progress.update(self._task, completed=0)

    def close(self) -> None:
        """pooch is done with a file."""
