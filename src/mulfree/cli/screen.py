"""The console that commands print to."""

from __future__ import annotations

from rich.console import Console

PIPED_WIDTH = 160
"""Columns where the output is no terminal, so that tables in files and pipes are not cut."""


def screen() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=PIPED_WIDTH)
