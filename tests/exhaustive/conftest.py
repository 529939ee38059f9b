"""Progress on the screen for tests that run for minutes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import pytest

Item = TypeVar("Item")


@pytest.fixture
def progress(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> Callable[[Iterable[Item], int], Iterator[Item]]:
    """``progress(items, count)`` yields the items and says how far it has come every ten seconds."""

    def follow(items: Iterable[Item], count: int) -> Iterator[Item]:
        start = last = time.monotonic()
        for done, item in enumerate(items, 1):
            yield item
            now = time.monotonic()
            if now - last > 10 or done == count:
                last, left = now, (now - start) / done * (count - done)
                with capsys.disabled():
                    print(f"\n{request.node.name}: {done}/{count}, {now - start:.0f} s, {left:.0f} s left", flush=True)

    return follow
