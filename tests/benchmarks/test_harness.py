"""The harness of the benchmarks: order, comparison, and checks that can fail."""

from __future__ import annotations

import time

import pytest
import torch

from benchmarks import harness
from benchmarks.harness import (
    Budget,
    Case,
    Rival,
    WrongResultError,
    evaluate,
    require_close,
    require_same_bits,
    time_in_turns,
)

BUDGET = Budget(sample=0.0, total=0.0, fewest=4)


def test_calls_are_timed_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "_WARM_UP", 0.0)
    order: list[str] = []
    time_in_turns([lambda: order.append("a"), lambda: order.append("b")], BUDGET)
    # Each sample follows a call that is not timed.
    assert "".join(order[-16:]) == "aabbbbaaaabbbbaa"


def test_short_calls_are_repeated_within_a_sample() -> None:
    (timing,) = time_in_turns([lambda: None], Budget(sample=0.001, total=0.0, fewest=1))
    assert timing.loops > 10


def test_a_slow_rival_gives_a_ratio_above_one_and_the_best_rival_counts() -> None:
    case = Case(
        work="w",
        data="d",
        ours=lambda: time.sleep(0.001),
        rivals=(
            Rival("slow", lambda: time.sleep(0.02), 1.0),
            Rival("slower", lambda: time.sleep(0.03), None),
        ),
        verify=lambda: None,
        best_target=1000.0,
    )
    slow, slower, best = evaluate("g", case, BUDGET)
    assert slow.ratio > 2
    assert slow.met
    assert slower.met is None
    assert best.theirs == slow.theirs
    assert best.met is False


def test_a_wrong_result_is_not_timed() -> None:
    def verify() -> None:
        raise WrongResultError("no")

    timed: list[int] = []
    case = Case("w", "d", lambda: timed.append(1), (), verify)
    with pytest.raises(WrongResultError):
        list(evaluate("g", case, BUDGET))
    assert not timed


def test_same_bits_tells_zeros_apart_and_equal_nans_not() -> None:
    require_same_bits("x", torch.tensor([float("nan"), 1.0]), torch.tensor([float("nan"), 1.0]))
    with pytest.raises(WrongResultError, match=r"1 of 2 entries.*0x80000000"):
        require_same_bits("x", torch.tensor([1.0, -0.0]), torch.tensor([1.0, 0.0]))
    with pytest.raises(WrongResultError, match="expected"):
        require_same_bits("x", torch.zeros(2), torch.zeros(3))


def test_close_fails_beyond_the_bound_only() -> None:
    expected, allowed = torch.tensor([1.0, float("inf")]), torch.tensor([0.1, float("inf")])
    require_close("x", torch.tensor([1.05, 3.0]), expected, allowed)
    with pytest.raises(WrongResultError, match="factor"):
        require_close("x", torch.tensor([1.2, 3.0]), expected, allowed)
