"""Settings of a training run that do not depend on its task. Each class is one section of a recipe file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

CHECKED = ConfigDict(extra="forbid")
"""Unknown keys are errors."""

# No text or truth value is taken for a number.
Flag = Annotated[bool, Field(strict=True)]
Positive = Annotated[int, Field(ge=1, strict=True)]
Count = Annotated[int, Field(ge=0, strict=True)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Share = Annotated[float, Field(ge=0, lt=1, strict=True)]


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class OptimizerSettings:
    """``[optimizer]``.

    Attributes:
        kind: "adamw" (decoupled weight decay) or "sgd".
        lr: highest learning rate.
        weight_decay: of the parameters that decay.
        decay_vectors: whether biases and the parameters of norms, all parameters of at most one dimension, decay.
        betas, eps: of AdamW.
        momentum, nesterov: of SGD.
        clip_norm: greatest Euclidean norm of a step's gradient; 0 for no clipping.
    """

    kind: Literal["adamw", "sgd"]
    lr: Rate
    weight_decay: NotNegative = 0.0
    decay_vectors: Flag = True
    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: Rate = 1e-8
    momentum: Share = 0.0
    nesterov: Flag = False
    clip_norm: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class ScheduleSettings:
    """``[schedule]``: the learning rate of each step.

    A linear warm-up from ``warmup_start_lr`` to the highest rate, then what ``kind`` says.

    Attributes:
        kind: "cosine": half a cosine down to ``min_lr`` at the last step; "inverse_sqrt": with the inverse square root
            of the step; "constant".
        warmup_steps, warmup_epochs: length of the warm-up; one of them.
        warmup_start_lr: rate of the very first step; None for the highest rate / (steps of the warm-up + 1).
        min_lr: of "cosine".
    """

    kind: Literal["cosine", "inverse_sqrt", "constant"] = "cosine"
    warmup_steps: Count = 0
    warmup_epochs: Count = 0
    warmup_start_lr: NotNegative | None = None
    min_lr: NotNegative = 0.0

    def __post_init__(self) -> None:
        if self.warmup_steps and self.warmup_epochs:
            raise ValueError(
                f"warmup_steps and warmup_epochs exclude each other, one must be 0; got {self.warmup_steps} and "
                f"{self.warmup_epochs}"
            )
        if self.warmup_start_lr is not None and self.kind == "inverse_sqrt":
            raise ValueError('warmup_start_lr is for kind = "cosine" and "constant"')


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class TrainingSettings:
    """``[training]``.

    Attributes:
        epochs, steps: length of the training; one of them, the other is 0.
        seed: of initial weights, batches and dropout.
        accumulate: batches of a step and process; their gradients are summed.
        compare: also train with this arithmetic, from the same seed: "none", "standard" or "matmul".
        workers: processes that read batches ahead; 0 reads them in the training process.
        log_every: steps between records of the loss.
        evaluate_every: epochs between validations.
        checkpoint_every: steps between checkpoints; 0 for one at the end of each epoch.
        keep: checkpoints that are kept, the best apart.
        audit_every: steps between audits of a step, the first one apart; 0 for only the first.
    """

    epochs: Count = 0
    steps: Count = 0
    seed: Annotated[int, Field(ge=0, lt=2**32, strict=True)] = 0
    accumulate: Positive = 1
    compare: Literal["none", "standard", "matmul"] = "none"
    workers: Count = 0
    log_every: Positive = 50
    evaluate_every: Positive = 1
    checkpoint_every: Count = 0
    keep: Positive = 2
    audit_every: Count = 1000

    def __post_init__(self) -> None:
        if (self.epochs == 0) == (self.steps == 0):
            raise ValueError(f"exactly one of epochs and steps must be positive, got {self.epochs} and {self.steps}")
