"""Errors that a user can act on become one line and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

from mulfree.audit.disassembly import DisassemblerError
from mulfree.backends.select import TargetError
from mulfree.train import AuditError, ConfigError, Interrupted, NonFiniteLossError, OutputError

FAILED, BAD_OPTION, INTERRUPTED = 1, 2, 130


@contextmanager
def reported(on_interruption: str = "--resume goes on from there") -> Iterator[None]:
    """Print expected errors to standard error, an interruption with what to do then; leave with their exit code."""
    try:
        yield
    except (ConfigError, TargetError) as error:
        _leave(str(error), BAD_OPTION)
    except (OutputError, NonFiniteLossError, AuditError, DisassemblerError) as error:
        _leave(str(error), FAILED)
    except Interrupted as error:
        _leave(f"{error}; {on_interruption}", error.code)
    except KeyboardInterrupt:
        _leave("interrupted", INTERRUPTED)


def _leave(message: str, code: int) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text("Error: ", "bold red") + Text(message))
    raise typer.Exit(code)
