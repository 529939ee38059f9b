"""Calling the command line within the tests' process."""

from __future__ import annotations

from typer.testing import CliRunner

from mulfree.cli import app


def message(*arguments: str, code: int) -> str:
    """What ``mulfree`` prints, errors included, where it ends with this exit code."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output
