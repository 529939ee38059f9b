"""The table of what a converted model does."""

from __future__ import annotations

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
