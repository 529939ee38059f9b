"""The benchmark of the CUDA kernels, all but the device: cases, verification, times and tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.cuda import __main__ as command
from benchmarks.cuda import report
from benchmarks.cuda.run import GROUPS, evaluate, evaluate_step
from benchmarks.cuda.timing import Speed, measure_copy, time_in_turns
from benchmarks.cuda.training import Step, steps
from benchmarks.cuda.work import Work, verify
from benchmarks.harness import Budget, Context, WrongResultError
from mulfree.backends.contract import Backend
from mulfree.backends.reference import ReferenceBackend
from mulfree.backends.select import for_tensor, named
from tests.cuda.emulator import emulated_backend, skip_without_compiler

CPU = torch.device("cpu")
BUDGET = Budget(total=0.0, fewest=2)
EMULATED = {  # one kernel each: programs take seconds to compile
    "products": "matmul 16x16x16",
    "elementwise": "gelu, 1000 elements",
    "rows": "softmax 6x50",
}


class FakeTimer:
    """Runs the call; the n-th call of all takes n seconds."""

    def __init__(self) -> None:
        self._seconds = count(1)

    def seconds(self, call: Callable[[], object]) -> float:
        call()
        return float(next(self._seconds))


class WrongBackend(ReferenceBackend):
    def matmul(self, a: Tensor, b: Tensor, *rest: Any) -> Tensor:
        return super().matmul(a, b, *rest) + 1


def _context() -> Context:
    return Context(threads=1, wide=False, quick=True, generator=torch.Generator().manual_seed(0))


def _named(group: str, name: str) -> Work:
    return next(work for work in GROUPS[group](_context()) if work.name == name)


@pytest.mark.parametrize("group", GROUPS)
def test_every_case_can_be_verified_and_has_a_rival_and_a_limit(group: str) -> None:
    works = list(GROUPS[group](_context()))
    assert len({(work.name, work.data) for work in works}) == len(works)
    for work in works:
        assert work.group == group
        assert (work.products > 0) != (work.bytes > 0)
        verify(work, for_tensor(torch.empty(0)), CPU, named("reference"))
        work.theirs(work.operands)()


@pytest.mark.parametrize(
    "group", [pytest.param(g, marks=[pytest.mark.native, *skip_without_compiler()]) for g in EMULATED]
)
def test_cases_pass_in_the_emulation(group: str) -> None:
    verify(_named(group, EMULATED[group]), emulated_backend(), CPU, named("reference"))


def test_a_wrong_result_is_not_timed() -> None:
    work, timer = _named("products", EMULATED["products"]), FakeTimer()
    with pytest.raises(WrongResultError, match="matmul 16x16x16"):
        evaluate(work, WrongBackend(), CPU, named("reference"), timer, BUDGET, Speed(2, 1.0, 1e9))
    assert next(timer._seconds) == 1


def test_calls_are_timed_in_turns() -> None:
    order: list[str] = []
    timings = time_in_turns([lambda: order.append("a"), lambda: order.append("b")], FakeTimer(), BUDGET)
    assert "".join(order[-4:]) == "abba"
    assert [timing.samples for timing in timings] == [(1.0, 4.0), (2.0, 3.0)]


def test_shares_of_the_limits() -> None:
    speed = Speed(multiprocessors=2, clock=1.0, copy=1e3)
    backend = named("reference")
    row = evaluate(_named("products", EMULATED["products"]), backend, CPU, backend, FakeTimer(), BUDGET, speed)
    assert row.limit == "issue"
    assert row.share == pytest.approx(16**3 / (2 * 64 * 1e9) / 2.5)
    row = evaluate(_named("rows", EMULATED["rows"]), backend, CPU, backend, FakeTimer(), BUDGET, speed)
    assert row.limit == "copy"
    assert row.share == pytest.approx(2 * 6 * 50 * 4 / 1e3 / 2.5)
    unknown = Speed(multiprocessors=2, clock=None, copy=1e3)
    row = evaluate(_named("products", EMULATED["products"]), backend, CPU, backend, FakeTimer(), BUDGET, unknown)
    assert (row.limit, row.share) == ("", None)


def test_the_bandwidth_of_a_copy_counts_both_directions() -> None:
    assert measure_copy(FakeTimer(), BUDGET, CPU, size=400) == pytest.approx(800 / 1.5)


def test_training_steps_are_verified_before_they_are_timed() -> None:
    translation, _ = steps(_context(), CPU)
    row = evaluate_step(translation, FakeTimer(), BUDGET)
    assert row.work.startswith("IWSLT14")
    assert row.share is None


def test_tables_name_machine_and_command() -> None:
    machine = report.Machine("GPU", 2, "1 GHz", "1 GB/s", "1", "13", "13.5", "2", "3.11", "0", "the command", "today")
    row = report.Row("rows", "softmax", "normal", "torch", 2e-3, 1e-3, "copy", 0.25, 5)
    text = report.markdown(machine, [row])
    assert "| softmax | normal | torch | 2 ms | 1 ms | 0.50x | 0.25 | copy |" in text
    assert "| command | `the command` |" in text
    data = json.loads(json.dumps(report.data(machine, [row])))
    assert data["results"][0]["speed"] == 0.5


def _on_processor(backend: Backend) -> Callable[..., command.Session]:
    facts = {"device": "none", "driver": "none", "nvrtc": "none"}
    return lambda *_: command.Session(CPU, backend, FakeTimer(), Speed(2, 1.0, 1e9), facts)


def test_the_command_writes_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(command, "open_device", _on_processor(named("reference")))
    step = Step("a training step", ours=lambda: None, theirs=lambda: None, verify=lambda: None)
    monkeypatch.setattr(command, "steps", lambda *_: [step])
    for path in (tmp_path / "results.json", tmp_path / "results.md"):
        assert command.main(["--quick", "--only", "rows", "training", "--output", str(path)]) == 0
    data = json.loads((tmp_path / "results.json").read_text())
    assert data["machine"]["command"].startswith("python -m benchmarks.cuda --quick")
    assert {result["group"] for result in data["results"]} == {"rows", "training"}
    assert "| softmax 6x50 | normal | torch |" in (tmp_path / "results.md").read_text()


def test_the_command_writes_nothing_if_a_result_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(command, "open_device", _on_processor(WrongBackend()))
    assert command.main(["--quick", "--only", "products", "--output", str(tmp_path / "results.md")]) == 1
    assert "wrong result" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_the_command_says_that_there_is_no_device(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command.main(["--quick"]) == 1
    assert capsys.readouterr().err.strip() == command.NO_DEVICE
    assert command.main(["--output", "results.txt"]) == 1
