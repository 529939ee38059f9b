"""The example of docs/audit.md."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mulfree.cli import app

SCRIPT = str(Path(__file__).parents[2] / "examples" / "audit_step.py")


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--forget"], 1)])
def test_ends_as_its_text_says(options: list[str], code: int) -> None:
    result = CliRunner().invoke(app, ["audit", SCRIPT, *options])
    assert result.exit_code == code, result.output
    assert ("0 multiplications in 0 calls" in result.output) == (code == 0)
