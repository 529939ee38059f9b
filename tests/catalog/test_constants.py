"""Blocks that build constants of the architecture."""

from __future__ import annotations

import threading

import pytest

from mulfree.catalog import constants, reason


def test_blocks_nest_and_end_after_errors() -> None:
    assert reason() is None
    with constants("outer"):
        with pytest.raises(ZeroDivisionError), constants("inner"):
            assert reason() == "inner"
            raise ZeroDivisionError
        assert reason() == "outer"
    assert reason() is None


def test_a_block_concerns_its_thread_only() -> None:
    seen: list[str | None] = []
    with constants("here"):
        thread = threading.Thread(target=lambda: seen.append(reason()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_a_reason_is_required() -> None:
    with pytest.raises(ValueError, match="reason"), constants(" "):
        pass
