"""The mode: names, operands, in-place forms, whole numbers, what stays and what is refused."""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import get_overridable_functions

import mulfree
import mulfree.functional as MF
from mulfree import Policy
from mulfree.catalog import MULTIPLYING
from mulfree.policy import Group
from mulfree.replace import Scope, run
from mulfree.replace.actions import action_for, plain_name
from mulfree.replace.lost import LOST
from tests.ops.support import same_bits

FULL = Scope(Policy.full())
X = torch.linspace(-3.0, 3.0, 12).reshape(3, 4)
Y = torch.linspace(0.3, 2.1, 12).reshape(3, 4)


def replaced(function: Callable[[], Any]) -> Any:
    return run(FULL, function)


@pytest.mark.parametrize(
    ("function", "name", "in_place"),
    [
        (torch.mul, "mul", False),
        (torch.Tensor.mul, "mul", False),
        (torch.Tensor.__mul__, "mul", False),
        (torch.Tensor.__rmul__, "mul", False),
        (torch.Tensor.mul_, "mul", True),
        (torch.Tensor.__imul__, "mul", True),
        (torch.ops.aten.mul.Tensor, "mul", False),
        (torch.Tensor.__truediv__, "div", False),
        (torch.Tensor.__itruediv__, "div", True),
        (torch.Tensor.__matmul__, "matmul", False),
        (torch.Tensor.__getitem__, "__getitem__", False),
        (F.softmax, "softmax", False),
        (torch.special.expit, "special_expit", False),
    ],
)
def test_names(function: Any, name: str, in_place: bool) -> None:
    assert plain_name(function) == (name, in_place)


def test_nothing_that_multiplies_is_called_as_it_is() -> None:
    policy = Policy.full()
    for functions in get_overridable_functions().values():
        for function in functions:
            if plain_name(function)[0] in MULTIPLYING:
                assert action_for(function, policy) is not None, function


def test_every_function_can_be_allowed() -> None:
    functions = [function for found in get_overridable_functions().values() for function in found]
    assert Policy(allow=tuple(plain_name(function)[0] for function in functions)).allow


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (lambda: X * Y, lambda: MF.mul(X, Y)),
        (lambda: 3 * X, lambda: MF.mul(X, 3.0)),
        (lambda: X / Y, lambda: MF.div(X, Y)),
        (lambda: 1 / Y, lambda: MF.div(1.0, Y)),
        (lambda: X**2, lambda: MF.mul(X, X)),
        (lambda: X @ Y.mT, lambda: MF.matmul(X, Y.mT)),
        (lambda: torch.einsum("ij,kj->ik", X, Y), lambda: MF.matmul(X, Y.mT)),
        (lambda: torch.addmm(X[:, :3], X, Y.mT), lambda: X[:, :3] + MF.matmul(X, Y.mT)),
        (lambda: X.mean(-1), lambda: MF.mean(X, -1)),
        (lambda: torch.rsqrt(Y), lambda: MF.rsqrt(Y)),
        (lambda: torch.special.expit(X), lambda: MF.sigmoid(X)),
        (lambda: torch.linalg.vector_norm(X), lambda: MF.vector_norm(X)),
        (lambda: F.softmax(X, dim=-1), lambda: MF.softmax(X, -1)),
        (lambda: F.softmax(X, 0), lambda: MF.softmax(X, 0)),
        (lambda: X.softmax(1), lambda: MF.softmax(X, 1)),
        (lambda: F.layer_norm(X, (4,)), lambda: MF.layer_norm(X, (4,))),
        (lambda: torch.layer_norm(X, (4,), None, None, 1e-5, False), lambda: MF.layer_norm(X, (4,))),
        (lambda: torch.ops.aten.mul.Tensor(X, Y), lambda: MF.mul(X, Y)),
        (lambda: X.clone().mul_(Y), lambda: MF.mul(X, Y)),
        (lambda: torch.mul(X, Y, out=torch.empty(3, 4)), lambda: MF.mul(X, Y)),
        (lambda: X.clone().addcmul_(X, Y, value=2), lambda: MF.addcmul(X, X, Y, value=2)),
        (lambda: X.sub(Y, alpha=2), lambda: MF.sub(X, Y, alpha=2)),
        (lambda: 2 - X, lambda: 2 - X),
        (lambda: X.new_ones(3, 4) * (X > 0), lambda: MF.mul(torch.ones(3, 4), (X > 0).float())),
        (lambda: torch.arange(4) * X, lambda: MF.mul(torch.arange(4).float(), X)),
        (lambda: torch.arange(1, 5) / 2, lambda: MF.div(torch.arange(1.0, 5.0), 2.0)),
        (lambda: X.half() * Y.half(), lambda: MF.mul(X.half(), Y.half())),
        (lambda: X.bfloat16() * torch.tensor(1.5), lambda: MF.mul(X.bfloat16(), 1.5)),
        (lambda: torch.sqrt(torch.arange(4)), lambda: MF.sqrt(torch.arange(4).float())),
    ],
)
def test_what_is_written_and_what_is_meant(written: Callable[[], Tensor], meant: Callable[[], Tensor]) -> None:
    assert same_bits(replaced(written), meant())


