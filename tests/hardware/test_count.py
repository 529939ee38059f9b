"""The counts of a step and of an inference, against the shapes and against the multiplications of standard training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import mulfree
import mulfree.functional as MF
from mulfree.audit import Audit, Work, audit
from mulfree.hardware import Traffic, inference, training_step
from mulfree.hardware.count import counting
from mulfree.recipes import Recipe, changed, load, parse
from mulfree.train import ConfigError, Trainer
from tests.tiny_recipe import TINY


def _trainer(recipe: Recipe, **changes: Any) -> Trainer:
    new = changed(recipe, {key.replace("__", "."): value for key, value in changes.items()})
    task = new.make_task()
    return Trainer(task, new.arithmetic, new.optimizer, new.schedule, new.training, torch.device("cpu"))


def _tiny(**changes: Any) -> Trainer:
    return _trainer(parse("tiny", TINY), **changes)


def test_a_step_has_all_phases_and_the_work_of_the_audit() -> None:
    step = training_step(_tiny(optimizer__clip_norm=1.0))
    assert list(step.phases) == ["forward", "backward", "clipping", "optimizer"]
    trainer = _tiny(optimizer__clip_norm=1.0)
    seen = Audit()
    next(trainer.steps(lambda _: seen))
    assert step.total.work == seen.work
    assert step.total.multiplications == seen.multiplications == 0
    assert step.items == 8
    assert all(type(number) is int for number in (step.total.all_additions, step.total.traffic.numbers))


def test_accumulation_adds_up() -> None:
    one, three = training_step(_tiny()), training_step(_tiny(training__accumulate=3))
    assert three.items == 3 * one.items
    assert three.phases["forward"].work == one.phases["forward"].work.times(3)
    assert three.phases["optimizer"] == one.phases["optimizer"]


def test_an_inference_is_the_forward_pass_without_dropout_and_loss() -> None:
    trainer = _tiny()
    found = inference(trainer)
    assert trainer.model.training
    assert (list(found.phases), found.items) == (["forward"], 8)
    images = trainer.task.batches(0, 0)[0][0]
    trainer.model.eval()
    with torch.no_grad(), audit() as seen:
        trainer.model(images)
    assert found.total.work == seen.work
    assert all(p.grad is None for p in trainer.model.parameters())


def test_no_step_is_left() -> None:
    trainer = _tiny(training__steps=1, schedule__warmup_steps=0)
    training_step(trainer)
    with pytest.raises(ConfigError, match="none of its 1 steps is left"):
        training_step(trainer)


def test_additions_of_torch() -> None:
    x, table = torch.ones(4, 3, requires_grad=True), nn.Embedding(10, 3)
    with counting() as found:
        y = x + torch.ones(3) - 1.0
        (y.sum() + table(torch.tensor([1, 2])).sum()).backward()
        torch.arange(5) + torch.arange(5)  # integers
    assert found["forward"].additions == 12 + 12 + 12 + 6 + 1
    assert found["backward"].additions == 6
    assert found["forward"].work == Work()


def test_traffic_of_a_product() -> None:
    with counting() as found:
        MF.matmul(torch.ones(5, 3), torch.ones(3, 7))
    assert found["forward"].traffic == Traffic(numbers=5 * 3 + 3 * 7 + 5 * 7)
    assert found["forward"].traffic.bytes(2) == 2 * 71


def test_what_is_expanded_is_read_once() -> None:
    with counting() as found:
        MF.mul(torch.ones(1, 3).expand(4, 3), torch.ones(4, 3))
    assert found["forward"].traffic == Traffic(numbers=3 + 12 + 12)


def test_traffic_of_integers_and_optimizers_has_the_same_size_in_any_format() -> None:
    scores, labels = torch.ones(4, 3), torch.tensor([0, 1, 2, 0])
    with counting() as found, torch.no_grad():
        MF.cross_entropy(scores, labels)
    assert found["forward"].traffic.fixed >= 4 * 8
    parameter = nn.Parameter(torch.ones(6))
    parameter.grad = torch.ones(6)
    optimizer = mulfree.optim.SGD([parameter], lr=0.1)
    with counting() as found:
        optimizer.step()
    traffic = found["optimizer"].traffic
    assert traffic == Traffic(numbers=0, fixed=4 * (6 + 6 + 6))  # parameters and gradients read, parameters written


_PRODUCTS = ("aten::mm.", "aten::addmm.", "aten::bmm.")


def test_the_standard_step_makes_the_multiplications_that_are_said_to_be_replaced() -> None:
    """Sums of products agree exactly. Beside them the audit of standard training estimates one multiplication for each
    entry of an operation, where the count of what is replaced has the formulas: 7 for GELU and 15 for its derivative,
    and so on (docs/cost.md)."""
    digits = load("digits")
    standard = Audit()
    next(_trainer(digits, arithmetic__policy="standard").steps(lambda _: standard))
    products = sum(x.multiplications for x in standard.findings if x.op.startswith(_PRODUCTS))
    matmul = training_step(_trainer(digits, arithmetic__policy="matmul")).total
    assert matmul.work.replaced == matmul.work.products == products
    # The scale of the attention's scores is not left: it is a shift within the product.
    assert matmul.multiplications == pytest.approx(standard.multiplications - products, rel=0.1)
    full = training_step(_trainer(digits)).total
    assert full.work.replaced == pytest.approx(standard.multiplications, rel=0.04)
    assert full.work.replaced - products < 0.06 * products
