"""Reports: sections, module paths, phases, HTML."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn

import mulfree as mf
from mulfree.audit import Audit, constants


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2, 3), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.inner(x)
        return result


def test_modules_are_named_as_in_the_model_that_is_given() -> None:
    model = Block()
    with mf.audit(model) as found:
        model.inner[0](torch.ones(1, 2)).sum().backward()
    assert {finding.module for finding in found.findings} == {"inner.0"}


def test_a_model_must_be_a_module() -> None:
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module or None, got str"):
        mf.audit("model")  # type: ignore[arg-type]


def test_an_audit_cannot_be_entered_twice() -> None:
    found = mf.audit()
    with found, pytest.raises(RuntimeError, match="watching already"), found:
        pass


def test_accumulation_belongs_to_the_module_of_the_parameter() -> None:
    model = Block()

    def halve(parameter: Tensor) -> None:
        assert parameter.grad is not None
        parameter.grad.mul_(0.5)

    handle = model.inner[0].weight.register_post_accumulate_grad_hook(halve)
    with mf.audit(model) as found:
        model(torch.ones(1, 2)).sum().backward()
    handle.remove()
    (halved,) = [finding for finding in found.findings if finding.op == "aten::mul_.Tensor"]
    assert (halved.module, halved.phase) == ("inner.0", "backward")
    assert "test_report.py" in halved.source


def test_clipping_is_a_phase() -> None:
    x = nn.Parameter(torch.ones(3))
    x.grad = torch.ones(3)
    with mf.audit() as found:
        nn.utils.clip_grad_norm_([x], 1.0)
    assert {finding.phase for finding in found.findings} == {"clipping"}


def test_the_schedule_is_a_phase() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=torch.tensor(0.1))
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    optimizer.step()
    with mf.audit() as found:
        schedule.step()
    assert found.multiplications > 0
    assert {finding.phase for finding in found.findings} == {"schedule"}


def _with_constants() -> Audit:
    with mf.audit() as found:
        with mf.audit.constants("angles of <positions>"):
            torch.arange(3) * 0.5
            torch.ones(2).cos()
        torch.arange(4) * 2
        torch.ones(5) + 1
    return found


def test_constants_and_integers_are_apart() -> None:
    found = _with_constants()
    assert found.findings == ()
    assert found.multiplications == 0
    assert sum(finding.multiplications for finding in found.constants) == 5
    assert {finding.reason for finding in found.constants} == {"angles of <positions>"}
    assert [(x.op, x.multiplications) for x in found.report.integers] == [("aten::mul.Tensor", 4)] or len(
        found.report.integers
    ) == 3
    assert "constants of the architecture" in str(found)
    assert constants is mf.audit.constants


def test_unknown_operations_are_findings_even_as_constants() -> None:
    with torch.library._scoped_library("audit_constants", "FRAGMENT") as library:
        library.define("mystery(Tensor x) -> Tensor")
        library.impl("mystery", lambda x: x.clone(), "CPU")
        with mf.audit() as found, constants("a table"):
            torch.ops.audit_constants.mystery(torch.ones(3))
    assert len(found.unknown) == 1


def test_json_has_every_section() -> None:
    content = json.loads(_with_constants().to_json())
    assert content["constant_multiplications"] == 5
    assert {"findings", "constants", "integers", "notes", "work", "pa_calls"} <= content.keys()
    assert content["constants"][0]["reason"] == "angles of <positions>"


def test_html_is_one_escaped_page() -> None:
    page = _with_constants().to_html()
    assert page.startswith("<!DOCTYPE html>")
    assert "angles of &lt;positions&gt;" in page
    assert "<positions>" not in page
    assert "http" not in page
    assert "No multiplications" in page
    with mf.audit() as found:
        torch.ones(3) * 2
    assert "Multiplications found" in found.to_html()


def test_details_show_the_work() -> None:
    model = mf.convert(nn.Sequential(nn.Linear(2, 3)))
    with mf.audit(model) as found:
        model(torch.ones(4, 2)).sum().backward()
    text = found.to_text(details=True)
    assert "in place of" in text
    assert any(line.split()[:3] == ["0", "forward", "24"] for line in text.splitlines())
    assert "Arithmetic" not in found.to_text()
