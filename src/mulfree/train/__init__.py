"""The training program: settings, loop, checkpoints, records. What is trained is a ``Task``; recipes name it."""

from mulfree.train.arithmetic import Arithmetic
from mulfree.train.errors import AuditError, ConfigError, Interrupted, NonFiniteLossError, OutputError
from mulfree.train.loop import Trainer
from mulfree.train.task import Batch, Batches, Task

__all__ = [
    "Arithmetic",
    "AuditError",
    "Batch",
    "Batches",
    "ConfigError",
    "Interrupted",
    "NonFiniteLossError",
    "OutputError",
    "Task",
    "Trainer",
]
