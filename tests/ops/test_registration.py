"""Every operation passes torch's own check of schema, fake, autograd and tracing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import mulfree.functional  # noqa: F401 (registers the operations)
from mulfree.backends.contract import Backend
from mulfree.numerics import scalar
from mulfree.ops.registry import library

ONE = scalar.bits(1.0)


def tensor(*shape: int, grad: bool = False, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(len(shape))
    return (torch.rand(shape, generator=generator) + 0.5).to(dtype).requires_grad_(grad)


def convolutions() -> list[tuple[str, tuple[Any, ...]]]:
    x, weight, bias = tensor(2, 4, 5, 6, grad=True), tensor(6, 2, 3, 3, grad=True), tensor(6, grad=True)
    dense = tensor(2, 6, 3, 6, grad=True)
    window = ([2, 1], [1, 1], [1, 1], 2)
    plain = x.detach(), weight.detach(), dense.detach()
    return [
        ("convolution", (x, weight, bias, *window, [3, 6], 23, 0, False, True)),
        ("convolution", (x, weight, None, *window, [3, 6], 7, 9, True, False)),
        ("convolution_transposed", (dense, weight, tensor(4, grad=True), *window, [5, 6], 23, 0, False, False)),
        ("convolution_transposed", (dense, weight, None, *window, [6, 6], 23, 0, True, True)),
        ("convolution_weight", (dense, x, *window, [3, 3], 23, 0)),
        ("convolution_slope", (plain[0], plain[1], plain[2], *window, 23, 0)),
        ("convolution_transposed_slope", (plain[2], plain[1], plain[0], *window, 23, 0)),
        ("convolution_weight_slope", (plain[2], plain[0], plain[1], *window, 23, 0, False)),
    ]


def recurrent() -> list[tuple[str, tuple[Any, ...]]]:
    """An LSTM with a projection on a packed batch, a GRU backwards."""
    h, numbers = tensor(2, 2, grad=True), ((2, 2, 1), False, 23, 0, False, True, True)
    lstm = tensor(5, 12, grad=True), h, tensor(2, 3, grad=True), tensor(12, 2, grad=True), None, tensor(2, 3, grad=True)
    state = tensor(2, 4, grad=True)
    gru = tensor(6, 12, grad=True), state, state.detach(), tensor(12, 4, grad=True), tensor(12, grad=True), None
    plain = tensor(5, 12), tensor(12, 2), tensor(2, 3), tensor(5, 12), tensor(5, 2), tensor(5, 3)
    return [
        ("recurrent", (*lstm, 0, *numbers)),
        ("recurrent", (*gru, 1, (2, 2, 2), True, 9, 5, False, False, False)),
        ("recurrent_grad", (tensor(5, 2), tensor(2, 2), tensor(2, 3), *plain, 0, *numbers)),
    ]


def samples() -> list[tuple[str, tuple[Any, ...]]]:
    x, row, grad = tensor(3, 5, grad=True), tensor(5, grad=True), tensor(3, 5)
    plain, target, stats = x.detach(), torch.tensor([1, -100, 4]), tensor(3, 2)
    half = tensor(3, 5, grad=True, dtype=torch.bfloat16)
    unary = [
        sample
        for name in Backend.UNARY
        for sample in ((name, (x, True)), (name, (half, False)), (f"{name}_grad", (grad, plain, False)))
    ]
    rows = [
        sample
        for name in ("softmax", "log_softmax", "logsumexp")
        for sample in (
            (name, (x, 1, False)),
            (name, (half, 0, True)),
            (f"{name}_grad", (tensor(3) if name == "logsumexp" else grad, plain, stats, 1, False)),
        )
    ]
    a, b = tensor(2, 3, 4, grad=True), tensor(4, 5, grad=True)
    weight, bias = tensor(6, 4, grad=True), tensor(6, grad=True)
    heads = tensor(2, 5, 4, grad=True), tensor(2, 7, 4, grad=True), tensor(2, 7, 6, grad=True)
    plain_heads, scores = tuple(head.detach() for head in heads), tensor(0)
    settings = (7, 0, 9, True, False, True, False)
    rest = (0, 0, True, *settings)
    params = [plain, row.detach()]
    states = [[grad.clone(), tensor(5)] for _ in range(5)]
    return [
        ("mul", (x, row, 0, False, True)),
        ("mul", (half, torch.tensor(2.0), 7, True, False)),
        *recurrent(),
        ("mul_grad", (grad, x, row, 0)),
        ("div", (x, row, True, False)),
        ("div", (half, half, False, False)),
        ("div_grad_numerator", (grad, x, row)),
        ("div_grad_denominator", (grad, x, row, True)),
        ("div_grad_denominator", (grad, plain, row.detach(), False)),
        *unary,
        ("attention", (*heads, None, None, 0, 0, True, 23, 0, 0, False, True, False, True)),
        ("attention", (*heads, tensor(5, 7, grad=True), torch.tensor([3]), 1 << 30, ONE, False, *settings)),
        ("attention_grad", (tensor(2, 5, 6), scores, *plain_heads, None, None, *rest, [True, False, True, True])),
        ("abs", (x,)),
        *((name, (x, row)) for name in ("maximum", "minimum", "fmax", "fmin")),
        ("maximum", (half, torch.tensor(1.0))),
        *(
            (name, (tensor(2, 3, 4, grad=True), [0, 2], keepdim))
            for name in ("amax", "amin")
            for keepdim in (True, False)
        ),
        ("batch_norm", (tensor(2, 3, 4, grad=True), tensor(3, grad=True), tensor(3, grad=True), 1e-5, False)),
        ("batch_norm", (tensor(2, 3, 4, grad=True, dtype=torch.bfloat16), tensor(3, grad=True), None, 1e-5, True)),
        ("batch_norm_grad", (tensor(2, 3, 4), tensor(2, 3, 4), None, tensor(3, 4), False)),
        ("dropout", (x, torch.tensor([5]), 1 << 31, ONE)),
        ("dropout", (half, torch.tensor([5]), 1 << 30, ONE)),
        ("sum", (tensor(2, 3, 4, grad=True), [0, 2], False)),
        ("sum", (half, [1], True)),
        ("matmul", (a, b, 23, 0, False, False)),
        ("matmul", (a, tensor(1, 4, 5, grad=True), 4, 9, True, True)),
        ("matmul", (tensor(3, 4, dtype=torch.float16), tensor(4, 2, dtype=torch.float16), 23, 0, False, False)),
        ("matmul_grad", (plain, tensor(5, 2), tensor(3, 2), 23, 0)),
        ("linear", (a, weight, bias, 23, 0, False, True)),
        ("linear", (tensor(3, 4), weight, None, 7, 0, True, False)),
        *convolutions(),
        *rows,
        ("cross_entropy", (x, target, -100, 0.1, True)),
        ("cross_entropy_grad", (tensor(3), plain, target, stats, -100, 0.1, False)),
        ("class_entries", (x, target, -100)),
        ("divide_gradient", (x, tensor(3, 1))),
        ("window_sum", (tensor(2, 5, 5, grad=True), [0, 1, 3, 0, 2], [2, 4, 5, 2, 4], [3, 2])),
        ("window_sum", (half, [0], [5], [1])),
        ("spread", (tensor(2, 3, grad=True), [0, 0, 2, 2], [4])),
        ("layer_norm", (x, row, tensor(5, grad=True), 1, 1e-5, False)),
        ("layer_norm", (tensor(2, 3, 4, grad=True), None, None, 2, 1e-5, True)),
        ("layer_norm_grad", (grad, plain, row.detach(), stats, 1, False)),
        ("adamw_", (params, *states[:3], *[ONE] * 7)),
        ("adam_", (params, *states[:4], *[ONE] * 8)),
        ("adam_", (params, *states[:3], [], *[ONE] * 8)),
        ("sgd_", (params, *states[:2], *[ONE] * 4, True)),
        ("sgd_", (params, states[0], [], *[ONE] * 4, False)),
        ("rmsprop_", (params, *states[:4], *[ONE] * 5)),
        ("rmsprop_", (params, *states[:2], [], [], *[ONE] * 5)),
        ("lion_", (params, *states[:2], *[ONE] * 4)),
        ("moving_average_", (params, states[0], ONE)),
    ]


@pytest.mark.parametrize(("name", "args"), samples(), ids=lambda x: x if isinstance(x, str) else "")
def test_opcheck(name: str, args: tuple[Any, ...]) -> None:
    torch.library.opcheck(getattr(torch.ops.mulfree, name).default, args)


def test_every_operation_is_checked() -> None:
    registered = {name.removeprefix("mulfree::").partition("/")[0] for name in library._op_defs}
    assert {name.partition(".")[0] for name in registered} == {name for name, _ in samples()}
