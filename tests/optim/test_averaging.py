"""Averages of gradients and weights against the law, and beside torch's."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

import mulfree as mf
import mulfree.functional as MF
from mulfree.numerics import optimizers, scalar
from mulfree.optim import (
    ExponentialMovingAverage,
    average_gradients,
    get_ema_multi_avg_fn,
    get_swa_multi_avg_fn,
)
from tests.ops.support import same_bits, words


def parameters() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((3, 4), (5,), ())]


@pytest.mark.parametrize("count", [1, 3, 8])
def test_average_gradients(count: int) -> None:
    ps = parameters()
    for p in ps[:2]:
        p.grad = torch.randn_like(p)
    before = copy.deepcopy([p.grad for p in ps])
    average_gradients(ps, count)
    for p, grad in zip(ps, before, strict=True):
        if grad is None:
            assert p.grad is None
            continue
        assert p.grad is not None
        assert same_bits(p.grad, MF.div(grad, float(count)))
        if count in (1, 8):
            assert torch.equal(p.grad, grad / count)


def test_errors_of_average_gradients() -> None:
    p = parameters()[0]
    with pytest.raises(ValueError, match="count"):
        average_gradients(p, 0)
    p.grad = torch.ones(3, 4).to_sparse()
    with pytest.raises(RuntimeError, match="sparse"):
        average_gradients(p, 2)


@torch.no_grad()
def test_moving_average_is_the_law() -> None:
    ps = parameters()
    average = ExponentialMovingAverage(ps, decay=0.9)
    share = scalar.add(scalar.bits(1.0), scalar.negate(scalar.bits(0.9)))
    law = [words(p) for p in ps]
    for step in range(1, 4):
        for p in ps:
            p.add_(step)
        average.update()
        law = [
            [optimizers.moving_average(a, w, share) for a, w in zip(row, words(p), strict=True)]
            for row, p in zip(law, ps, strict=True)
        ]
        assert [words(a) for a in average.averages] == law
    assert average.updates == 3


@torch.no_grad()
def test_weights_that_rest_are_the_fixed_point() -> None:
    ps = parameters()
    average = ExponentialMovingAverage(ps, decay=0.9)
    for mean in average.averages:
        mean.add_(0.3)
    for _ in range(200):
        average.update()
    for p, mean in zip(ps, average.averages, strict=True):
        assert torch.allclose(p, mean, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_apply_and_restore() -> None:
    ps = parameters()
    average = ExponentialMovingAverage(ps, decay=0.5)
    for p in ps:
        p.add_(1.0)
    average.update()
    now = [p.clone() for p in ps]
    with average.applied():
        assert all(same_bits(p, mean) for p, mean in zip(ps, average.averages, strict=True))
        with pytest.raises(RuntimeError, match="restore"):
            average.update()
        with pytest.raises(RuntimeError, match="already"):
            average.apply()
    assert all(same_bits(p, value) for p, value in zip(ps, now, strict=True))
    with pytest.raises(RuntimeError, match="apply"):
        average.restore()


@torch.no_grad()
def test_state_dict() -> None:
    ps = parameters()
    first, second = ExponentialMovingAverage(ps, decay=0.5), ExponentialMovingAverage(ps, decay=0.9)
    for p in ps:
        p.add_(1.0)
    first.update()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert (second.decay, second.updates) == (0.5, 1)
    for average in (first, second):
        average.update()
    assert all(same_bits(a, b) for a, b in zip(first.averages, second.averages, strict=True))
    with pytest.raises(ValueError, match="shapes"):
        ExponentialMovingAverage(ps[:1]).load_state_dict(first.state_dict())


def test_errors_of_moving_average() -> None:
    for decay in (-0.1, 1.1):
        with pytest.raises(ValueError, match="decay"):
            ExponentialMovingAverage(parameters(), decay)
        with pytest.raises(ValueError, match="decay"):
            get_ema_multi_avg_fn(decay)
    with pytest.raises(TypeError, match="decay must be a number, got 'x'"):
        ExponentialMovingAverage(parameters(), "x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="argument 'count' must be a whole number"):
        average_gradients(parameters(), "x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="float32"):
        ExponentialMovingAverage([torch.ones(2, dtype=torch.float16)])


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_averaged_model_of_torch(kind: str) -> None:
    model = torch.nn.Linear(3, 2)
    ours = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9) if kind == "ema" else get_swa_multi_avg_fn())
    theirs = AveragedModel(
        model, multi_avg_fn=None if kind == "swa" else torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    )
    with mf.audit() as found:
        for _ in range(4):
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(0.25)
            ours.update_parameters(model)
    assert found.findings == (), str(found)
    with torch.no_grad():
        for p in model.parameters():
            p.sub_(1.0)
        for _ in range(4):
            for p in model.parameters():
                p.add_(0.25)
            theirs.update_parameters(model)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine, other, rtol=0, atol=0.1)
