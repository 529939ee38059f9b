"""Running a user's script under the audit."""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path
from types import TracebackType

import mulfree
from mulfree.audit import Audit
from mulfree.cli.errors import FAILED, INTERRUPTED


def run(command: list[str]) -> tuple[Audit, int]:
    """Run a script as ``python script.py arguments`` would; its audit and the exit code that Python would give.

    An exception that the script does not catch is printed with its traceback, as Python does.
    """
    path = Path(command[0])
    found = mulfree.audit()
    arguments, code = sys.argv, 0
    sys.argv = command
    sys.path.insert(0, str(path.parent))
    try:
        with found:
            runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        code = _exit_code(end)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        traceback.print_exception(error.with_traceback(_within(error.__traceback__, path)))
        code = FAILED
    finally:
        sys.argv = arguments
        sys.path.remove(str(path.parent))
    return found, code


def _exit_code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return FAILED


def _within(trace: TracebackType | None, path: Path) -> TracebackType | None:
    """The traceback from the script's own frame on; all of it if the script did not even begin."""
    part = trace
    while part is not None and part.tb_frame.f_code.co_filename != str(path):
        part = part.tb_next
    return part or trace
