"""Mantissa bits of the forward and of the backward pass alone (appendix D), against products of narrowed operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import mulfree.functional as MF
from mulfree import Policy, convert
from mulfree.backends import reference_words as word
from mulfree.backends.reference_formats import shorten, widen
from mulfree.ops.precision import backward_bits, forward_bits, packed
from mulfree.policy import Products

PAIRS = [(4, 23), (23, 4), (3, 7), (5, 5)]


def narrow(x: Tensor, bits: int) -> Tensor:
    return shorten(word.narrow(widen(x.detach()), bits), torch.float32)


def gradients(function: Callable[..., Tensor], *operands: Tensor, grad: Tensor) -> tuple[Tensor, ...]:
    leaves = [x.detach().clone().requires_grad_() for x in operands]
    result = function(*leaves)
    return result.detach(), *torch.autograd.grad(result, leaves, grad)


@pytest.mark.parametrize("forward", range(1, 24))
def test_a_pair_survives_packing(forward: int) -> None:
    for backward in range(1, 24):
        number = packed(forward, backward)
        assert (forward_bits(number), backward_bits(number)) == (forward, backward)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("derivative", ["approximate", "exact"])
@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (MF.matmul, [(5, 7), (7, 3)]),
        (MF.matmul, [(2, 5, 7), (7, 3)]),
        (MF.linear, [(4, 7), (3, 7)]),
        (MF.conv2d, [(2, 3, 6, 5), (4, 3, 3, 2)]),
        (MF.conv_transpose2d, [(2, 3, 6, 5), (3, 4, 3, 2)]),
    ],
)
def test_each_pass_reads_its_own_bits(
    function: Callable[..., Tensor], shapes: list[tuple[int, ...]], derivative: Any, pair: tuple[int, int]
) -> None:
    """The result is that of the forward bits in both passes, the gradients those of the backward bits in both."""
    torch.manual_seed(0)
    a, b = (torch.randn(shape) for shape in shapes)
    grad = torch.randn(function(a, b).shape)
    forward, backward = pair

    def run(bits: Any) -> tuple[Tensor, ...]:
        return gradients(lambda x, y: function(x, y, derivative=derivative, mantissa_bits=bits), a, b, grad=grad)

    result, *grads = run(pair)
    assert torch.equal(result, function(narrow(a, forward), narrow(b, forward)))
    assert all(torch.equal(found, wanted) for found, wanted in zip(grads, run(backward)[1:], strict=True))
    if forward != backward:
        assert not all(torch.equal(found, other) for found, other in zip(grads, run(forward)[1:], strict=True))


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("pair", PAIRS)
def test_attention_computes_its_scores_again_with_the_bits_of_the_forward_pass(
    pair: tuple[int, int], keep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not keep:
        monkeypatch.setattr("mulfree.functional._attention.KEPT", 0)
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 5, 8) for _ in range(3))
    grad = torch.randn(2, 5, 8)

    def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return MF.scaled_dot_product_attention(q, k, v, scale=0.25, mantissa_bits=pair)

    def single(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = MF.matmul(q, k.mT, mantissa_bits=pair, compensation=0.25)
        return MF.matmul(MF.softmax(scores, -1), v, mantissa_bits=pair)

    found, wanted = (gradients(f, query, key, value, grad=grad) for f in (fused, single))
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_recurrent_layers() -> None:
    torch.manual_seed(0)
    x, forward, backward = torch.randn(4, 2, 3), 4, 9
    layer = torch.nn.LSTM(3, 5)

    def run(bits: Any) -> tuple[Tensor, Tensor]:
        copy = torch.nn.LSTM(3, 5)
        copy.load_state_dict(layer.state_dict())
        convert(copy, Policy(matmul=Products(mantissa_bits=bits)))
        out, _ = copy(x)
        out.sum().backward()
        assert copy.weight_hh_l0.grad is not None
        return out.detach(), copy.weight_hh_l0.grad

    result, grad = run((forward, backward))
    assert torch.equal(result, run(forward)[0])
    assert not torch.equal(grad, run(forward)[1])
    assert torch.equal(run((backward, backward))[1], run(backward)[1])


@pytest.mark.parametrize("bits", [0, 24, -1, (4, 0), (24, 4), (4, 4, 4), 1047])
def test_other_numbers_are_refused(bits: Any) -> None:
    with pytest.raises(ValueError, match="mantissa_bits must be 1 to 23, or a pair of such numbers"):
        MF.matmul(torch.ones(2, 2), torch.ones(2, 2), mantissa_bits=bits)
    with pytest.raises(ValueError, match="mantissa_bits"):
        Products(mantissa_bits=bits)
