"""SGD, Adam, RMSprop and Lion: the law's bits, torch's state dicts, groups, layouts, errors; and training."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import mulfree as mf
import mulfree.functional as MF
from mulfree.numerics import optimizers, scalar
from mulfree.numerics.formats import ONE
from mulfree.optim import SGD, Adam, AdamW, CosineAnnealingLR, Lion, RMSprop
from tests.ops.support import same_bits, words

Optimizer = Callable[..., torch.optim.Optimizer]
START = torch.tensor([0.5, -1.25, 3.0, 1e-3, 0.0])
GRADS = [
    torch.tensor([0.1, -0.7, 1e-6, 2.0, -0.0]),
    torch.tensor([-0.3, -0.2, 0.0, 1.0, 1e-20]),
    torch.tensor([1.0, 2.0, 3.0, 4.0, -5.0]),
]
bits = scalar.bits


def run(make: Optimizer, **options: Any) -> tuple[torch.nn.Parameter, torch.optim.Optimizer]:
    p = torch.nn.Parameter(START.clone())
    optimizer = make([p], **options)
    for grad in GRADS:
        p.grad = grad.clone()
        optimizer.step()
    return p, optimizer


def follow(law: Callable[[int, tuple[int, ...]], tuple[int, ...]], state: int, maximize: bool = False) -> list[int]:
    """Parameters after the steps of ``law(step, (param, grad, *state))``, from ``state`` zeros."""
    each = [(word, *[0] * state) for word in words(START)]
    for step, grad in enumerate(GRADS, 1):
        each = [
            law(step, (param, g, *rest))
            for (param, *rest), g in zip(each, words(-grad if maximize else grad), strict=True)
        ]
    return [param for param, *_ in each]


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_decay": 0.1},
        {"momentum": 0.9},
        {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01},
        {"momentum": 0.9, "nesterov": True},
    ],
    ids=str,
)
def test_sgd_is_the_law(options: dict[str, Any], maximize: bool) -> None:
    p, _ = run(SGD, lr=0.1, maximize=maximize, **options)

    def law(step: int, state: tuple[int, ...]) -> tuple[int, ...]:
        rest = ONE if step == 1 else scalar.add(ONE, scalar.negate(bits(options.get("dampening", 0.0))))
        return optimizers.sgd(
            state,  # type: ignore[arg-type]
            lr=bits(0.1),
            momentum=bits(options.get("momentum", 0.0)),
            rest=rest,
            weight_decay=bits(options.get("weight_decay", 0.0)),
            nesterov=options.get("nesterov", False),
        )

    assert words(p) == follow(law, 1, maximize)


@pytest.mark.parametrize("kind", [Adam, AdamW])
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_is_the_law(kind: Optimizer, amsgrad: bool, weight_decay: float) -> None:
    p, _ = run(kind, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=weight_decay, amsgrad=amsgrad)
    lr, decay = bits(0.01), bits(weight_decay)
    decoupled = kind is AdamW
    expected = follow(
        lambda step, state: optimizers.adam(
            state,  # type: ignore[arg-type]
            lr=lr,
            beta1=bits(0.8),
            beta2=bits(0.95),
            eps=bits(1e-6),
            weight_decay=0 if decoupled else decay,
            decay=scalar.mul(lr, decay) if decoupled else 0,
            correction1=optimizers.adamw_correction(bits(0.8), step),
            correction2=optimizers.adamw_correction(bits(0.95), step),
            amsgrad=amsgrad,
        ),
        3,
    )
    assert words(p) == expected


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_rmsprop_is_the_law(centered: bool, momentum: float) -> None:
    settings = {"lr": 0.01, "alpha": 0.9, "eps": 1e-6, "weight_decay": 0.1, "momentum": momentum}
    p, _ = run(RMSprop, centered=centered, **settings)
    scalars = {name: bits(number) for name, number in settings.items()}
    law = lambda step, state: optimizers.rmsprop(state, **scalars, centered=centered)  # noqa: E731
    assert words(p) == follow(law, 3)


def test_lion_is_the_law() -> None:
    p, optimizer = run(Lion, lr=0.01, betas=(0.8, 0.95), weight_decay=0.1)
    scalars = {"lr": bits(0.01), "beta1": bits(0.8), "beta2": bits(0.95), "decay": scalar.mul(bits(0.01), bits(0.1))}
    assert words(p) == follow(lambda step, state: optimizers.lion(state, **scalars), 1)  # type: ignore[arg-type]
    assert optimizer.state[p].keys() == {"exp_avg"}


PAIRS: list[tuple[Any, Any, dict[str, Any]]] = [
    (SGD, torch.optim.SGD, {"lr": 0.02}),
    (SGD, torch.optim.SGD, {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (Adam, torch.optim.Adam, {"lr": 0.02, "weight_decay": 0.1}),
    (Adam, torch.optim.Adam, {"amsgrad": True}),
    (AdamW, torch.optim.AdamW, {"lr": 0.02, "amsgrad": True}),
    (RMSprop, torch.optim.RMSprop, {"lr": 0.02}),
    (RMSprop, torch.optim.RMSprop, {"lr": 0.02, "centered": True, "momentum": 0.9}),
]
pairs = pytest.mark.parametrize(("ours", "theirs", "options"), PAIRS, ids=lambda x: getattr(x, "__name__", None))


@pairs
def test_constructors_are_torchs(ours: Any, theirs: Any, options: dict[str, Any]) -> None:
    mine, torchs = (inspect.signature(kind).parameters.values() for kind in (ours, theirs))
    assert [(p.name, p.kind, p.default) for p in mine] == [(p.name, p.kind, p.default) for p in torchs]


@pairs
@pytest.mark.parametrize("back", [False, True])
def test_state_dicts_go_both_ways(ours: Any, theirs: Any, options: dict[str, Any], back: bool) -> None:
    first, second = (ours, theirs) if back else (theirs, ours)
    p, before = run(first, **options)
    q = torch.nn.Parameter(p.detach().clone())
    after = second([q])
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    assert before.param_groups[0].keys() == after.param_groups[0].keys()
    assert after.state_dict()["state"].keys() == before.state_dict()["state"].keys()
    for name, value in before.state[p].items():
        if value is not None:
            assert same_bits(after.state[q][name], value)
    again = first([r := torch.nn.Parameter(p.detach().clone())])
    again.load_state_dict(copy.deepcopy(after.state_dict()))
    for parameter, optimizer in ((p, before), (r, again), (q, after)):
        parameter.grad = GRADS[0].clone()
        optimizer.step()
    assert same_bits(p, r)
    assert torch.allclose(p, q, rtol=0, atol=0.1)


@pytest.mark.parametrize("fused", [True, False])
def test_a_state_of_any_implementation_fits(fused: bool) -> None:
    _, before = run(torch.optim.Adam, fused=fused, foreach=not fused)
    _, after = run(Adam)
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    assert not after.param_groups[0]["fused"]
    assert not after.param_groups[0]["foreach"]


KINDS: list[tuple[Any, dict[str, Any]]] = [
    (SGD, {"lr": 0.1, "momentum": 0.9}),
    (Adam, {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True}),
    (RMSprop, {"lr": 0.1, "centered": True, "momentum": 0.5}),
    (Lion, {"lr": 0.1}),
]
kinds = pytest.mark.parametrize(("kind", "options"), KINDS, ids=lambda x: getattr(x, "__name__", ""))


@kinds
def test_layouts(kind: Optimizer, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    whole = torch.nn.Parameter(torch.randn(3, 4))
    turned = torch.nn.Parameter(whole.detach().t().contiguous().t())
    sliced = torch.nn.Parameter(torch.zeros(3, 8)[:, ::2].copy_(whole.detach()))
    assert not turned.is_contiguous()
    grads = torch.randn(2, 3, 4)
    for p in (whole, turned, sliced):
        optimizer = kind([p], **options)
        for grad in (grads[0], grads[1].t().contiguous().t()):
            p.grad = grad.clone()
            optimizer.step()
    assert same_bits(whole, turned)
    assert same_bits(whole, sliced)


@kinds
def test_groups_rates_closures_and_missing_gradients(kind: Optimizer, options: dict[str, Any]) -> None:
    a, b, c = (torch.nn.Parameter(torch.ones(2)) for _ in range(3))
    optimizer = kind([{"params": [a], "lr": torch.tensor(0.5)}, {"params": [b, c], "lr": 0.0}], **options)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (a + b).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    assert optimizer.step(closure) == 4.0
    assert (a < 1.0).all()
    assert same_bits(b, torch.ones(2))
    assert c not in optimizer.state


def test_parameters_of_one_group_at_different_steps() -> None:
    """A parameter whose first gradient comes late starts as a new one does."""
    for kind, options in KINDS:
        a, b, alone = (torch.nn.Parameter(START.clone()) for _ in range(3))
        both, single = kind([a, b], **options), kind([alone], **options)
        a.grad = GRADS[0].clone()
        both.step()
        b.grad, alone.grad = GRADS[1].clone(), GRADS[1].clone()
        both.step()
        single.step()
        assert same_bits(b, alone)


@kinds
def test_bad_parameters_and_gradients(kind: Optimizer, options: dict[str, Any]) -> None:
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        with pytest.raises(TypeError, match=rf"float32, got {dtype}"):
            kind([torch.nn.Parameter(torch.ones(2, dtype=dtype))], **options)
    p = torch.nn.Parameter(torch.ones(4))
    optimizer = kind([p], **options)
    p.grad = torch.ones(4).to_sparse()
    with pytest.raises(RuntimeError, match="sparse"):
        optimizer.step()
    kind([torch.nn.Parameter(torch.ones(0))], **options).step()


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (SGD, {"lr": -1.0}, "lr"),
        (SGD, {"momentum": -1.0}, "momentum"),
        (SGD, {"nesterov": True}, "nesterov"),
        (SGD, {"momentum": 0.9, "dampening": 0.1, "nesterov": True}, "nesterov"),
        (SGD, {"fused": True}, "fused"),
        (SGD, {"differentiable": True}, "differentiable"),
        (Adam, {"betas": (1.0, 0.9)}, "betas"),
        (Adam, {"capturable": True}, "capturable"),
        (RMSprop, {"alpha": 1.5}, "alpha"),
        (RMSprop, {"alpha": -0.5}, "alpha"),
        (RMSprop, {"foreach": True}, "foreach"),
        (Lion, {"betas": (0.9,)}, "betas"),
        (Lion, {"weight_decay": -1.0}, "weight_decay"),
    ],
)
def test_bad_settings(kind: Optimizer, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(kind, **options)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (AdamW, {"lr": "x"}, "AdamW: lr must be a number, got 'x'"),
        (Adam, {"betas": 0.9}, "Adam: betas must be two numbers"),
        (Lion, {"betas": (0.9, "x")}, "Lion: betas must be two numbers"),
        (RMSprop, {"alpha": None}, "RMSprop: alpha must be a number, got None"),
        (SGD, {"dampening": "x"}, "SGD: dampening must be a number, got 'x'"),
    ],
)
def test_settings_of_a_wrong_type(kind: Optimizer, options: dict[str, Any], message: str) -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(TypeError, match=message):
        kind([parameter], **options)
    with pytest.raises(TypeError, match=message):
        kind([{"params": [parameter], **options}])
    with pytest.raises(TypeError, match="params must be parameters or groups of them, got 3"):
        kind(3)


def test_the_centered_form_survives_gradients_that_hardly_vary() -> None:
    """The variance is never negative, although the difference of PA averages would be."""
    p = torch.nn.Parameter(torch.zeros(200))
    optimizer = RMSprop([p], lr=1e-3, alpha=0.9, centered=True)
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        before = p.detach().clone()
        p.grad = torch.linspace(1.0, 4.0, 200) + 0.05 * torch.randn(200, generator=generator)
        optimizer.step()
        assert p.isfinite().all()
        assert (p - before).abs().amax() < 1.0
    assert optimizer.state[p]["square_avg"].isfinite().all()


def _problem(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(128, 6, generator=generator)
    return x, x @ torch.randn(6, 2, generator=generator) + 0.1 * torch.randn(128, 2, generator=generator)


def _train(make: Optimizer, options: dict[str, Any]) -> float:
    """The loss after 300 steps."""
    x, y = _problem(0)
    weight = torch.nn.Parameter(torch.zeros(2, 6))
    optimizer = make([weight], **options)
    for _ in range(300):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(x @ weight.t(), y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return float(torch.nn.functional.mse_loss(x @ weight.detach().t(), y))


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (SGD, torch.optim.SGD, {"lr": 0.1}),
        (SGD, torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}),
        (Adam, torch.optim.Adam, {"lr": 0.05, "weight_decay": 1e-4}),
        (Adam, torch.optim.Adam, {"lr": 0.05, "amsgrad": True}),
        (RMSprop, torch.optim.RMSprop, {"lr": 0.01, "momentum": 0.5}),
        (RMSprop, torch.optim.RMSprop, {"lr": 0.01, "centered": True}),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_training_reaches_the_loss_of_torchs(ours: Any, theirs: Any, options: dict[str, Any]) -> None:
    """On a linear regression with ordinary gradients both come down from about 6 to near the noise, 0.01."""
    torchs = _train(theirs, options)
    assert torchs < 0.2
    assert _train(ours, options) < torchs + 0.02


class FloatLion(torch.optim.Optimizer):
    """Algorithm 2 of Chen et al. 2023 in ordinary arithmetic, without weight decay."""

    def __init__(self, params: list[Tensor], lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        (p,) = self.param_groups[0]["params"]
        m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
        p -= self.param_groups[0]["lr"] * torch.sign(0.9 * m + 0.1 * p.grad)
        m.mul_(0.99).add_(p.grad, alpha=0.01)


def test_training_with_lion_reaches_the_loss_of_ordinary_arithmetic() -> None:
    """Steps have a fixed length, so both end at some distance from the noise."""
    ordinary = _train(FloatLion, {"lr": 0.01})
    assert ordinary < 0.2
    assert _train(Lion, {"lr": 0.01}) < ordinary + 0.05


@kinds
def test_a_step_with_its_schedule_is_free_of_multiplications(kind: Optimizer, options: dict[str, Any]) -> None:
    x, y = _problem(1)
    weight = torch.nn.Parameter(torch.zeros(2, 6))
    optimizer = kind([weight], **options, maximize=False)
    schedule = CosineAnnealingLR(optimizer, 10)
    average = mf.optim.ExponentialMovingAverage([weight])
    with mf.audit() as found:
        for _ in range(3):
            optimizer.zero_grad()
            for part in range(2):
                MF.mse_loss(MF.linear(x[part::2], weight), y[part::2]).backward()  # type: ignore[no-untyped-call]
            mf.optim.average_gradients([weight], 2)
            mf.optim.clip_grad_norm_([weight], 1.0)
            optimizer.step()
            schedule.step()
            average.update()
    assert found.findings == (), str(found)
