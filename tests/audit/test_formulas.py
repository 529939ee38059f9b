"""How much arithmetic an operation stands for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import mulfree as mf
import mulfree.functional as MF
from mulfree.audit import Work
from mulfree.audit.formulas import COUNTED


def test_every_operation_has_a_formula() -> None:
    registered = {
        name.partition("::")[2].partition(".")[0]
        for name in torch._C._dispatch_get_all_op_names()
        if name.startswith("mulfree::")
    }
    assert registered == COUNTED


X = torch.full((2, 3), 0.5)

CASES: dict[str, tuple[Callable[[], object], Work]] = {
    "product": (lambda: MF.mul(X, X), Work(products=6, replaced=6)),
    "quotient": (lambda: MF.div(X, X), Work(quotients=6, replaced=6)),
    "root": (lambda: MF.sqrt(X), Work(quotients=6, powers=6, logarithms=6, replaced=6)),
    "matrix product": (lambda: MF.matmul(X, X.T), Work(products=12, additions=12, replaced=12)),
    "batched product": (
        lambda: MF.matmul(torch.ones(2, 1, 3, 4), torch.ones(5, 4, 6)),
        Work(products=720, additions=720, replaced=720),
    ),
    "linear": (
        lambda: MF.linear(X, torch.ones(4, 3), torch.ones(4)),
        Work(products=24, additions=32, replaced=24),
    ),
    "softmax": (
        lambda: MF.softmax(X, dim=1),
        Work(products=6, quotients=6, additions=12, powers=6, replaced=12),
    ),
    "layer norm": (
        lambda: MF.layer_norm(X, (3,), torch.ones(3), torch.ones(3)),
        Work(products=12, quotients=12, additions=26, powers=2, logarithms=2, replaced=24),
    ),
    "sum": (lambda: MF.sum(X), Work(additions=6)),
}


@pytest.mark.parametrize("name", CASES)
def test_counts(name: str) -> None:
    call, expected = CASES[name]
    with mf.audit() as found:
        call()
    assert found.work == expected


@pytest.mark.parametrize("derivative", ["approximate", "exact"])
def test_a_matrix_product_takes_two_more_in_its_backward_pass(derivative: str) -> None:
    a, b = torch.ones(3, 4, requires_grad=True), torch.ones(4, 5, requires_grad=True)
    with mf.audit() as found:
        MF.matmul(a, b, derivative=derivative).backward(torch.ones(3, 5))
    assert found.work == Work(products=180, additions=180, replaced=180)


def test_optimizers_count_their_parameters() -> None:
    parameters = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2, 2))]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    with mf.audit() as found:
        mf.optim.AdamW(parameters).step()
    assert found.work.products == 7 * 7
    (entry,) = found.report.work
    assert (entry.module, entry.phase) == ("AdamW", "optimizer")


def test_works_add() -> None:
    one: Tensor | Work = Work(1, 2, 3, 4, 5, 6)
    assert Work(1, 2, 3, 4, 5, 6) + Work(1, 1, 1, 1, 1, 1) == Work(2, 3, 4, 5, 6, 7)
    assert one == Work(1, 2, 3, 4, 5, 6).times(1)
    assert Work(1, 2).times(3) == Work(3, 6)
