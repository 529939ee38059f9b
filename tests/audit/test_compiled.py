"""Code that torch compiles: seen as operations, or reported as unknown."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mulfree import audit


def _scaled(x: Tensor) -> Tensor:
    return (x * 0.5).relu()


@pytest.fixture(scope="module")
def compiled() -> Callable[[Tensor], Tensor]:
    """A function whose compiled forward and backward code is there before any audit."""
    function = torch.compile(_scaled)
    try:
        function(torch.ones(4, requires_grad=True)).sum().backward()
    except torch._dynamo.exc.BackendCompilerFailed as error:  # no C++ compiler here
        pytest.skip(str(error).splitlines()[0])
    return function


def test_compiled_functions_run_eagerly_and_are_seen(compiled: Callable[[Tensor], Tensor]) -> None:
    with audit() as found:
        compiled(torch.ones(4, requires_grad=True)).sum().backward()
    assert [(finding.op, finding.phase) for finding in found.findings] == [
        ("aten::mul.Tensor", "forward"),
        ("aten::mul.Tensor", "backward"),
    ]
    assert all("test_compiled.py" in finding.source for finding in found.findings)
    assert any("eagerly" in note.text for note in found.report.notes)


def test_a_function_compiled_in_the_block_is_seen() -> None:
    with audit() as found:
        torch.compile(lambda x: x * 0.25)(torch.ones(4))
    assert found.multiplications == 4


def test_the_compiled_derivative_of_an_earlier_call_is_unknown(compiled: Callable[[Tensor], Tensor]) -> None:
    total = compiled(torch.ones(4, requires_grad=True)).sum()
    with audit() as found:
        total.backward()  # type: ignore[no-untyped-call]
    (finding,) = found.findings
    assert finding.op == "inductor::CompiledFxGraph"
    assert found.unknown == (finding,)
    assert finding.phase == "backward"


def test_what_first_ran_in_an_audit_is_compiled_afterwards() -> None:
    function = torch.compile(lambda x: x + 1, backend="eager")
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    with audit():
        function(torch.ones(4))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before
    function(torch.ones(4))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before + 1


def test_ordinary_code_is_not_noted_as_compiled() -> None:
    with audit() as found:
        torch.ones(3) + 1
        torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], 0.1).zero_grad()
    assert found.report.notes == ()
