"""What can go wrong in a training run in ways that its user can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ConfigError(ValueError):
    """A setting has a value that cannot be used; the message names it."""


class OutputError(OSError):
    """The folder of a run cannot be used, or a file in it is damaged."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the block writes to ``path``: an OSError in it becomes an OutputError that names the path and the reason."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


class NonFiniteLossError(ArithmeticError):
    """Training has diverged: the loss is infinite or not a number."""


class AuditError(AssertionError):
    """A step that shall have no multiplication has one."""


class Interrupted(Exception):
    """A signal asked the run to stop; it has written a checkpoint.

    Attributes:
        code: exit code of a process that ends by this signal.
    """

    def __init__(self, signal: int, message: str) -> None:
        super().__init__(message)
        self.code = 128 + signal

    def __reduce__(self) -> tuple[type[Interrupted], tuple[int, str]]:
        """Pickled with the arguments that it was made of."""
        return Interrupted, (self.code - 128, str(self))
