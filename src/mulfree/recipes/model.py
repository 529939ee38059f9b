"""Any importable model on random inputs: to count, time or audit its steps, not to learn anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from importlib import import_module
from typing import Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from mulfree.train.errors import ConfigError
from mulfree.train.seeds import random_seed
from mulfree.train.settings import CHECKED, Count, Positive
from mulfree.train.task import Batch, Batches

Loss = Literal["cross-entropy", "mse"]


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class ModelSettings:
    """``[task]`` with ``kind = "model"``.

    Attributes:
        model: ``package.module:callable`` that returns a ``torch.nn.Module``; modules in the working folder are found.
        arguments: of the callable, by name.
        input_shape: of one input, without the dimension of the batch.
        batch_size: inputs of a batch, which is what an epoch has.
        tokens: inputs are whole numbers below it; 0 for fractions in [0, 1).
        loss: "cross-entropy" with random classes, along the last dimension of the scores, or "mse" with random targets
            of their shape.
    """

    model: str
    input_shape: tuple[Positive, ...]
    arguments: dict[str, Any] = Field(default_factory=dict)
    batch_size: Positive = 8
    tokens: Count = 0
    loss: Loss = "cross-entropy"


class ModelTask:
    """A batch of random inputs and targets. The model takes one tensor; of what it returns, ``scores_of`` counts.

    Raises:
        ConfigError: the model cannot be imported, made, trained, or run on such inputs.
    """

    score = "loss"

    def __init__(self, settings: ModelSettings) -> None:
        self.settings = settings
        shape = (settings.batch_size, *settings.input_shape)
        generator = torch.Generator().manual_seed(random_seed(0, 0))
        if settings.tokens:
            inputs = torch.randint(settings.tokens, shape, generator=generator)
        else:
            inputs = torch.rand(shape, generator=generator)
        scores = self._tried(inputs)
        if settings.loss == "mse":
            targets = torch.rand(scores.shape, generator=generator)
        else:
            targets = torch.randint(scores.shape[-1], scores.shape[:-1], generator=generator)
        self._batch = inputs, targets

    def _tried(self, inputs: Tensor) -> Tensor:
        """Scores of a model that is thrown away."""
        name, model = self.settings.model, self.model()
        if not any(p.requires_grad for p in model.parameters()):
            raise ConfigError(f"task.model: {name} has no parameters to train")
        try:
            with torch.no_grad():
                scores = scores_of(model(inputs))
        except Exception as error:
            kind = f"whole numbers below {self.settings.tokens}" if self.settings.tokens else "fractions"
            raise ConfigError(
                f"task.input_shape: {name} cannot be run on {kind} of shape {tuple(inputs.shape)}: {_line(error)}"
            ) from error
        if not scores.is_floating_point() or scores.dim() < (1 if self.settings.loss == "mse" else 2):
            raise ConfigError(
                f"task.loss: {self.settings.loss} cannot be computed from scores of shape {tuple(scores.shape)} and "
                f"{scores.dtype} of {name}"
            )
        return scores

    def model(self) -> nn.Module:
        return made(self.settings.model, self.settings.arguments)

    def criterion(self) -> nn.Module:
        return nn.MSELoss(reduction="sum") if self.settings.loss == "mse" else nn.CrossEntropyLoss(reduction="sum")

    def batches(self, epoch: int, seed: int) -> Batches:
        return [self._batch]

    def loss(self, model: nn.Module, criterion: nn.Module, batch: Batch) -> Tensor:
        inputs, targets = batch
        scores = scores_of(model(inputs))
        if self.settings.loss == "cross-entropy" and scores.dim() > 2:
            scores, targets = scores.flatten(0, -2), targets.flatten()
        loss: Tensor = criterion(scores, targets)
        return loss

    def count(self, batch: Batch) -> int:
        return len(batch[0])

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean loss of an input of the batch that is trained on."""
        return {"loss": float(self.loss(model, self.criterion(), self._batch)) / self.settings.batch_size}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return self.validate(model)


def scores_of(result: Any) -> Tensor:
    """What a model returned if that is a tensor; else its ``logits``, or the first tensor in it.

    Raises:
        TypeError: there is no tensor.
    """
    for found in (result, getattr(result, "logits", None), *tree_leaves(result)):
        if isinstance(found, Tensor):
            return found
    raise TypeError(f"expected a tensor, or a tuple or mapping with one, as the result, got {type(result).__name__}")


def made(path: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The module that ``package.module:callable`` returns.

    Raises:
        ConfigError: it cannot be imported or called, or returns something else.
    """
    place, _, name = path.partition(":")
    if not place or not name:
        raise ConfigError(
            f"task.model must be package.module:callable, such as torchvision.models:resnet18, got {path!r}"
        )
    with _working_folder():
        try:
            make = reduce(getattr, name.split("."), import_module(place))
        except Exception as error:
            raise ConfigError(f"task.model: cannot import {path}: {_line(error)}") from error
        if not callable(make):
            raise ConfigError(f"task.model: {path} is no callable but {type(make).__name__}")
        try:
            model = make(**arguments)
        except Exception as error:
            given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
            raise ConfigError(f"task.arguments: {path}({given}) failed: {_line(error)}") from error
    if not isinstance(model, nn.Module) or isinstance(model, torch.jit.ScriptModule):
        raise ConfigError(f"task.model: {path} must return a torch.nn.Module, not scripted, got {type(model).__name__}")
    return model


@contextmanager
def _working_folder() -> Iterator[None]:
    """Modules of the working folder can be imported, as in ``python -m``."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _line(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
