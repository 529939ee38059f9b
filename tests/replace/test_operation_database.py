"""torch's own database of operations, run under the mode: no multiplication in either pass, or a clear refusal.

The database is the one that torch tests itself with: for each operation arguments of many kinds.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

import mulfree
from mulfree.replace import Scope, run

pytest.importorskip("expecttest", reason="torch's database of operations needs it")
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_utils import noncontiguous_like

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
    "nanmedian", "pow", "float_power", "nn.functional.scaled_dot_product_attention", "nn.functional.poisson_nll_loss",
}  # fmt: skip
"""Not close to torch's value for a reason of their own: rounding of a quotient, arbitrary choices, no contents, large
exponents (an error of a tenth of the exponent is a factor), sums that cancel."""


def _name(op: Any) -> str:
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else str(op.name)


OPERATIONS = {_name(op): op for op in op_db if torch.float32 in op.dtypes and not op.name.startswith(LEFT_OUT)}


def _fractions(outputs: Any) -> list[Tensor]:
    return [x for x in tree_leaves(outputs) if isinstance(x, Tensor) and x.is_floating_point()]


def _check(name: str, op: Any, sample: Any) -> bool:
    """True if the call was replaced, False if it was refused."""
    if name == "nn.functional.batch_norm" and sample.input.dim() < 2:
        return False  # torch takes an empty vector, against its documentation
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


WRONG = (TypeError, RuntimeError, ValueError, IndexError, AttributeError)
"""What torch raises for bad arguments; refusals (NotImplementedError) are RuntimeErrors."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name, op in OPERATIONS.items() if op.error_inputs_func is not None])
def test_what_torch_refuses_is_refused(name: str) -> None:
    op = OPERATIONS[name]
    for case in op.error_inputs("cpu"):
        sample = case.sample_input
        try:
            op.op(sample.input, *sample.args, **sample.kwargs)
        except WRONG:
            with pytest.raises(WRONG):
                run(SCOPE, op.op, sample.input, *sample.args, **sample.kwargs)


BY_STRIDE = ("as_strided", "view_as_complex")
"""Operations that are defined by the strides of their input."""


def _spread(x: Any) -> Any:
    """A tensor with the same elements, not contiguous in memory."""
    if not isinstance(x, Tensor) or x.dim() == 0 or x.numel() == 0 or x.layout is not torch.strided:
        return x
    return noncontiguous_like(x.detach()).requires_grad_(x.requires_grad)


def _results(op: Any, arguments: tuple[Any, ...]) -> list[Tensor] | type[Exception]:
    """Outputs and gradients, or what was raised."""
    input, args, kwargs = arguments
    try:
        outputs = _fractions(run(SCOPE, op.op, input, *args, **kwargs))
        ends = [x for x in outputs if x.requires_grad]
        leaves = [x for x in tree_leaves(arguments) if isinstance(x, Tensor) and x.requires_grad and x.is_leaf]
        upstream = [torch.ones_like(x) for x in ends]
        grads = torch.autograd.grad(ends, leaves, upstream, allow_unused=True) if ends and leaves else ()
    except WRONG as error:
        return type(error)
    return [*outputs, *(x for x in grads if x is not None)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in OPERATIONS if not name.startswith(BY_STRIDE)])
def test_strides_change_no_bit(name: str) -> None:
    op = OPERATIONS[name]
    if any(part in name for part in RANDOM):
        pytest.skip("random")
    samples = op.sample_inputs("cpu", torch.float32, requires_grad=op.supports_autograd)
    for sample in itertools.islice(samples, 25):
        arguments = (sample.input, sample.args, sample.kwargs)
        plain, spread = _results(op, arguments), _results(op, tree_map(_spread, arguments))
        if isinstance(plain, type) or isinstance(spread, type):
            assert plain is spread
            continue
        for a, b in zip(plain, spread, strict=True):
            assert torch.equal(a.nan_to_num(), b.nan_to_num())
            assert torch.equal(a.isnan(), b.isnan())
