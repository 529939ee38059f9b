"""How much arithmetic a layer stands for, beside a count of another kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import mulfree as mf
import mulfree.functional as MF
from mulfree.audit import Work
from mulfree.audit.entries import ENTRIES, ROWS


def work_of(call: Callable[[], object]) -> Work:
    with mf.audit() as found:
        call()
    assert not found.report.uncounted
    assert found.multiplications == 0
    return found.work


def works_of(function: Callable[..., Tensor], *operands: Tensor) -> tuple[Work, Work]:
    """In the forward and in the backward pass."""
    leaves = [x.clone().requires_grad_() for x in operands]
    results: list[Tensor] = []
    forward = work_of(lambda: results.append(function(*leaves)))
    return forward, work_of(lambda: results[0].backward(torch.ones_like(results[0])))


def products(count: int) -> Work:
    return Work(products=count, additions=count, replaced=count)


CONVOLUTIONS = [
    ("conv2d", {"stride": 2, "padding": (1, 2), "dilation": (2, 1), "groups": 2}, (6, 2)),
    ("conv2d", {"padding": "same"}, (6, 4)),
    ("conv_transpose2d", {"stride": (3, 1), "padding": 1, "output_padding": (1, 0), "groups": 2}, (4, 3)),
    ("conv_transpose2d", {"stride": 2, "padding": 2, "dilation": 2}, (4, 3)),
]


@pytest.mark.filterwarnings("ignore:Using padding=.same")
@pytest.mark.parametrize("derivative", ["approximate", "exact"])
@pytest.mark.parametrize(("name", "settings", "channels"), CONVOLUTIONS)
def test_convolutions_count_the_products_within_the_input(
    name: str, settings: dict[str, object], channels: tuple[int, int], derivative: str
) -> None:
    """Of ones, a convolution is the number of its products; each derivative has as many."""
    x, weight = torch.ones(2, 4, 7, 6), torch.ones(*channels, 3, 2)
    count = int(getattr(F, name)(x, weight, **settings).sum())
    function = getattr(MF, name)
    forward, backward = works_of(lambda a, b: function(a, b, derivative=derivative, **settings), x, weight)
    assert forward == products(count)
    assert backward == products(2 * count)


def test_a_bias_is_added_to_every_result() -> None:
    found = work_of(lambda: MF.conv1d(torch.ones(1, 1, 4), torch.ones(2, 1, 3), torch.ones(2)))
    assert found == products(12) + Work(additions=4)


def _composed(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return MF.matmul(MF.softmax(MF.matmul(query, key.mT), -1), value)


def test_attention_is_its_composition() -> None:
    q, k, v = torch.rand(2, 3, 5, 4), torch.rand(2, 3, 6, 4), torch.rand(2, 3, 6, 7)
    scores, queries = 2 * 3 * 5 * 6, 2 * 3 * 5
    forward, backward = works_of(MF.scaled_dot_product_attention, q, k, v)
    expected_forward, expected_backward = works_of(_composed, q, k, v)
    assert forward == expected_forward + Work(replaced=scores)  # the scale of the scores
    again = ROWS["softmax"][0].times(scores) + ROWS["softmax"][1].times(queries)
    assert backward == expected_backward + again  # so few scores are kept, the weights are not


def test_masks_are_added_and_dropout_is_a_product() -> None:
    q, k, v = torch.rand(2, 5, 4), torch.rand(2, 6, 4), torch.rand(2, 6, 7)
    plain = works_of(MF.scaled_dot_product_attention, q, k, v)
    masked = works_of(lambda *x: MF.scaled_dot_product_attention(*x, attn_mask=torch.zeros(5, 6)), q, k, v)
    dropped = works_of(lambda *x: MF.scaled_dot_product_attention(*x, dropout_p=0.5), q, k, v)
    scores = 2 * 5 * 6
    assert masked[0] == plain[0] + Work(additions=scores)
    assert dropped[0] == plain[0] + ENTRIES["dropout"].times(scores)
    assert masked[1] == plain[1]
    assert dropped[1] == plain[1] + ENTRIES["dropout"].times(2 * scores)


def _lstm_step(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """A step after its matrix products; torch adds, the rest is counted."""
    i, f, g, o = gates.chunk(4, 1)
    c = MF.mul(MF.sigmoid(f), c) + MF.mul(MF.sigmoid(i), MF.tanh(g))
    return MF.mul(MF.sigmoid(o), MF.tanh(c)), c


def test_a_recurrent_layer_is_its_steps() -> None:
    batch, steps, features, cells = 2, 3, 5, 4
    layer = mf.convert(nn.LSTM(features, cells))
    x, gates = torch.rand(steps, batch, features), torch.rand(batch, 4 * cells, requires_grad=True)
    with mf.audit() as found:
        out = layer(x)[0]
    c = torch.rand(batch, cells, requires_grad=True)
    one = work_of(lambda: _lstm_step(gates, c))
    matrices = products(steps * batch * 4 * cells * (features + cells))
    added = Work(additions=steps * batch * (2 * 4 * cells + 5 * cells))  # two biases; the sums in a cell
    assert found.work == matrices + one.times(steps) + added
    with mf.audit() as backward:
        out.backward(torch.ones_like(out))
    y, _ = _lstm_step(gates, c)
    by_step = work_of(lambda: y.backward(torch.ones_like(y)))
    by_weight_and_hidden = products(steps * batch * 4 * cells * (features + 2 * cells))
    sums = Work(additions=steps * batch * (2 * 4 * cells + cells + 6 * cells))
    again = one.times(steps)  # the values of the cells are computed again
    assert backward.work == by_weight_and_hidden + by_step.times(steps) + sums + again


@pytest.mark.parametrize(("kind", "per_cell"), [(nn.GRU, 5), (nn.RNN, 1)])
def test_other_cells(kind: type[nn.Module], per_cell: int) -> None:
    layer = mf.convert(kind(3, 2, bias=False))
    x = torch.rand(4, 1, 3)
    found = work_of(lambda: layer(x))
    gates = 3 if kind is nn.GRU else 1
    cell = ENTRIES["tanh"]
    if kind is nn.GRU:
        cell += ENTRIES["sigmoid"].times(2) + ENTRIES["mul"].times(2)
    assert found == products(4 * gates * 2 * (3 + 2)) + cell.times(8) + Work(additions=8 * per_cell)


def test_batch_norm_is_layer_norm_of_its_channels() -> None:
    x, weight, bias = torch.rand(4, 3, 5), torch.rand(3), torch.rand(3)
    channels = works_of(lambda x, w, b: MF.batch_norm(x, None, None, w, b, True), x, weight, bias)
    rows = works_of(lambda x, w, b: MF.layer_norm(x, (20,), w, b), torch.rand(3, 20), torch.rand(20), torch.rand(20))
    unbiased_variance = ENTRIES["div"].times(3)
    assert channels == (rows[0] + unbiased_variance, rows[1])


def test_windows_count_their_terms() -> None:
    x = torch.ones(2, 3, 5)
    counts = work_of(lambda: MF.adaptive_avg_pool1d(x, 3))  # windows of 2, 3 and 2 terms
    assert counts == Work(additions=2 * 3 * 7, quotients=2 * 3 * 3, replaced=2 * 3 * 3)


def test_selections_are_no_work() -> None:
    x = torch.rand(2, 3)
    for call in (MF.abs, MF.amax, lambda x: MF.maximum(x, x), lambda x: MF.interpolate(x[None], 6)):
        assert work_of(lambda call=call: call(x)) == Work()  # type: ignore[misc]


@pytest.mark.parametrize(
    ("make", "products_of_each"),
    [
        (lambda p: mf.optim.SGD(p, 0.1), 1),
        (lambda p: mf.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1, nesterov=True), 5),
        (lambda p: mf.optim.Adam(p, weight_decay=0.1, amsgrad=True), 8),
        (lambda p: mf.optim.RMSprop(p, centered=True, momentum=0.9), 8),
        (mf.optim.Lion, 6),
    ],
)
def test_settings_of_optimizers_count(
    make: Callable[[list[nn.Parameter]], torch.optim.Optimizer], products_of_each: int
) -> None:
    parameter = nn.Parameter(torch.ones(2, 3))
    parameter.grad = torch.ones(2, 3)
    optimizer = make([parameter])
    assert work_of(optimizer.step).products == 6 * products_of_each
