"""Conversion: identity of modules and parameters, policies, exclusion, copies, and the way back."""

from __future__ import annotations

import copy
import inspect
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import mulfree
import mulfree.functional as MF
import mulfree.nn as mnn
from mulfree import Policy
from mulfree.policy import Group, Products
from tests.ops.support import same_bits


class Block(torch.nn.Module):
    """Modules of torch, free functions and operators in one forward."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(8)
        self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Dropout(0.1), torch.nn.Linear(16, 8)
        )

    def forward(self, x: Tensor, scale: float = 0.7) -> Tensor:
        h = self.norm(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        x = x * scale / 1.3
        result: Tensor = x + self.mlp(x)
        return result


@pytest.fixture
def block() -> Block:
    torch.manual_seed(0)
    return Block().eval()


X = torch.linspace(-2, 2, 48).reshape(2, 3, 8)


def multiplications(model: torch.nn.Module, *inputs: Any) -> int:
    with mulfree.audit() as audit:
        model(*inputs).sum().backward()
    return audit.multiplications


def test_everything_stays_but_the_arithmetic(block: Block) -> None:
    before = copy.deepcopy(block)
    modules, parameters = dict(block.named_modules()), dict(block.named_parameters())
    calls: list[str] = []
    block.norm.register_forward_hook(lambda *_: calls.append("hook"))
    assert mulfree.convert(block) is block
    assert {name: id(m) for name, m in block.named_modules()} == {name: id(m) for name, m in modules.items()}
    assert {name: id(p) for name, p in block.named_parameters()} == {name: id(p) for name, p in parameters.items()}
    assert not block.training
    assert not block.norm.training
    assert isinstance(block, Block)
    assert isinstance(block.norm, torch.nn.LayerNorm)
    assert type(block).__name__ == "Block"
    assert repr(block) == repr(before)
    assert inspect.signature(block.forward) == inspect.signature(before.forward)
    y, expected = block(X), before(X)
    assert calls == ["hook"]
    assert not same_bits(y, expected)
    assert torch.allclose(y, expected, atol=0.5)
    assert multiplications(block, X) == 0
    before.load_state_dict(block.state_dict())
    block.load_state_dict(before.state_dict())


def test_the_way_back(block: Block) -> None:
    original = type(block.mlp)
    expected = block(X)
    mulfree.convert(block)
    block(X)
    assert mulfree.revert(block) is block
    assert type(block) is Block
    assert type(block.mlp) is original
    assert same_bits(block(X), expected)
    assert mulfree.revert(block) is block


def test_a_reverted_part_is_standard_in_the_model_too(block: Block) -> None:
    before = copy.deepcopy(block)
    mulfree.convert(block)
    assert mulfree.revert(block.mlp) is block.mlp
    assert same_bits(block.mlp(X), before.mlp(X))
    with mulfree.audit() as audit:
        block(X).sum().backward()
    assert {finding.module for finding in audit.findings} <= {"mlp", "mlp.0", "mlp.1", "mlp.2", "mlp.3"}
    assert audit.multiplications > 0
    twin = copy.deepcopy(block)
    assert same_bits(twin(X), block(X))
    assert not same_bits(twin(X), before(X))
    for model in (twin, block):
        mulfree.revert(model)
        assert [type(m) for m in model.modules()] == [type(m) for m in before.modules()]
        assert [set(vars(m)) for m in model.modules()] == [set(vars(m)) for m in before.modules()]
        assert same_bits(model(X), before(X))


def test_parts_are_converted_and_reverted_again(block: Block) -> None:
    before = copy.deepcopy(block)
    mulfree.convert(block)
    whole = block(X)
    mulfree.revert(block.mlp[3])
    mulfree.convert(block.mlp[3])
    assert same_bits(block(X), whole)
    mulfree.convert(block.mlp, Policy.matmul_only(mantissa_bits=2))
    assert not same_bits(block(X), whole)
    mulfree.revert(block.mlp)
    assert same_bits(block.mlp(X), before.mlp(X))
    assert same_bits(mulfree.convert(block)(X), whole)


def test_a_part_converted_alone_goes_back_whole() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Sequential(torch.nn.Linear(8, 8)))
    expected = model(X)
    mulfree.convert(model[1])
    mulfree.revert(model[1])
    assert [type(m) for m in model.modules()][2:] == [torch.nn.Sequential, torch.nn.Linear]
    assert same_bits(model(X), expected)
    mulfree.convert(model[1])
    mulfree.revert(model)
    assert type(model[1][0]) is torch.nn.Linear


def test_the_bits_are_those_of_the_functions(block: Block) -> None:
    mulfree.convert(block.mlp)
    first, last = block.mlp[0], block.mlp[3]
    expected = MF.linear(MF.gelu(MF.linear(X, first.weight, first.bias)), last.weight, last.bias)
    assert same_bits(block.mlp(X), expected)


def test_forward_without_call(block: Block) -> None:
    mulfree.convert(block)
    assert same_bits(block.forward(X), block(X))


def test_copies_and_pickles(block: Block, tmp_path: Path) -> None:
    mulfree.convert(block, Policy.matmul_only(mantissa_bits=5))
    expected = block(X)
    twin = copy.deepcopy(block)
    assert same_bits(twin(X), expected)
    with torch.no_grad():
        twin.norm.weight.zero_()
    assert same_bits(block(X), expected)
    stream = io.BytesIO()
    torch.save(block, stream)
    stream.seek(0)
    loaded = torch.load(stream, weights_only=False)
    assert same_bits(loaded(X), expected)
    assert type(mulfree.revert(loaded)) is Block
    torch.save(block.state_dict(), tmp_path / "weights.pt")
    fresh = Block().eval()
    fresh.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert same_bits(mulfree.convert(fresh, Policy.matmul_only(mantissa_bits=5))(X), expected)


def test_replicas_share_parameters_and_arithmetic(block: Block) -> None:
    mulfree.convert(block)
    replica = block.mlp[0]._replicate_for_data_parallel()
    replica.weight, replica.bias = block.mlp[0].weight, block.mlp[0].bias
    assert same_bits(replica(X), block.mlp[0](X))


def test_hooks_set_by_torch_run_under_the_policy() -> None:
    torch.manual_seed(0)
    model = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(8, 4))
    plain = model(X)
    mulfree.convert(model)
    assert torch.allclose(model(X), plain, atol=0.5)
    assert multiplications(model, X) == 0


def test_policies_by_group(block: Block) -> None:
    expected = block(X)
    assert same_bits(mulfree.convert(block, Policy.standard())(X), expected)
    mulfree.convert(block, Policy.matmul_only(mantissa_bits=4))
    coarse = block(X)
    assert not same_bits(coarse, expected)
    mulfree.convert(block, Policy.matmul_only())
    assert not same_bits(block(X), coarse)
    mulfree.convert(block, Policy(matmul=Products(on=False), softmax=Group(on=False)))
    assert not same_bits(block(X), expected)


def test_derivatives_follow_their_groups() -> None:
    x = torch.randn(3, 8, requires_grad=True)
    softmax = mulfree.convert(torch.nn.Softmax(-1), Policy(softmax=Group(derivative="exact")))
    weights = torch.randn(3, 8)
    (got,) = torch.autograd.grad(softmax(x), x, weights)
    (exact,) = torch.autograd.grad(MF.softmax(x, -1, derivative="exact"), x, weights)
    (approximate,) = torch.autograd.grad(MF.softmax(x, -1), x, weights)
    assert same_bits(got, exact)
    assert not same_bits(got, approximate)


def test_where(block: Block) -> None:
    reference = copy.deepcopy(block)
    mulfree.convert(block, where=lambda name, module: not name.startswith("mlp"))
    assert same_bits(block.mlp(X), reference.mlp(X))
    assert not same_bits(block.norm(X), reference.norm(X))
    with mulfree.audit() as audit:
        block(X).sum().backward()
    assert {finding.module for finding in audit.findings} <= {"mlp", "mlp.0", "mlp.1", "mlp.2", "mlp.3"}
    assert audit.multiplications > 0


def test_modules_of_ours_keep_their_options() -> None:
    model = torch.nn.Sequential(mnn.Linear(8, 8, mantissa_bits=3))
    expected = model(X)
    mulfree.convert(model)
    assert same_bits(model(X), expected)
    assert same_bits(mulfree.revert(model)(X), expected)


class Doubled(torch.nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input) ** 2


def test_derived_classes_and_their_own_operations() -> None:
    model = Doubled(8, 4)
    mulfree.convert(model)
    linear = MF.linear(X, model.weight, model.bias)
    assert same_bits(model(X), MF.mul(MF.mul(linear, linear), 2.0))
    assert multiplications(model, X) == 0


class Checkpointed(torch.nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(8, 8)
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = checkpoint(self.inner, x, use_reentrant=self.reentrant)
        return result


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing(reentrant: bool) -> None:
    model = Checkpointed(reentrant)
    x = X.clone().requires_grad_()
    inner = copy.deepcopy(model.inner)
    mulfree.convert(model)
    model(x).sum().backward()
    (expected,) = torch.autograd.grad(MF.linear(x, inner.weight, inner.bias).sum(), x)
    assert same_bits(x.grad, expected)
    assert multiplications(model, x) == 0


def test_threads_do_not_disturb_each_other(block: Block) -> None:
    mulfree.convert(block)
    expected = block(X)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: (block(X), X * 3), range(32)))
    assert all(same_bits(result, expected) and same_bits(plain, torch.mul(X, 3)) for result, plain in results)


def test_errors_leave_no_mode_behind(block: Block) -> None:
    mulfree.convert(block)
    with pytest.raises(RuntimeError):
        block(torch.zeros(2, 3, 7))
    x = torch.randn(4)
    assert same_bits(x * 3, torch.mul(x, 3))


class Spectrum(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft(x).real


def test_an_operation_without_a_form_is_named() -> None:
    model = torch.nn.Sequential(torch.nn.Identity(), Spectrum())
    mulfree.convert(model)
    line = inspect.getsourcelines(Spectrum.forward)[1] + 1
    with pytest.raises(NotImplementedError, match=rf"fft.fft.*test_conversion.py:{line} in module '1'"):
        model(X)
    mulfree.convert(model, Policy(allow=("fft_fft",)))
    assert torch.isfinite(model(X)).all()
    mulfree.convert(model, where=lambda name, _: name != "1")
    model(X)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("model",), TypeError, "'model' must be a torch.nn.Module"),
        ((torch.nn.Identity(), "full"), TypeError, "'policy' must be a mulfree.Policy"),
        ((torch.nn.Identity(), None, 3), TypeError, "'where' must be a function"),
        ((torch.nn.Sequential(torch.jit.script(torch.nn.ReLU())),), TypeError, "0 is scripted"),
    ],
)
def test_bad_arguments(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        mulfree.convert(*arguments)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Group(derivative="analytic"),  # type: ignore[arg-type]
        lambda: Group(derivative=("exact", "exact")),
        lambda: Products(mantissa_bits=24),
        lambda: Products(compensation=0.0),
        lambda: Policy.matmul_only(mantissa_bits=0),
    ],
)
def test_policies_are_checked(make: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        make()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Policy(softmax=False), TypeError, "softmax must be a mulfree.policy.Group, got False"),
        (lambda: Policy(loss=Products()), TypeError, "loss must be a mulfree.policy.Group"),
        (lambda: Policy(matmul="exact"), TypeError, "matmul must be a mulfree.policy.Products, got 'exact'"),
        (lambda: Policy(matmul=Group()), TypeError, "matmul must be a mulfree.policy.Products"),
        (lambda: Group(on="no"), TypeError, "on must be True or False, got 'no'"),
        (lambda: Products(on=1), TypeError, "on must be True or False, got 1"),
        (lambda: Products(mantissa_bits=4.5), TypeError, "mantissa_bits must be .*got 4.5"),
        (lambda: Products(mantissa_bits=True), TypeError, "mantissa_bits must be .*got True"),
        (lambda: Products(mantissa_bits=[4, 4]), TypeError, r"mantissa_bits must be .*got \[4, 4\]"),
        (lambda: Products(compensation="x"), TypeError, "compensation must be .*got 'x'"),
        (lambda: Policy(allow=("fft_ftt",)), ValueError, "allow: .*'fft_ftt'; did you mean 'fft_fft'"),
        (lambda: Policy(allow=(torch.fft.fft,)), TypeError, "allow must be a tuple of names"),
        (lambda: Policy(base=2), ValueError, "base must be 'e' or '2'"),
        (lambda: mnn.Linear(2, 2, mantissa_bits=4.5), TypeError, "mantissa_bits must be .*got 4.5"),
    ],
)
def test_what_a_policy_cannot_be_made_of(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_functions_that_may_be_allowed() -> None:
    names = (
        "fft_fft",
        "floor_divide",
        "remainder",
        "multi_head_attention_forward",
        "linalg_inv",
        "sigmoid",
        "__getitem__",
    )
    assert Policy(allow=names).allows("remainder")


def test_policies_are_values() -> None:
    assert Policy() == Policy.full()
    assert Policy.full().loss.derivative == "exact"
    assert hash(Policy.matmul_only()) == hash(Policy.matmul_only(23))
    with pytest.raises(AttributeError):
        Policy().matmul = Products()  # type: ignore[misc]
    with pytest.raises(TypeError, match="tuple of names"):
        Policy(allow="exp")  # type: ignore[arg-type]
