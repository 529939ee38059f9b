"""The table of what a converted model does."""

from __future__ import annotations

import pytest
import torch

import mulfree
import mulfree.nn as mnn
from mulfree import Policy
from mulfree.policy import Group, Products


def test_rows_say_what_each_module_does() -> None:
    model = torch.nn.ModuleDict(
        {
            "linear": torch.nn.Linear(2, 2),
            "relu": torch.nn.ReLU(),
            "attention": torch.nn.MultiheadAttention(4, 2),
            "norm": torch.nn.LayerNorm(2),
            "ours": mnn.Linear(2, 2, mantissa_bits=3),
            "head": torch.nn.Linear(2, 2),
        }
    )
    assert {row.arithmetic for row in mulfree.summary(model) if row.name != "ours"} == {"standard"}
    policy = Policy(
        matmul=Products(derivative="exact", mantissa_bits=4, compensation=1.1),
        softmax=Group(on=False),
        norm=Group(on=False),
    )
    mulfree.convert(model, policy, where=lambda name, _: name != "head")
    rows = {row.name: row for row in mulfree.summary(model)}
    assert (rows["linear"].arithmetic, rows["linear"].derivative) == ("piecewise affine", "exact")
    assert (rows["linear"].mantissa_bits, rows["linear"].compensation) == ("4", "1.1")
    assert rows["relu"].arithmetic == "free"
    assert (rows["attention"].arithmetic, rows["attention"].derivative) == ("mixed", "exact, approximate")
    assert rows["attention"].reason == "policy: softmax off"
    assert (rows["norm"].arithmetic, rows["norm"].reason) == ("standard", "policy: norm off")
    assert (rows["ours"].mantissa_bits, rows["ours"].reason) == ("3", "its own options")
    assert (rows["head"].arithmetic, rows["head"].reason) == ("standard", "excluded by 'where'")
    text = str(mulfree.summary(model))
    assert text.splitlines()[0].split()[:3] == ["module", "type", "arithmetic"]
    assert len(text.splitlines()) == len(rows) + 1
    assert {row.arithmetic for row in mulfree.summary(mulfree.revert(model))} == {"standard", "piecewise affine"}


def multiplies(model: torch.nn.Module) -> bool:
    with mulfree.audit() as audit:
        model(torch.ones(2, 8, requires_grad=True)).sum().backward()
    return audit.multiplications > 0


def test_a_module_that_was_added_later_computes_as_the_one_around_it() -> None:
    model = mulfree.convert(torch.nn.Sequential(torch.nn.Sequential(torch.nn.Linear(8, 8))), Policy.matmul_only(5))
    model[0].append(torch.nn.Sequential(torch.nn.Linear(8, 8)))
    row = {r.name: r for r in mulfree.summary(model)}["0.1.0"]
    assert (row.arithmetic, row.mantissa_bits, row.reason) == ("piecewise affine", "5", "not converted; computes as 0")
    assert not multiplies(model)
    model.append(torch.nn.ReLU())
    assert list(mulfree.summary(model))[-1].arithmetic == "free"
    mulfree.convert(model[0], where=lambda name, _: False)
    row = {r.name: r for r in mulfree.summary(model)}["0.1.0"]
    assert (row.arithmetic, row.reason) == ("standard", "excluded by 'where'")


def test_a_module_added_to_an_excluded_one_is_standard() -> None:
    model = torch.nn.Sequential(torch.nn.Sequential(torch.nn.Linear(8, 8)))
    mulfree.convert(model, where=lambda name, _: not name)
    model[0].append(torch.nn.Linear(8, 8))
    row = {r.name: r for r in mulfree.summary(model)}["0.1"]
    assert (row.arithmetic, row.reason) == ("standard", "not converted; computes as 0")
    assert multiplies(model)


def test_a_reverted_part_is_standard() -> None:
    model = mulfree.convert(torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Sequential(torch.nn.Linear(8, 8))))
    mulfree.revert(model[1])
    assert [(row.name, row.arithmetic, row.reason) for row in mulfree.summary(model)] == [
        ("", "free", ""),
        ("0", "piecewise affine", ""),
        ("1", "standard", "reverted"),
        ("1.0", "standard", "reverted"),
    ]
    assert multiplies(model)


def test_modules_within_one_of_ours_compute_as_it_does() -> None:
    rows = {row.name: row for row in mulfree.summary(mnn.TransformerEncoderLayer(8, 2, 6, mantissa_bits=4))}
    assert (rows["linear1"].arithmetic, rows["linear1"].mantissa_bits) == ("piecewise affine", "4")
    assert rows["linear1"].reason == "not converted; computes as (model)"


def test_bad_arguments() -> None:
    for function in (mulfree.summary, mulfree.revert):
        with pytest.raises(TypeError, match=rf"{function.__name__}\(\): argument 'model' must be a torch.nn.Module"):
            function(3)
