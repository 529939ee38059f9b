"""The task of the digits."""

from __future__ import annotations

import pickle

import pytest
import torch

from mulfree.recipes.digits import DigitsSettings, DigitsTask


def test_batches_are_a_function_of_seed_and_epoch() -> None:
    task = DigitsTask(DigitsSettings(batch_size=10, images=35))
    batches = task.batches(0, 1)
    assert len(batches) == 3
    again = pickle.loads(pickle.dumps(task.batches(0, 1)))
    assert all(torch.equal(a, b) for i in (2, 0, 1) for a, b in zip(batches[i], again[i], strict=True))
    rows = torch.cat([batches.order for batches in (batches,)])  # type: ignore[attr-defined]
    assert sorted(rows.tolist()) == list(range(35))
    for other in (task.batches(1, 1), task.batches(0, 2)):
        assert not torch.equal(other[0][0], batches[0][0])
    for index in (-1, 3):
        with pytest.raises(IndexError):
            batches[index]
