"""The direct and the registered route return the same bits; each is taken when it should be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

import mulfree.functional as MF
from mulfree.functional import Derivative
from tests.ops.support import Log, same_bits

TARGET = torch.tensor([0, 2, -100, 1])

FUNCTIONS: dict[str, Callable[[Tensor, Tensor, Derivative], Tensor]] = {
    "mul": lambda x, y, d: MF.mul(x, y[0], derivative=d, compensation=1.1),
    "div": lambda x, y, d: MF.div(x, y, derivative=d),
    "exp2": lambda x, y, d: MF.exp2(x, derivative=d),
    "log2": lambda x, y, d: MF.log2(x, derivative=d),
    "exp": lambda x, y, d: MF.exp(x, derivative=d),
    "log": lambda x, y, d: MF.log(x, derivative=d),
    "sqrt": lambda x, y, d: MF.sqrt(x, derivative=d),
    "gelu": lambda x, y, d: MF.gelu(x, derivative=d),
    "sigmoid": lambda x, y, d: MF.sigmoid(x, derivative=d),
    "silu": lambda x, y, d: MF.silu(x, derivative=d),
    "tanh": lambda x, y, d: MF.tanh(x, derivative=d),
    "batch_norm": lambda x, y, d: MF.batch_norm(x, None, None, y[0], y[1], True, derivative=d),
    "maximum": lambda x, y, d: MF.maximum(x, y),
    "amax": lambda x, y, d: MF.amax(x, 1),
    "pow": lambda x, y, d: MF.pow(x, 2.5, derivative=d),
    "mean": lambda x, y, d: MF.mean(x, 0, derivative=d),
    "matmul": lambda x, y, d: MF.matmul(x, y.mT, derivative=d, mantissa_bits=5),
    "linear": lambda x, y, d: MF.linear(x, y, y[:, 0], derivative=d),
    "softmax": lambda x, y, d: MF.softmax(x, 0, derivative=d),
    "log_softmax": lambda x, y, d: MF.log_softmax(x, 1, derivative=d),
    "logsumexp": lambda x, y, d: MF.logsumexp(x, 1, derivative=d),
    "layer_norm": lambda x, y, d: MF.layer_norm(x, (3,), y[0], y[1], derivative=d),
    "cross_entropy": lambda x, y, d: MF.cross_entropy(x, TARGET, label_smoothing=0.1, derivative=d),
    "attention": lambda x, y, d: MF.scaled_dot_product_attention(x, y, y, derivative=d),
}


def run(function: Callable[[Tensor, Tensor], Tensor], dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Result and both gradients."""
    generator = torch.Generator().manual_seed(1)
    x, y = ((torch.rand(4, 3, generator=generator) + 0.25).to(dtype).requires_grad_() for _ in range(2))
    result = function(x, y)
    result.backward(torch.linspace(0.5, 2.0, result.numel()).to(dtype).view(result.shape))
    return tuple(t for t in (result, x.grad, y.grad) if t is not None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("derivative", ["approximate", "exact"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_same_bits_on_both_routes(name: str, derivative: Derivative, dtype: torch.dtype) -> None:
    def function(x: Tensor, y: Tensor) -> Tensor:
        return FUNCTIONS[name](x, y, derivative)

    direct = run(function, dtype)
    with Log() as log:
        watched = run(function, dtype)
    assert all(same_bits(a, b) for a, b in zip(direct, watched, strict=True))
    assert all(t.dtype is dtype for t in direct)
    assert any(name.startswith("mulfree.") for name in log.names)


def test_backward_is_seen_though_forward_was_not() -> None:
    x = torch.rand(4, 3, requires_grad=True)
    loss = MF.sum(MF.mul(MF.layer_norm(MF.linear(x, torch.rand(3, 3)), (3,)), 3.0))
    with Log() as log:
        loss.backward()
    seen = {name for name in log.names if name.startswith("mulfree.")}
    assert seen == {"mulfree.mul.default", "mulfree.layer_norm_grad.default", "mulfree.matmul.default"}


def test_no_multiplication_besides() -> None:
    """Of torch's own operations only copies, views, comparisons and additions surround ours."""
    with Log() as log:
        for function in FUNCTIONS.values():
            run(lambda x, y, f=function: f(x, y, "exact"), torch.float32)
    multiplying = {"mul", "div", "mm", "bmm", "exp", "log", "softmax", "sqrt", "pow", "mean", "rsqrt", "sum", "norm"}
    assert {n for n in log.names if n.startswith("aten.") and n.split(".")[1].strip("_") in multiplying} == set()


def test_function_modes_see_the_operations() -> None:
    names: list[str] = []

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            names.append(str(func))
            return func(*args, **(kwargs or {}))

    with Watch():
        MF.mul(torch.ones(2), torch.ones(2))
    assert "mulfree.mul.default" in names


def test_functorch_gradient_is_refused_by_torch() -> None:
    """torch does not transform custom operations; a direct call would have returned zeros instead."""
    with pytest.raises(RuntimeError, match="functorch"):
        torch.func.grad(lambda v: MF.sum(MF.mul(v, v)))(torch.tensor([1.5, -3.0]))


def test_forward_mode_is_refused() -> None:
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(torch.ones(2), torch.ones(2))
        with pytest.raises(NotImplementedError, match="forward-mode"):
            MF.mul(dual, 2.0)
        assert same_bits(MF.mul(torch.ones(2), 2.0), torch.full((2,), 2.0))


def test_compiles_as_one_graph() -> None:
    def model(x: Tensor, y: Tensor) -> Tensor:
        h = MF.gelu(MF.linear(x, y, compensation=1.125))
        h = MF.layer_norm(MF.mul(h, 0.3), (4,))
        h = MF.scaled_dot_product_attention(h, h, h, is_causal=True)
        h = MF.mean(MF.softmax(h, -1), 0, keepdim=True) + MF.pow(h, 2)
        return MF.cross_entropy(h, TARGET, label_smoothing=0.1)

    x, y = torch.rand(4, 3, requires_grad=True), torch.rand(4, 3)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    expected, found = model(x, y), compiled(x, y)
    assert same_bits(expected, found)
    (by_model,), (by_compiled,) = (torch.autograd.grad(r, x) for r in (expected, found))
    assert same_bits(by_model, by_compiled)


def test_fake_tensors() -> None:
    with torch._subclasses.FakeTensorMode():
        x = torch.empty(4, 3, dtype=torch.float16)
        result = MF.linear(x, torch.empty(5, 3, dtype=torch.float16))
    assert result.shape == (4, 5)
    assert result.dtype is torch.float16


def test_in_place_step_is_noticed_by_autograd() -> None:
    from mulfree.optim import AdamW

    p = torch.nn.Parameter(torch.ones(3))
    loss = MF.sum(MF.mul(p, p))
    p.grad = torch.ones(3)
    AdamW([p]).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_constants_made_in_inference_mode_serve_training() -> None:
    with torch.inference_mode():
        MF.mul(torch.ones(2), 0.7251)
    x = torch.ones(2, requires_grad=True)
    MF.mul(x, 0.7251).sum().backward()
    assert x.grad is not None