@pytest.mark.parametrize(
    "function",
    [
        lambda: torch.arange(6) * 3,
        lambda: torch.arange(6) // 2,
        lambda: torch.arange(6) % 4,
        lambda: torch.arange(6) ** 2,
        lambda: torch.arange(6) @ torch.arange(6),
        lambda: torch.arange(6).sum(),
        lambda: torch.arange(6).prod(),
        lambda: torch.arange(6).abs(),
        lambda: torch.arange(1, 10, 2),
        lambda: X.to(torch.int64) * 2,
    ],
)
def test_whole_numbers_stay_with_torch(function: Callable[[], Tensor]) -> None:
    assert torch.equal(replaced(function), function())
    assert not replaced(function).is_floating_point()


def test_spaced_numbers_are_the_exact_ones_rounded() -> None:
    assert torch.equal(replaced(lambda: torch.arange(0.0, 1.0, 0.1)), torch.arange(0.0, 1.0, 0.1))
    assert torch.equal(replaced(lambda: torch.linspace(0, 1, 5)), torch.linspace(0, 1, 5))
    assert replaced(lambda: torch.arange(5, dtype=torch.float32)).dtype is torch.float32


def test_histograms_count_as_torch() -> None:
    values = torch.tensor([0.0, 1, 1, 3, 7, 7, 2])
    assert torch.equal(replaced(lambda: values.histc(8, 0, 7)), values.histc(8, 0, 7))


def test_in_place_calls_keep_what_their_derivative_needs() -> None:
    def weights(x: Tensor) -> Tensor:
        y = x + 0.0
        y /= y.sum(-1, keepdim=True)
        return y

    x = Y.clone().requires_grad_()
    (got,) = torch.autograd.grad(run(FULL, weights, x)[0, 0], x)
    twin = Y.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(MF.div(twin, MF.sum(twin, -1, True))[0, 0], twin)
    assert same_bits(got, wanted)


def test_in_place_results_must_fit() -> None:
    with pytest.raises(RuntimeError, match="does not fit"):
        replaced(lambda: torch.ones(4).mul_(X))
    with pytest.raises(RuntimeError, match="can't be cast"):
        replaced(lambda: torch.ones(4, dtype=torch.int64).mul_(0.5))


def test_sums_of_gradients_follow_the_law() -> None:
    bias = torch.zeros(4, requires_grad=True)
    grad = torch.randn(3000, 4)
    (got,) = torch.autograd.grad(replaced(lambda: torch.zeros(3000, 4) + bias), bias, grad)
    assert same_bits(got, MF.sum(grad, 0))


def test_random_numbers_have_their_moments() -> None:
    torch.manual_seed(0)
    uniform, normal = replaced(lambda: torch.rand(20000)), replaced(lambda: torch.randn(20000))
    assert float(uniform.min()) >= 0 and float(uniform.max()) < 1
    assert abs(float(uniform.mean()) - 0.5) < 0.02
    assert abs(float(normal.mean())) < 0.03
    assert abs(float(normal.std()) - 1) < 0.03
    kept = replaced(lambda: torch.empty(20000).bernoulli_(0.3))
    assert abs(float(kept.mean()) - 0.3) < 0.02


def test_torch_itself_is_not_patched() -> None:
    before = {name: vars(F)[name] for name in vars(F)}
    model = mulfree.convert(torch.nn.MultiheadAttention(4, 2))
    model(X[:, None], X[:, None], X[:, None])
    assert all(vars(F)[name] is value for name, value in before.items())


def test_groups_that_are_off_stay() -> None:
    only_norm = Scope(Policy(norm=Group(on=False)))
    assert torch.equal(run(only_norm, lambda: F.layer_norm(X, (4,))), F.layer_norm(X, (4,)))
    assert same_bits(run(only_norm, lambda: X * Y), MF.mul(X, Y))


