"""Gradient clipping against torch's, and its formula."""

from __future__ import annotations

import math

import pytest
import torch

import mulfree.functional as MF
from mulfree.ops.constants import quotient
from mulfree.optim import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from tests.ops.support import Log, same_bits


def parameters(*grads: torch.Tensor | None) -> list[torch.nn.Parameter]:
    found = []
    for grad in grads:
        p = torch.nn.Parameter(torch.zeros(2, dtype=torch.float32 if grad is None else grad.dtype))
        p.grad = None if grad is None else grad.clone()
        found.append(p)
    return found


A, B = torch.tensor([3.0, -0.7]), torch.tensor([0.1, 1.9])


def test_norm_and_factor() -> None:
    norm = clip_grad_norm_(ps := parameters(A, None, B), 1.0)
    squares = torch.stack([MF.sum(MF.mul(A, A)), MF.sum(MF.mul(B, B))])
    assert same_bits(norm, MF.sqrt(MF.sum(squares)))
    factor = MF.div(1.0, norm + 1e-6)
    assert ps[0].grad is not None and ps[2].grad is not None
    assert same_bits(ps[0].grad, MF.mul(A, factor))
    assert same_bits(ps[2].grad, MF.mul(B, factor))
    theirs = torch.nn.utils.clip_grad_norm_(parameters(A, B), 1.0)
    assert torch.allclose(norm, theirs, rtol=0.15)


def test_small_gradients_stay() -> None:
    ps = parameters(A, B)
    clip_grad_norm_(ps, 100.0)
    assert ps[0].grad is not None
    assert same_bits(ps[0].grad, A)


def test_infinite_norm_single_tensor_and_half_precision() -> None:
    ps = parameters(A, B)
    assert clip_grad_norm_(iter(ps), 1.5, math.inf) == 3.0
    (half,) = parameters(torch.tensor([300.0, 400.0], dtype=torch.float16))
    norm = clip_grad_norm_(half, 1.0)  # squares beyond float16's range
    assert norm.isfinite()
    assert half.grad is not None and half.grad.dtype is torch.float16
    assert clip_grad_norm_([], 1.0) == 0.0


def test_errors() -> None:
    for norm_type in (0.0, -2.0, math.nan):
        with pytest.raises(ValueError, match="norm_type"):
            clip_grad_norm_(parameters(A), 1.0, norm_type)
    for call in (clip_grad_norm_, clip_grad_value_):
        with pytest.raises(ValueError, match="foreach"):
            call(parameters(A), 1.0, foreach=True)
    (p,) = parameters(A)
    p.grad = A.to_sparse()
    with pytest.raises(RuntimeError, match="sparse"):
        clip_grad_norm_(p, 1.0)
    with pytest.raises(RuntimeError, match="nan"):
        clip_grad_norm_(parameters(A * math.nan), 1.0, error_if_nonfinite=True)


@pytest.mark.parametrize("order", [1.0, 3.0, 1.5, 0.5])
def test_other_norms(order: float) -> None:
    norm = clip_grad_norm_(ps := parameters(A, B), 1.0, order)
    if order == 1.0:
        assert same_bits(norm, MF.sum(torch.stack([MF.sum(A.abs()), MF.sum(B.abs())])))
    else:
        whole = MF.sum(torch.stack([MF.sum(MF.pow(x.abs(), order)) for x in (A, B)]))
        assert same_bits(norm, MF.pow(whole, quotient(1.0, order)))
    # Products of PA arithmetic are up to a ninth too small, and a root to the power 1/order repeats that.
    theirs = torch.nn.utils.clip_grad_norm_(parameters(A, B), 1.0, order)
    assert torch.allclose(norm, theirs, rtol=0.3)
    assert ps[0].grad is not None
    assert same_bits(ps[0].grad, MF.mul(A, MF.div(1.0, norm + 1e-6)))


def test_norm_and_clipping_apart() -> None:
    whole, parts = parameters(A, B), parameters(A, B)
    norm = clip_grad_norm_(whole, 0.5)
    assert same_bits(get_total_norm([p.grad for p in parts if p.grad is not None]), norm)
    clip_grads_with_norm_(parts, 0.5, norm)
    for one, other in zip(whole, parts, strict=True):
        assert one.grad is not None and other.grad is not None
        assert same_bits(one.grad, other.grad)
    assert get_total_norm(A, math.inf) == 3.0
    assert get_total_norm(torch.empty(0)) == 0.0


@pytest.mark.parametrize("limit", [-1.0, -math.inf, math.nan, torch.tensor(-1.0)])
def test_limits_that_are_negative_or_no_number_change_nothing(limit: float) -> None:
    ps = parameters(A)
    for call in (
        lambda: clip_grad_norm_(ps, limit),
        lambda: clip_grads_with_norm_(ps, limit, torch.tensor(3.0)),
        lambda: clip_grad_value_(ps, limit),
    ):
        with pytest.raises(ValueError, match="must not be negative or NaN"):
            call()
    assert ps[0].grad is not None
    assert same_bits(ps[0].grad, A)


def test_limits_that_torch_takes_too() -> None:
    for limit, expected in ((0.0, A.new_zeros(2)), (math.inf, A), (torch.tensor(100.0), A)):
        for clip in (clip_grad_norm_, torch.nn.utils.clip_grad_norm_):
            clip(ps := parameters(A), limit)
            assert ps[0].grad is not None
            assert torch.equal(ps[0].grad, expected)


def test_wrong_arguments_are_named() -> None:
    for call, message in (
        (lambda: clip_grad_norm_(parameters(A), "x"), r"clip_grad_norm_\(\): argument 'max_norm' must be a number"),
        (lambda: clip_grad_norm_(3, 1.0), r"clip_grad_norm_\(\): argument 'parameters' must be a tensor or a sequence"),
        (lambda: clip_grad_norm_([3], 1.0), "argument 'parameters' must be .*got list of int"),
        (
            lambda: clip_grad_value_(parameters(A), None),
            r"clip_grad_value_\(\): argument 'clip_value' must be",
        ),
    ):
        with pytest.raises(TypeError, match=message):
            call()  # type: ignore[no-untyped-call]


def test_values() -> None:
    ps = parameters(A, B)
    clip_grad_value_(ps, 0.5)
    assert ps[0].grad is not None
    assert same_bits(ps[0].grad, A.clamp(-0.5, 0.5))


def test_nothing_multiplies() -> None:
    with Log() as log:
        clip_grad_norm_(parameters(A, B), 1.0)
    assert not any(
        name.startswith(("aten.mul", "aten.div", "aten.pow", "aten.linalg", "aten.norm")) for name in log.names
    )
