"""The line of the user's code behind a call, and what the frames above it tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Final

from mulfree.audit.report import Phase
from mulfree.catalog.sources import is_library, user_line

_PACKAGE: Final = str(Path(__file__).parent.parent)
_AUDIT: Final = str(Path(__file__).parent)
_ENGINE: Final = str(Path("torch", "autograd", "graph.py"))
_COMPILER: Final = str(Path("_dynamo", "eval_frame.py"))

# Files of torch and this library whose work is a phase of its own.
_PHASES: Final[tuple[tuple[re.Pattern[str], Phase], ...]] = (
    (re.compile(r"[/\\](?:clip_grad|clipping)\.py$"), "clipping"),
    (re.compile(r"[/\\](?:lr_scheduler|schedules)\.py$"), "schedule"),
    (re.compile(r"[/\\]torch[/\\]distributed[/\\]|[/\\]mulfree[/\\]distributed\.py$"), "communication"),
)


@dataclass(frozen=True, slots=True)
class Site:
    """``file:line``, empty if there is none, and the phase that the frames above it tell of."""

    source: str
    phase: Phase | None = None


@lru_cache(maxsize=4096)
def _phase(filename: str) -> Phase | None:
    return next((phase for pattern, phase in _PHASES if pattern.search(filename)), None)


def site(frame: FrameType | None, within_backward: bool) -> Site:
    """The innermost frame of the user's code; in a backward pass only inside the engine's call."""
    phase: Phase | None = None

    def passing(filename: str) -> bool:
        nonlocal phase
        if within_backward and filename.endswith(_ENGINE):
            return False
        phase = phase or _phase(filename)
        return True

    source = user_line(frame, passing)
    return Site(source, phase)


def within_compiled(frame: FrameType | None) -> bool:
    """True below a function or module that was given to ``torch.compile``."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "compile_wrapper" and code.co_filename.endswith(_COMPILER):
            return True
        frame = frame.f_back
    return False


def called_by_library(frame: FrameType | None) -> bool:
    """True if this library made the call: its is the innermost frame outside torch, Python's own and the audit."""
    while frame is not None:
        filename = frame.f_code.co_filename
        if filename.startswith(_PACKAGE) and not filename.startswith(_AUDIT):
            return is_library(filename)
        if not is_library(filename):
            return False
        frame = frame.f_back
    return False
