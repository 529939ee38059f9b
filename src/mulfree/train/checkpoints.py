"""Checkpoints: a folder for each, written whole or not at all, read only if every file has its checksum.

``checkpoints/step-00000120/`` holds ``model.safetensors`` (parameters and buffers), ``optimizer.safetensors`` (its
tensors) and ``state.json`` (everything else, the checksums of the other two, and its own). Nothing is unpickled.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mulfree.train.errors import OutputError

MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"
_PREFIX, _UNFINISHED = "step-", ".unfinished-"


class DamagedError(OutputError):
    """A file of a checkpoint is missing, cut off or changed."""


@dataclass
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        step: training steps done.
        model, optimizer: tensors by name.
        state: the rest, as JSON has it.
    """

    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: dict[str, Any] = field(default_factory=dict)


def capture(step: int, model: nn.Module, optimizer: Optimizer, schedule: LRScheduler, state: Any) -> Checkpoint:
    """The state of a training between two steps."""
    tensors: dict[str, Tensor] = {}
    described = optimizer.state_dict()
    plain: dict[str, dict[str, Any]] = {}
    for index, entries in described["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value.detach().cpu().contiguous()
            else:
                plain.setdefault(str(index), {})[name] = value
    rest = {
        "optimizer": {"groups": described["param_groups"], "state": plain},
        "schedule": {k: v for k, v in schedule.state_dict().items() if k != "lr_lambdas"},
        "progress": state,
    }
    return Checkpoint(step, _tensors(model), tensors, rest)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers; a tensor that has several names is stored under each."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in model.state_dict().items()}


def restore(checkpoint: Checkpoint, model: nn.Module, optimizer: Optimizer, schedule: LRScheduler) -> Any:
    """Put model, optimizer and schedule into the state of the checkpoint; returns the state given to ``capture``."""
    model.load_state_dict(checkpoint.model)
    described = checkpoint.state["optimizer"]
    state: dict[int, dict[str, Any]] = {int(index): dict(entries) for index, entries in described["state"].items()}
    for name, value in checkpoint.optimizer.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value
    groups = [{k: tuple(v) if k == "betas" else v for k, v in group.items()} for group in described["groups"]]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    kept = {"lr_lambdas": schedule.state_dict()["lr_lambdas"]} if "lr_lambdas" in schedule.state_dict() else {}
    schedule.load_state_dict({**checkpoint.state["schedule"], **kept})
    return checkpoint.state["progress"]


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: made with the first checkpoint.
        keep: how many of the newest are kept; the best is kept apart.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self.keep = folder, keep

    def steps(self) -> list[int]:
        """Steps of the finished checkpoints, ascending."""
        names = [path.name for path in self.folder.glob(f"{_PREFIX}*")]
        return sorted(int(name.removeprefix(_PREFIX)) for name in names if name.removeprefix(_PREFIX).isdigit())

    def path(self, step: int) -> Path:
        return self.folder / f"{_PREFIX}{step:08d}"

    def write(self, checkpoint: Checkpoint, best: int | None) -> Path:
        """Write a checkpoint and remove those that are neither among the newest nor the best.

        Raises:
            OutputError: the disk is full or the folder cannot be written to. What was there is untouched.
        """
        target, draft = self.path(checkpoint.step), self.folder / f"{_UNFINISHED}{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for left in self.folder.glob(f"{_UNFINISHED}*"):
                shutil.rmtree(left)
            draft.mkdir()
            try:
                self._fill(draft, checkpoint)
                if target.exists():
                    shutil.rmtree(target)
                draft.rename(target)
                _flush(self.folder)
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
            for step in self.steps()[: -self.keep]:
                if step != best:
                    shutil.rmtree(self.path(step))
        except OSError as error:
            reason = "no space left on the disk" if error.errno == errno.ENOSPC else error.strerror or str(error)
            raise OutputError(
                f"cannot write the checkpoint {target}: {reason}; earlier checkpoints are intact"
            ) from error
        return target

    def _fill(self, draft: Path, checkpoint: Checkpoint) -> None:
        contents = {MODEL: save(checkpoint.model), OPTIMIZER: save(checkpoint.optimizer)}
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        state = json.dumps({"step": checkpoint.step, "sha256": sums, **checkpoint.state}, sort_keys=True)
        own = hashlib.sha256(state.encode()).hexdigest()
        contents[STATE] = f'{{"sha256": "{own}", "state": {state}}}\n'.encode()
        for name, content in contents.items():
            with (draft / name).open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _flush(draft)

    def read(self, step: int) -> Checkpoint:
        """The checkpoint of a step.

        Raises:
            DamagedError: names the file that is missing or does not have its checksum.
        """
        folder = self.path(step)
        state = _state(folder / STATE)
        sums = state.pop("sha256")
        parts = {}
        for name in (MODEL, OPTIMIZER):
            content = _content(folder / name)
            if hashlib.sha256(content).hexdigest() != sums.get(name):
                raise DamagedError(f"{folder / name} is damaged: its checksum is not that of {STATE}")
            try:
                parts[name] = load(content)
            except SafetensorError as error:
                raise DamagedError(f"{folder / name} is damaged: {error}") from error
        return Checkpoint(state.pop("step"), parts[MODEL], parts[OPTIMIZER], state)

    def newest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest checkpoint that is intact; ``warn`` hears of each that is not. None if there was never one.

        Raises:
            DamagedError: there are checkpoints, and none is intact.
        """
        steps, last = self.steps(), None
        for step in reversed(steps):
            try:
                return self.read(step)
            except DamagedError as error:
                warn(f"{error}; going back to an earlier checkpoint")
                last = error
        if last is not None:
            raise DamagedError(f"no checkpoint in {self.folder} is intact: {last}") from last
        return None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror or error}") from error


def _state(path: Path) -> dict[str, Any]:
    """The state of a checkpoint, its checksum checked."""
    content = _content(path)
    head, separator, tail = content.partition(b'", "state": ')
    state = tail.removesuffix(b"}\n")
    if not separator or head != b'{"sha256": "' + hashlib.sha256(state).hexdigest().encode():
        raise DamagedError(f"{path} is damaged: it does not have the checksum written in it")
    found: dict[str, Any] = json.loads(state)
    return found


def _flush(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def weights(path: Path) -> dict[str, Tensor]:
    """Parameters and buffers of the checkpoint in a folder, on the CPU.

    Raises:
        DamagedError: a file is missing or damaged.
    """
    step = path.name.removeprefix(_PREFIX)
    if not step.isdigit():
        raise DamagedError(f"{path} is no folder of a checkpoint")
    return Checkpoints(path.parent).read(int(step)).model
