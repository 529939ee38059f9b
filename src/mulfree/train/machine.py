"""What is installed, on which processor, and from which revision."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path


def version(distribution: str) -> str | None:
    """That of an installed distribution; None for one that is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """The processor's name, or its architecture where the name is not known."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def revision(folder: Path = Path()) -> str | None:
    """Git's name of what is checked out in a folder, the current one by default; None outside of a checkout."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
