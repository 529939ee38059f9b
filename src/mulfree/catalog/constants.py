"""Constants of a network's architecture: what is built once, such as the angles of rotary embeddings.

Its arithmetic does not depend on data or on what was learned. ``mulfree.audit`` lists it apart, with its reason.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Reasons(threading.local):
    innermost: str | None = None


_reasons = _Reasons()


@contextmanager
def constants(reason: str) -> Iterator[None]:
    """Within this block, in this thread, multiplications build constants; the audit lists them apart.

    It hides nothing: they are counted and reported with ``reason``. Meant for what is built once and depends on
    nothing but the architecture: tables, initial weights. Operations unknown to the audit are findings all the same.

    Args:
        reason: what is built, for the report.

    Raises:
        ValueError: ``reason`` is empty.
    """
    if not reason.strip():
        raise ValueError("constants: reason must say what is built, got an empty string")
    outer, _reasons.innermost = _reasons.innermost, reason
    try:
        yield
    finally:
        _reasons.innermost = outer


def reason() -> str | None:
    """The reason of the innermost ``constants`` block of this thread; None outside of one."""
    return _reasons.innermost
