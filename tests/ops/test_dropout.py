"""What the operation ``dropout`` refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mulfree.ops.dropout import dropout

X, SEED = torch.ones(3), torch.tensor([1])


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((X.double(), SEED, 0, 0), TypeError, "'input' must be float32"),
        ((X, SEED.int(), 0, 0), TypeError, "'seed' must be int64"),
        ((X, torch.tensor([1, 2]), 0, 0), TypeError, "with one element"),
        ((X, SEED.to("meta"), 0, 0), RuntimeError, "'seed' must be on cpu"),
        ((X, SEED, 1 << 32, 0), ValueError, "words of 32 bits"),
        ((X, SEED, 0, -1), ValueError, "words of 32 bits"),
    ],
)
def test_bad_arguments(args: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        dropout(*args)
