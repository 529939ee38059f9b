"""The console that commands print to, and their tables."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

PIPED_WIDTH = 160
"""Columns where the output is no terminal, so that tables in files and pipes are not cut."""


def screen() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=PIPED_WIDTH)


def titled(title: str, *columns: str, words: int = 1) -> Table:
    """A table of numbers: the title at the left, columns to the right of the first ``words`` right-aligned."""
    table = Table(title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < words else "right")
    return table
