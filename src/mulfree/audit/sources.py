"""The line of the user's code behind a call, found on Python's stack."""

from __future__ import annotations

import re
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Final

import torch

from mulfree.audit.report import Phase

_TORCH: Final = str(Path(torch.__file__).parent)
_PACKAGE: Final = Path(__file__).parent.parent
_STANDARD_LIBRARY: Final = sysconfig.get_path("stdlib")
_AUDIT: Final = str(Path(__file__).parent)
_PROGRAMS: Final = tuple(str(_PACKAGE / part) for part in ("models", "data", "train", "recipes", "analysis", "cli"))
"""Floors of this package that use the library as anyone would."""
_ENGINE: Final = str(Path("autograd", "graph.py"))
_COMPILER: Final = str(Path("_dynamo", "eval_frame.py"))

# Files of torch and this library whose work is a phase of its own.
_PHASES: Final[tuple[tuple[re.Pattern[str], Phase], ...]] = (
    (re.compile(r"[/\\](?:clip_grad|clipping)\.py$"), "clipping"),
    (re.compile(r"[/\\](?:lr_scheduler|schedules)\.py$"), "schedule"),
    (re.compile(r"[/\\]torch[/\\]distributed[/\\]|[/\\]optim[/\\]distributed\.py$"), "communication"),
)


@dataclass(frozen=True, slots=True)
class Site:
    """``file:line``, empty if there is none, and the phase that the frames above it tell of."""

    source: str
    phase: Phase | None = None


@lru_cache(maxsize=4096)
def _is_library(filename: str) -> bool:
    if filename.startswith(_STANDARD_LIBRARY) and "site-packages" not in filename:
        return True
    if filename.startswith(str(_PACKAGE)):
        return not filename.startswith(_PROGRAMS)
    return filename.startswith(("<frozen", _TORCH))


@lru_cache(maxsize=4096)
def _phase(filename: str) -> Phase | None:
    return next((phase for pattern, phase in _PHASES if pattern.search(filename)), None)


@lru_cache(maxsize=4096)
def _shorten(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename


def site(frame: FrameType | None, within_backward: bool) -> Site:
    """The innermost frame of the user's code; in a backward pass only inside the engine's call."""
    phase: Phase | None = None
    while frame is not None:
        filename = frame.f_code.co_filename
        if within_backward and filename.startswith(_TORCH) and filename.endswith(_ENGINE):
            break
        if not _is_library(filename):
            return Site(f"{_shorten(filename)}:{frame.f_lineno}", phase)
        phase = phase or _phase(filename)
        frame = frame.f_back
    return Site("", phase)


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
        if filename.startswith(str(_PACKAGE)) and not filename.startswith(_AUDIT):
            return _is_library(filename)
        if not _is_library(filename):
            return False
        frame = frame.f_back
    return False
