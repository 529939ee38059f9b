"""What a run writes beside its checkpoints: measurements, environment, result."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from mulfree.train.errors import OutputError, writing
from mulfree.train.machine import processor, revision, version

METRICS, ENVIRONMENT, RESULT = "metrics.jsonl", "environment.json", "result.json"
_LIBRARIES = ("mulfree", "torch", "numpy", "safetensors", "pydantic")


def write_text(path: Path, text: str) -> None:
    """Write a file in one piece: another program sees all of it or the one before. A pipe or a device is written into.

    Raises:
        OutputError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.unfinished")
    with writing(path):
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        try:
            draft.write_text(text, encoding="utf-8")
            os.replace(draft, path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(data, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Raises OutputError if the file is missing or no JSON."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot read {path}: {error}") from error
    return data


class Metrics:
    """``metrics.jsonl``: one JSON object a line, with "kind" and "step" first.

    Kinds are "train" (mean loss since the last one), "epoch" (an epoch and its validation) and "audit". With the
    package ``tensorboard`` installed their numbers also go to event files in ``tensorboard/``.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / METRICS
        self._board = _board(folder / "tensorboard")

    def keep_until(self, step: int) -> None:
        """Forget what was recorded after ``step``: it will be recorded again."""
        if self.path.exists():
            kept = [record for record in read_metrics(self.path) if record["step"] <= step]
            write_text(self.path, "".join(json.dumps(record) + "\n" for record in kept))

    def add(self, kind: str, step: int, **values: Any) -> None:
        """Raises OutputError if the record cannot be written."""
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._board.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        if self._board is not None:
            self._board.close()


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of a file; a last line that was cut off is left out.

    Raises:
        OutputError: it cannot be read, or has other lines.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        records = [json.loads(line) for line in lines if line.endswith("\n")]
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot read {path}: {error}") from error
    if not all(isinstance(record, dict) and record.keys() >= {"kind", "step"} for record in records):
        raise OutputError(f"{path} has other lines than records")
    return records


def recorded(folder: Path) -> list[dict[str, Any]]:
    """The records of the run in a folder; none before its first one. Raises as ``read_metrics``."""
    path = folder / METRICS
    return read_metrics(path) if path.exists() else []


def environment() -> dict[str, Any]:
    """Versions, machine, command and revision of the folder that the command was given in."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "versions": {name: version(name) for name in _LIBRARIES} | {"python": platform.python_version()},
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": processor(),
            "logical_cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "revision": revision(),
    }
