"""Training of the demonstrations: configuration, loop, records, curves and the summary."""

from mulfree.train.config import ConfigError, TrainingConfig
from mulfree.train.digits import Summary, train_digits
from mulfree.train.loop import NonFiniteLossError
from mulfree.train.output import OutputError

__all__ = ["ConfigError", "NonFiniteLossError", "OutputError", "Summary", "TrainingConfig", "train_digits"]
