"""Recurrent networks: the composition of plain operations bit for bit, torch's values, lengths, derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import mulfree as mf
import mulfree.functional as MF
from mulfree.backends.select import named
from mulfree.functional import Derivative
from mulfree.functional import _recurrent_plain as plain
from mulfree.numerics import rows, scalar
from mulfree.numerics.formats import LOG2E, ONE
from mulfree.ops import gates
from tests.ops.support import floats, same_bits, words

KINDS = ["lstm", "gru", "rnn_tanh", "rnn_relu"]
MODULES: dict[str, Callable[..., nn.RNNBase]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn_tanh": nn.RNN,
    "rnn_relu": lambda *args, **options: nn.RNN(*args, nonlinearity="relu", **options),
}


class Composed:
    """The functions of one step, with one derivative, written with the operations of autograd."""

    def __init__(self, derivative: Derivative) -> None:
        self.how: Any = {"derivative": derivative}

    def mul(self, a: Tensor, b: Tensor | float) -> Tensor:
        return MF.mul(a, b, **self.how)

    def sigmoid(self, x: Tensor) -> Tensor:
        exponent = self.mul(-x, scalar.value(LOG2E)).clamp(max=127.0)
        return MF.div(1.0, 1.0 + MF.exp2(exponent, **self.how), **self.how)

    def tanh(self, x: Tensor) -> Tensor:
        sign = torch.where(x.signbit(), -1.0, 1.0)
        size = torch.where(x.signbit(), -x, x)
        e = MF.exp(-(size + size), **self.how)
        result = MF.div(1.0 - e, 1.0 + e, **self.how)
        return torch.where(sign < 0, -result, result)

    def step(self, kind: str, x: Tensor, h: Tensor, c: Tensor, weights: list[Tensor]) -> tuple[Tensor, Tensor]:
        w_ih, w_hh, b_ih, b_hh, *w_hr = weights
        from_x, from_h = MF.linear(x, w_ih, b_ih, **self.how), MF.linear(h, w_hh, b_hh, **self.how)
        if kind == "gru":
            (r_x, z_x, n_x), (r_h, z_h, n_h) = from_x.chunk(3, 1), from_h.chunk(3, 1)
            r, z = self.sigmoid(r_x + r_h), self.sigmoid(z_x + z_h)
            n = self.tanh(n_x + self.mul(r, n_h))
            return self.mul(h - n, z) + n, c
        if kind == "lstm":
            i, f, g, o = (from_x + from_h).chunk(4, 1)
            c = self.mul(self.sigmoid(f), c) + self.mul(self.sigmoid(i), self.tanh(g))
            y = self.mul(self.sigmoid(o), self.tanh(c))
            return (MF.linear(y, w_hr[0], **self.how) if w_hr else y), c
        total = from_x + from_h
        return (torch.relu(total) if kind == "rnn_relu" else self.tanh(total)), c


def weights_of(module: nn.RNNBase) -> list[Tensor]:
    return [p for p in module._flat_weights if isinstance(p, Tensor)]


def call(kind: str, module: nn.RNNBase, x: Tensor, h: Tensor, c: Tensor, **options: Any) -> tuple[Tensor, ...]:
    states = [h, c] if kind == "lstm" else h
    settings = (module.bias, module.num_layers, module.dropout, module.training, module.bidirectional)
    return tuple(getattr(MF, kind)(x, states, weights_of(module), *settings, module.batch_first, **options))


def close(found: Tensor, expected: Tensor) -> bool:
    """Directions agree; every product and quotient is up to an eighth off, and states feed back."""
    return bool(F.cosine_similarity(found.flatten(), expected.flatten(), 0) > 0.97)


@pytest.mark.parametrize("derivative", ["approximate", "exact"])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_the_composition(kind: str, derivative: Derivative) -> None:
    torch.manual_seed(0)
    module = MODULES[kind](3, 4, **({"proj_size": 2} if kind == "lstm" else {}))
    x, c = torch.randn(6, 5, 3, requires_grad=True), torch.randn(1, 5, 4, requires_grad=True)
    h = torch.randn(1, 5, 2 if kind == "lstm" else 4, requires_grad=True)
    output, *states = call(kind, module, x, h, c, derivative=derivative)
    by_law, state, cell, weights = [], h[0], c[0], weights_of(module)
    composed = Composed(derivative)
    for step in x:
        state, cell = composed.step(kind, step, state, cell, weights)
        by_law.append(state)
    assert same_bits(output, torch.stack(by_law))
    assert same_bits(states[0], state[None])
    wanted = [x, h, *([c] if kind == "lstm" else []), *weights]
    upstream = torch.randn(output.shape)
    if kind == "gru":
        upstream[:-1] = 0.0  # three gradients meet in a state; torch's graph adds them in another order
    found = torch.autograd.grad(output, wanted, upstream)
    expected = torch.autograd.grad(torch.stack(by_law), wanted, upstream)
    count = len(wanted) - len(weights)
    # Gradients of what goes through the steps are the same bits; those of weights add the rows in another order.
    assert all(map(same_bits, found[:count], expected[:count]))
    for mine, theirs in zip(found[count:], expected[count:], strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_layers_and_directions_of_torch(kind: str, bias: bool, batch_first: bool) -> None:
    torch.manual_seed(1)
    module = MODULES[kind](3, 4, num_layers=2, bidirectional=True, bias=bias, batch_first=batch_first)
    x = torch.randn(*((5, 7) if batch_first else (7, 5)), 3, requires_grad=True)
    h, c = torch.randn(4, 5, 4, requires_grad=True), torch.randn(4, 5, 4)
    expected = module(x, (h, c) if kind == "lstm" else h)
    found = call(kind, module, x, h, c)
    for mine, theirs in zip(found, (expected[0], *(expected[1] if kind == "lstm" else expected[1:])), strict=True):
        assert mine.shape == theirs.shape
        assert close(mine, theirs)
    wanted = [x, h, *module.parameters()]
    with mf.audit() as audit:
        output = call(kind, module, x, h, c)[0]
        grads = torch.autograd.grad(output, wanted, torch.ones_like(output))
    assert audit.multiplications == 0
    for mine, theirs in zip(grads, torch.autograd.grad(expected[0].sum(), wanted), strict=True):
        assert mine.shape == theirs.shape
        assert F.cosine_similarity(mine.flatten(), theirs.flatten(), 0) > 0.9


@pytest.mark.parametrize("proj", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_variable_lengths(kind: str, proj: int) -> None:
    """A packed batch gives each sequence what it gets alone, bit for bit."""
    if proj and kind != "lstm":
        pytest.skip("only LSTMs project")
    torch.manual_seed(2)
    module = MODULES[kind](3, 4, bidirectional=True, **({"proj_size": proj} if proj else {}))
    lengths, size = [6, 4, 4, 1], proj or 4
    x = torch.randn(6, 4, 3, requires_grad=True)
    h, c = torch.randn(2, 4, size, requires_grad=True), torch.randn(2, 4, 4)
    packed = pack_padded_sequence(x, torch.tensor(lengths))
    states: Any = [h, c] if kind == "lstm" else h
    settings = (True, 1, 0.0, False, True)
    data, *last = getattr(MF, kind)(packed.data, packed.batch_sizes, states, weights_of(module), *settings)
    output, _ = pad_packed_sequence(PackedSequence(data, packed.batch_sizes))
    for i, length in enumerate(lengths):
        alone, *ends = call(kind, module, x[:length, i : i + 1], h[:, i : i + 1], c[:, i : i + 1])
        assert same_bits(output[:length, i : i + 1], alone)
        for mine, theirs in zip(last, ends, strict=True):
            assert same_bits(mine[:, i : i + 1], theirs)
        wanted = (x, h)
        by_batch = torch.autograd.grad(output[:length, i].sum() + last[0][:, i].sum(), wanted, retain_graph=True)
        by_alone = torch.autograd.grad(alone.sum() + ends[0].sum(), wanted)
        assert all(map(same_bits, by_batch, by_alone))


def test_dropout_between_layers() -> None:
    torch.manual_seed(3)
    module = nn.LSTM(3, 4, num_layers=2, dropout=0.4)
    x, h, c = torch.randn(5, 2, 3), torch.zeros(2, 2, 4), torch.zeros(2, 2, 4)
    torch.manual_seed(4)
    found = call("lstm", module, x, h, c)[0]
    torch.manual_seed(4)
    assert same_bits(found, call("lstm", module, x, h, c)[0])
    weights = weights_of(module)
    torch.manual_seed(4)
    first = MF.lstm(x, [h[:1], c[:1]], weights[:4], True, 1, 0.0, True, False, False)[0]
    second = MF.lstm(MF.dropout(first, 0.4), [h[1:], c[1:]], weights[4:], True, 1, 0.0, True, False, False)[0]
    assert same_bits(found, second)
    module.eval()
    assert not same_bits(found, call("lstm", module, x, h, c)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_plain_operations_are_those_of_torch(kind: str) -> None:
    """Without a mode the decomposition is torch's network up to rounding, packed batches and projections included."""
    torch.manual_seed(10)
    options = {"proj_size": 2} if kind == "lstm" else {}
    module = MODULES[kind](3, 4, num_layers=2, bidirectional=True, **options)
    h, c = torch.randn(4, 4, options.get("proj_size", 4)), torch.randn(4, 4, 4)
    packed = pack_padded_sequence(torch.randn(6, 4, 3), torch.tensor([6, 4, 4, 1]))
    state: Any = (h, c) if kind == "lstm" else h
    settings = (True, 2, 0.0, False, True)
    data, *last = getattr(plain, kind)(packed.data, packed.batch_sizes, state, weights_of(module), *settings)
    expected, ends = module(packed, state)
    assert torch.allclose(data, expected.data, atol=1e-5)
    for mine, theirs in zip(last, ends if kind == "lstm" else (ends,), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_plain_cells_are_those_of_torch(kind: str) -> None:
    torch.manual_seed(11)
    weights = weights_of(MODULES[kind](3, 4))
    x, h, c = torch.randn(2, 3), torch.randn(2, 4), torch.randn(2, 4)
    state: Any = (h, c) if kind == "lstm" else h
    found, expected = (getattr(place, f"{kind}_cell")(x, state, *weights) for place in (plain, torch))
    for mine, theirs in zip(*((r if kind == "lstm" else (r,)) for r in (found, expected)), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_cells(kind: str, batched: bool) -> None:
    torch.manual_seed(5)
    module = MODULES[kind](3, 4)
    x, h, c = torch.randn(2, 3), torch.randn(2, 4), torch.randn(2, 4)
    output, *states = call(kind, module, x[None], h[None], c[None])
    picked: Any = slice(None) if batched else 1
    state: Any = (h[picked], c[picked]) if kind == "lstm" else h[picked]
    found = getattr(MF, f"{kind}_cell")(x[picked], state, *weights_of(module))
    found = found if kind == "lstm" else (found,)
    assert same_bits(found[0], output[0][picked])
    for mine, theirs in zip(found, states, strict=True):
        assert same_bits(mine, theirs[0][picked])


def test_choice_of_derivatives() -> None:
    torch.manual_seed(6)
    module = nn.GRU(3, 4)
    x, h = torch.randn(3, 2, 3, requires_grad=True), torch.randn(1, 2, 4)

    def grad(**options: Any) -> Tensor:
        return torch.autograd.grad(call("gru", module, x, h, h, **options)[0].sum(), x)[0]

    mixed = grad(derivative=("exact", "exact"))
    assert same_bits(mixed, grad(derivative="exact", cell_derivative="approximate"))
    assert not same_bits(mixed, grad(derivative="exact"))
    assert same_bits(grad(derivative="exact"), grad(derivative=("exact", "exact"), cell_derivative="exact"))


@pytest.mark.parametrize("kind", KINDS)
def test_exact_slopes_of_one_step(kind: str) -> None:
    torch.manual_seed(7)
    module = MODULES[kind](1, 1)
    h = torch.full((1, 1, 1), 0.3)
    x = torch.full((1, 1, 1), 0.71, requires_grad=True)
    step = 2.0**-12
    (found,) = torch.autograd.grad(call(kind, module, x, h, h, derivative="exact")[0], x, torch.ones(1, 1, 1))
    before, after = (call(kind, module, x.detach() + d, h, h)[0].double() for d in (-step, step))
    assert found.item() == pytest.approx((after - before).item() / (2 * step), rel=0.01, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype: torch.dtype) -> None:
    torch.manual_seed(8)
    module = nn.LSTM(3, 4, num_layers=2).to(dtype)
    x, h, c = torch.randn(5, 2, 3).to(dtype), torch.randn(2, 2, 4).to(dtype), torch.randn(2, 2, 4).to(dtype)
    found = call("lstm", module, x, h, c)
    wide = call("lstm", module.float(), x.float(), h.float(), c.float())
    assert all(same_bits(mine, theirs.to(dtype)) for mine, theirs in zip(found, wide, strict=True))


def test_reference_backend() -> None:
    torch.manual_seed(9)
    for kind in KINDS:
        module = MODULES[kind](3, 4)
        x, h, c = torch.randn(3, 2, 3, requires_grad=True), torch.randn(1, 2, 4), torch.randn(1, 2, 4)
        results = []
        for name in ("reference", "cpu"):
            with mf.backend(name):
                output = call(kind, module, x, h, c, derivative="exact")[0]
                results.append([output, *torch.autograd.grad(output.sum(), [x, *module.parameters()])])
        assert all(map(same_bits, *results))


POINTS = torch.tensor(
    [0.0, -0.0, 1e-20, 0.3, -0.3, 1.7, -2.9, 40.0, -88.5, 3e38, -3e38, torch.inf, -torch.inf, torch.nan]
)


def sigmoid(x: int) -> int:
    exponent = scalar.mul(scalar.negate(x), LOG2E)
    bound = scalar.bits(127.0)
    if not scalar.is_nan(exponent) and scalar.value(exponent) > 127.0:
        exponent = bound
    return scalar.div(ONE, scalar.add(ONE, scalar.exp2(exponent)))


def tanh(x: int) -> int:
    size = x & 0x7FFFFFFF
    e = rows.exp(scalar.negate(scalar.add(size, size)))
    result = scalar.div(scalar.add(ONE, scalar.negate(e)), scalar.add(ONE, e))
    return result if scalar.is_nan(result) else result | (x & 0x80000000)


@pytest.mark.parametrize("name", ["reference", "cpu"])
def test_gates_are_those_of_the_law(name: str) -> None:
    backend = named(name)
    assert words(gates.sigmoid(backend, POINTS)) == [sigmoid(x) for x in words(POINTS)]
    assert words(gates.tanh(backend, POINTS)) == [tanh(x) for x in words(POINTS)]
    assert same_bits(gates.tanh(backend, floats([0x80000000])), floats([0x80000000]))


W = [torch.zeros(16, 3), torch.zeros(16, 4), torch.zeros(16), torch.zeros(16)]
X, H = torch.zeros(5, 2, 3), torch.zeros(1, 2, 4)
REST = (True, 1, 0.0, False, False, False)
BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: MF.lstm(X, [H, H], W[:3], *REST), RuntimeError, "expected 4 parameters, got 3"),
    (lambda: MF.lstm(X[0], [H, H], W, *REST), RuntimeError, "3 dimensions"),
    (lambda: MF.lstm(X, [H[0], H], W, *REST), RuntimeError, r"h0 must be \(1, 2, size\)"),
    (lambda: MF.lstm(X, [H.half(), H], W, *REST), TypeError, "h0 must be"),
    (lambda: MF.gru(X, H, W, *REST), RuntimeError, "must have 3"),
    (lambda: MF.lstm(X[:0], [H, H], W, *REST), RuntimeError, "at least one step"),
    (lambda: MF.lstm(X, [H, H], W), TypeError, "takes input, hx"),
    (lambda: MF.lstm(X, [H, H], W, *REST, True), TypeError, "takes 9 arguments"),
    (lambda: MF.lstm(X.double(), [H.double(), H.double()], W, *REST), TypeError, "float32"),
    (lambda: MF.lstm(X, [H, H], W, *REST, derivative="both"), ValueError, "derivative"),
    (lambda: MF.lstm(X, [H, H], [w.half() for w in W], *REST), TypeError, "weights must be"),
    (lambda: MF.gru_cell(X[0], H[0].half(), *W), TypeError, "like the input"),
]


@pytest.mark.parametrize(("function", "error", "message"), BAD, ids=[case[2] for case in BAD])
def test_errors(function: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        function()
