"""torch's own database of operations, run under the mode: no multiplication in either pass, or a clear refusal.

The database is the one that torch tests itself with: for each operation arguments of many kinds.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

import mulfree
from mulfree.replace import Scope, run

pytest.importorskip("expecttest", reason="torch's database of operations needs it")
from torch.testing._internal.common_methods_invocations import op_db

SCOPE = Scope(mulfree.Policy.full())
LEFT_OUT = ("masked.", "sparse.", "_refs.", "torch.ops.", "signal.", "jiterator", "ops.nvprims")
"""Parts of the database that are no calls of torch's functions by users."""
RANDOM = (
    "dropout",
    "rrelu",
    "bernoulli",
    "rand",
    "normal",
    "uniform",
    "exponential",
    "empty",
    "new_empty",
    "multi_head",
)
APART = {
    "histc", "remainder", "floor_divide", "div.floor_rounding", "div.trunc_rounding", "cumprod", "bilinear", "topk",
    "sort", "msort", "argsort", "kthvalue", "mode", "resize_", "resize_as_", "empty_like", "empty_strided", "median",
    "nanmedian",
}  # fmt: skip
"""Not close to torch's value for a reason of their own: rounding of a quotient, arbitrary choices, no contents."""


def _name(op: Any) -> str:
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else str(op.name)


OPERATIONS = {_name(op): op for op in op_db if torch.float32 in op.dtypes and not op.name.startswith(LEFT_OUT)}


def _fractions(outputs: Any) -> list[Tensor]:
    return [x for x in tree_leaves(outputs) if isinstance(x, Tensor) and x.is_floating_point()]


def _check(name: str, op: Any, sample: Any) -> bool:
    """True if the call was replaced, False if it was refused."""
    random = any(part in name for part in RANDOM)
    if torch.float64 in sample.kwargs.values():
        return False  # not a supported dtype
    try:
        with mulfree.audit() as audit:
            outputs = _fractions(run(SCOPE, op.op, sample.input, *sample.args, **sample.kwargs))
            differentiable = [x for x in outputs if x.requires_grad]
            if differentiable:
                torch.autograd.backward(differentiable, [torch.ones_like(x) for x in differentiable])
    except NotImplementedError:
        return False
    assert audit.multiplications == 0, audit
    if random or name in APART:
        return True
    expected = _fractions(op.op(sample.input, *sample.args, **sample.kwargs))
    for got, wanted in zip(outputs, expected, strict=True):
        assert got.shape == wanted.shape
        assert got.dtype == wanted.dtype or name == "float_power"
        both = got.isfinite() & wanted.isfinite()
        if both.any():
            scale = float(wanted[both].abs().max())
            assert float((got - wanted)[both].abs().max()) <= 0.5 * scale + 0.1
    return True


def _run(name: str, most: int) -> None:
    op = OPERATIONS[name]
    torch.manual_seed(0)
    samples = op.sample_inputs("cpu", torch.float32, requires_grad=op.supports_autograd)
    for sample in itertools.islice(samples, most):
        _check(name, op, sample)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_of_torch(name: str) -> None:
    _run(name, most=2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_sample_of_every_operation(name: str) -> None:
    _run(name, most=1000)
