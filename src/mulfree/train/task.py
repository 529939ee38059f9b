"""What the trainer is given: a task, that is a model, its batches, its loss and its scores, all in plain torch.

A task knows nothing of arithmetic. The trainer converts the model and the criterion where the recipe asks for it.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

Batch = tuple[Tensor, ...]
"""Tensors of one batch; what they are is between ``Task.batches`` and ``Task.loss``."""


def is_share(score: str) -> bool:
    """True for the names of measurements in [0, 1], which people read in per cent."""
    return score.startswith(("accuracy", "exact"))


class Batches(Protocol):
    """The batches of one epoch, in the order of training.

    Reading an index is a pure function of the arguments that made the object: it gives the same tensors each time, in
    any process and after any other index. Random augmentation draws from a generator seeded by them and the sample.
    So a run resumes at any batch without reading those before it, and worker processes may read ahead. Objects pickle.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Batch:
        """Batch ``index``.

        Raises:
            IndexError: ``index`` is not in [0, len(self)).
        """
        ...


class Task(Protocol):
    """One thing to learn.

    Attributes:
        score: key of ``evaluate`` by which runs are compared, such as "bleu" or "accuracy"; higher is better.
    """

    @property
    def score(self) -> str: ...

    def model(self) -> nn.Module:
        """A new model in ordinary arithmetic, its weights drawn from torch's default generator."""
        ...

    def criterion(self) -> nn.Module:
        """The loss in ordinary arithmetic, **summed** over the items of a batch."""
        ...

    def batches(self, epoch: int, seed: int) -> Batches:
        """Training batches of an epoch, counted from 0. All epochs have the same number of batches."""
        ...

    def loss(self, model: nn.Module, criterion: nn.Module, batch: Batch) -> Tensor:
        """Loss of a batch, summed over its items; a tensor without dimensions. ``criterion`` may be converted."""
        ...

    def count(self, batch: Batch) -> int:
        """Items of a batch (images, target tokens): what the sum of losses of a step is divided by."""
        ...

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Quick measurements on validation data, made after each epoch, such as "loss" and "accuracy"."""
        ...

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Final measurements on test data, ``score`` among them."""
        ...
