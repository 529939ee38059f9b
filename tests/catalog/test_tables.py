"""The tables of PyTorch's operations."""

from __future__ import annotations

from pathlib import Path

import torch

from mulfree.catalog import CONDITIONAL, FREE, MULTIPLYING, UNJUDGED, plain_name

# The operations of torch 2.13, one a line: sorted names, without overloads, of
# [n.removeprefix("aten::") for n in torch._C._dispatch_get_all_op_names() if n.startswith("aten::")].
FROZEN = {plain_name(name) for name in Path(__file__).with_name("aten_2.13.txt").read_text("utf-8").split()}
# Names that torch 2.14 added.
LATER = {"linalg_matrix_sqrth", "linalg_polar", "shallow_copy_data"}
JUDGED = FREE | MULTIPLYING | set(CONDITIONAL)


def test_tables_are_disjoint() -> None:
    assert not FREE & MULTIPLYING
    assert not (FREE | MULTIPLYING) & set(CONDITIONAL)
    assert not JUDGED & UNJUDGED


def test_every_operation_of_the_frozen_list_is_in_a_table() -> None:
    assert set() == FROZEN - JUDGED - UNJUDGED


def test_names_exist_in_pytorch() -> None:
    registered = {
        plain_name(name.removeprefix("aten::").partition(".")[0])
        for name in torch._C._dispatch_get_all_op_names()
        if name.startswith("aten::")
    }
    assert registered | FROZEN | LATER >= JUDGED | UNJUDGED


def test_plain_names() -> None:
    assert plain_name("_foreach_add_") == "add"
    assert plain_name("mul_") == "mul"
    assert plain_name("__and__") == "__and__"


def test_no_name_of_a_product_is_free() -> None:
    suspicious = ("mul", "div", "mm", "exp", "log", "sqrt", "pow", "mean", "norm", "softmax", "loss", "conv", "lerp")
    allowed = {"expand", "expand_as", "expand_copy", "frexp", "cummax", "cummin", "_cummax_helper", "_cummin_helper"}
    allowed |= {"logical_and", "logical_or", "logical_xor", "logical_not"}
    # Copies for libraries and devices; queries and settings; not arithmetic.
    allowed |= {"_padded_dense_to_jagged_forward", "mkldnn_reorder_conv2d_weight", "mkldnn_reorder_conv3d_weight"}
    allowed |= {"_convert_indices_from_coo_to_csr", "_convert_indices_from_csr_to_coo", "cummaxmin_backward"}
    allowed |= {"_use_cudnn_ctc_loss", "_use_miopen_ctc_loss", "_nested_get_jagged_dummy"}
    allowed |= {"_unsafe_masked_index_put_accumulate"}
    caught = {name for name in FREE if any(part in name for part in suspicious)}
    assert caught <= allowed, caught - allowed
