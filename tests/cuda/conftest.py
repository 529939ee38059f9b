"""Fixtures of the tests of kernels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mulfree.backends.cuda import elementwise, plans, tiles


@pytest.fixture
def small_grids(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As many blocks as to make each go through its loop over the grid several times."""
    monkeypatch.setattr(elementwise, "BLOCKS_PER_MULTIPROCESSOR", 1)
    for module in (plans, tiles):
        monkeypatch.setattr(module, "MOST_BLOCKS", 2)
    plans.plan.cache_clear()
    yield
    plans.plan.cache_clear()
