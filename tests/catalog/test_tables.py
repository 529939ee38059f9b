"""The tables of PyTorch's operations."""

from __future__ import annotations

import torch

from mulfree.catalog import CONDITIONAL, FREE, MULTIPLYING, plain_name


def test_tables_are_disjoint() -> None:
    assert not FREE & MULTIPLYING
    assert not (FREE | MULTIPLYING) & set(CONDITIONAL)


def test_names_exist_in_pytorch() -> None:
    registered = {
        plain_name(name.removeprefix("aten::").partition(".")[0])
        for name in torch._C._dispatch_get_all_op_names()
        if name.startswith("aten::")
    }
    assert (FREE | MULTIPLYING | set(CONDITIONAL)) <= registered


def test_plain_names() -> None:
    assert plain_name("_foreach_add_") == "add"
    assert plain_name("mul_") == "mul"
    assert plain_name("__and__") == "__and__"


def test_no_name_of_a_product_is_free() -> None:
    suspicious = ("mul", "div", "mm", "exp", "log", "sqrt", "pow", "mean", "norm", "softmax", "loss", "conv", "lerp")
    allowed = {"expand", "expand_as", "expand_copy", "frexp", "cummax", "cummin", "_cummax_helper", "_cummin_helper"}
    allowed |= {"logical_and", "logical_or", "logical_xor", "logical_not"}
    caught = {name for name in FREE if any(part in name for part in suspicious)}
    assert caught <= allowed, caught - allowed