def test_attention_with_one_of_its_groups() -> None:
    q = torch.randn(2, 5, 4)
    got = run(Scope(Policy.matmul_only()), F.scaled_dot_product_attention, q, q, q, is_causal=True)
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    scores = (MF.matmul(q, q.mT) / 2.0).masked_fill(~mask, float("-inf"))
    assert same_bits(got, MF.matmul(torch.softmax(scores, -1), q))


def test_refusals_name_the_function_and_the_way_out() -> None:
    with pytest.raises(NotImplementedError, match=r"torch.fft.fft.*tests/replace/test_mode.py.*Policy\(allow"):
        replaced(lambda: torch.fft.fft(X))
    allowed = Scope(Policy(allow=("fft_fft",)))
    assert torch.equal(run(allowed, torch.fft.fft, X), torch.fft.fft(X))


def test_a_float64_operand_is_refused() -> None:
    with pytest.raises(RuntimeError, match="must be float32, float16 or bfloat16, got float64"):
        replaced(lambda: X.double() * 2)
    with pytest.raises(TypeError, match="must be float32, float16 or bfloat16, got float64"):
        replaced(lambda: X.double().exp())


def test_nested_scopes_and_the_way_out_of_them() -> None:
    exact = Scope(Policy.standard())

    def outer() -> tuple[Tensor, Tensor, Tensor]:
        return X * Y, run(exact, torch.mul, X, Y), X * Y

    first, inner, last = replaced(outer)
    assert same_bits(first, MF.mul(X, Y))
    assert same_bits(last, first)
    assert torch.equal(inner, torch.mul(X, Y))
    assert torch.equal(X * Y, torch.mul(X, Y))


def test_what_computes_nothing_is_left_alone() -> None:
    def checked() -> Tensor:
        torch._assert(X.shape[0] == 3, "rows")
        return X

    assert replaced(checked) is X
    with pytest.raises(AssertionError, match="rows"):
        replaced(lambda: torch._assert(X.shape[0] == 4, "rows"))


def test_compositions_in_plain_torch() -> None:
    assert same_bits(replaced(lambda: torch.linalg.vecdot(X, Y)), MF.sum(MF.mul(X, Y), -1))
    assert same_bits(replaced(lambda: torch.logit(Y / 4)), MF.log(MF.div(Y / 4, 1 - Y / 4)))
    assert same_bits(replaced(lambda: torch.linalg.matrix_norm(X)), MF.vector_norm(X, 2, (0, 1)))
    in_place = replaced(lambda: Y.clone().ldexp_(torch.tensor(2)))
    assert same_bits(in_place, MF.mul(Y, 4.0))


def _dropped_by_torch() -> set[tuple[str, str]]:
    """Functions of torch, and arguments of theirs that they do not hand to a function mode, by their sources."""
    found = set()
    for module in (torch.functional, F):
        for function in ast.walk(ast.parse(inspect.getsource(module))):
            if not isinstance(function, ast.FunctionDef):
                continue
            names = {argument.arg for argument in [*function.args.args, *function.args.kwonlyargs]}
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "handle_torch_function":
                    given = [x for value in [*call.args[2:], *call.keywords] for x in ast.walk(value)]
                    handed = {x.id for x in given if isinstance(x, ast.Name)}
                    found |= {(function.name, name) for name in names - handed}
    return found


def test_arguments_that_torch_drops_are_known() -> None:
    assert _dropped_by_torch() <= {(function.__name__, name) for function, name in LOST.items()}


def test_the_weight_of_l1_loss_is_not_lost() -> None:
    weight = torch.linspace(0.0, 3.0, 12).reshape(3, 4)
    for reduction in ("none", "mean"):
        for w in (weight, None):
            found = replaced(lambda reduction=reduction, w=w: F.l1_loss(X, Y, weight=w, reduction=reduction))
            assert same_bits(found, MF.l1_loss(X, Y, weight=w, reduction=reduction))
    standard = Scope(Policy(loss=Group(on=False)))
    found = run(standard, lambda: F.l1_loss(X, Y, weight=weight))
    assert same_bits(found, F.l1_loss(X, Y, weight=weight))


@pytest.mark.filterwarnings("ignore:torch.chain_matmul is deprecated")
def test_the_output_of_chain_matmul_is_not_lost() -> None:
    out = torch.empty(3, 3)
    found = replaced(lambda: torch.chain_matmul(X, Y.T, out=out))
    assert found is out
    assert same_bits(out, MF.matmul(X, Y.T))


def test_compiling_a_converted_model_warns_of_nothing() -> None:
    torch._dynamo.reset()
    model = mulfree.convert(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.GELU()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled = torch.compile(model, backend="aot_eager")
        assert same_bits(compiled(X), model(X))
