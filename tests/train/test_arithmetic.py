"""What an arithmetic stands for."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

import mulfree as mf
from mulfree.train.arithmetic import Arithmetic, Derivatives


def test_policies() -> None:
    assert Arithmetic(policy="full").conversion() == mf.Policy.full()
    assert Arithmetic(policy="standard").conversion().is_standard
    matmul = Arithmetic(policy="matmul", mantissa_bits=4, compensation=1.0625).conversion()
    assert [matmul.matmul.on, matmul.softmax.on, matmul.loss.on] == [True, False, False]
    assert (matmul.matmul.mantissa_bits, matmul.matmul.compensation) == (4, 1.0625)


def test_single_parts_and_derivatives() -> None:
    """The rows of table 3."""
    softmax = Arithmetic(parts=("softmax",), derivative=Derivatives(softmax="exact"))
    policy = softmax.conversion()
    assert (policy.softmax.on, policy.softmax.derivative, policy.matmul.on) == (True, "exact", False)
    assert not softmax.multiplication_free
    assert not softmax.free_steps
    assert Arithmetic(parts=("optimizer",)).free_steps
    assert Arithmetic().multiplication_free


def test_labels_tell_arithmetics_apart() -> None:
    some = [
        Arithmetic(),
        Arithmetic(policy="matmul"),
        Arithmetic(policy="standard"),
        Arithmetic(parts=("softmax",)),
        Arithmetic(derivative=Derivatives(norm="exact")),
        Arithmetic(derivative=Derivatives(loss="approximate")),
        Arithmetic(mantissa_bits=4),
        Arithmetic(compensation=1.0625),
    ]
    labels = {arithmetic.label for arithmetic in some}
    assert len(labels) == len(some)
    assert all(set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789+-_.") for label in labels)


def test_the_share_of_an_item() -> None:
    cpu = torch.device("cpu")
    assert float(Arithmetic(policy="standard").reciprocal(3, cpu)) == pytest.approx(1 / 3)
    assert float(Arithmetic().reciprocal(3, cpu)) == 0.375  # 1 / 3 by PAD
    assert float(Arithmetic().reciprocal(64, cpu)) == 1 / 64


def test_criteria_are_converted() -> None:
    x, labels, shares = torch.randn(6, 5), torch.randint(5, (6,)), torch.rand(6, 5)
    for target, options in ((labels, {"ignore_index": 2}), (shares, {})):
        plain = nn.CrossEntropyLoss(reduction="sum", label_smoothing=0.1, **options)
        criterion = Arithmetic().converted(nn.CrossEntropyLoss(reduction="sum", label_smoothing=0.1, **options))
        x.requires_grad_()
        with mf.audit() as audit:
            loss = criterion(x, target)
            loss.backward(torch.tensor(0.25))
        assert audit.findings == (), str(audit)
        assert loss.item() == pytest.approx(plain(x, target).item(), rel=0.12)


def test_values_are_checked() -> None:
    with pytest.raises(ValidationError):
        Arithmetic(mantissa_bits=0)
    with pytest.raises(ValidationError):
        Arithmetic(parts=("matmuls",))  # type: ignore[arg-type]
