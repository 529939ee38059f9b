"""Every composed function: its written form, torch's result, both derivatives, half precision, no multiplication."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import mulfree.functional as MF
from tests import functional_cases as pa
from tests.functional_cases import Case

_GENERATOR = torch.Generator().manual_seed(3)
X = torch.randn(6, 8, generator=_GENERATOR) * 2
Z = torch.randn(6, 8, generator=_GENERATOR)
POSITIVE = torch.rand(6, 8, generator=_GENERATOR) + 0.3
ROW = torch.rand(8, generator=_GENERATOR) + 0.5
BIAS = torch.randn(8, generator=_GENERATOR)
IMAGES = torch.randn(4, 8, 3, 5, generator=_GENERATOR)


def sigmoid(x: Tensor) -> Tensor:
    return pa.div(1.0, 1 + pa.exp(-x))


def tanh(x: Tensor) -> Tensor:
    power = pa.exp(-2 * x.abs())
    return pa.div(1 - power, 1 + power) * x.sign()


def softplus(x: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    scaled = pa.mul(x, beta)
    return torch.where(scaled > threshold, x, pa.div(pa.log(1 + pa.exp(scaled)), beta))


def elu(x: Tensor, alpha: float = 1.0, inner: float = 1.0) -> Tensor:
    return torch.where(x > 0, x, pa.mul(pa.exp(pa.div(x, inner)) - 1, alpha))


def selu(x: Tensor) -> Tensor:
    return pa.mul(elu(x, 1.6732632423543772), 1.0507009873554805)


def slope(x: Tensor, factor: Tensor | float) -> Tensor:
    return torch.where(x > 0, x, pa.mul(x, factor))


def logaddexp(a: Tensor, b: Tensor) -> Tensor:
    return torch.maximum(a, b) + pa.log(1 + pa.exp(-(a - b).abs()))


def logaddexp2(a: Tensor, b: Tensor) -> Tensor:
    return torch.maximum(a, b) + pa.log2(1 + pa.exp2(-(a - b).abs()))


def erf(x: Tensor) -> Tensor:
    return tanh(pa.mul(x + pa.mul(pa.mul(pa.mul(x, x), x), 0.08943), 2 / math.sqrt(math.pi)))


def variance(x: Tensor, dims: tuple[int, ...], correction: int = 1) -> Tensor:
    count = math.prod(x.shape[d] for d in dims)
    centred = x - pa.div(x.sum(dims, keepdim=True), float(count))
    return pa.div(pa.mul(centred, centred).sum(dims), float(count - correction))


def norm(x: Tensor, p: float) -> Tensor:
    if p == 2:
        return pa.sqrt(pa.mul(x, x).sum(1))
    powers = pa.mul(pa.mul(x.abs(), x.abs()), x.abs()) if p == 3 else pa.exp2(pa.mul(pa.log2(x.abs()), p))
    return pa.exp2(pa.mul(pa.log2(powers.sum(1)), pa.div(1.0, p)))


def per_channel(x: Tensor, like: Tensor) -> Tensor:
    return x.view(1, -1, *[1] * (like.dim() - 2))


def normal_rows(x: Tensor, eps: float = 1e-5) -> Tensor:
    centred = x - pa.div(x.sum(-1, keepdim=True), float(x.shape[-1]))
    return pa.div(centred, pa.sqrt(pa.div(pa.mul(centred, centred).sum(-1, keepdim=True), float(x.shape[-1])) + eps))


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return pa.mul(x, per_channel(weight, x)) + per_channel(bias, x)


def batch_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    rows = x.transpose(0, 1)
    return affine(normal_rows(rows.flatten(1)).view(rows.shape).transpose(0, 1), weight, bias)


def running_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    factor = pa.div(weight, pa.sqrt(ROW.double() + 1e-5))
    return affine(x - per_channel(BIAS.double(), x), factor, bias)


def group_norm(groups: int) -> Callable[..., Tensor]:
    def form(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return affine(normal_rows(x.reshape(x.shape[0] * groups, -1)).view(x.shape), weight, bias)

    return form


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    root = pa.sqrt(pa.div(pa.mul(x, x).sum(-1, keepdim=True), float(x.shape[-1])) + 1e-6)
    return pa.mul(pa.div(x, root), weight)


def local_response_norm(x: Tensor) -> Tensor:
    padded = F.pad(pa.mul(x, x).movedim(1, -1), (1, 1))
    level = pa.mul(pa.div(padded.unfold(-1, 3, 1).sum(-1), 3.0), 0.5).movedim(-1, 1) + 1.0
    return pa.div(x, pa.exp2(pa.mul(pa.log2(level), 0.75)))


def _named(name: str, form: Callable[..., Tensor], *operands: Tensor, **settings: Any) -> Case:
    theirs = getattr(torch, name, None) or getattr(F, name)
    return Case(getattr(MF, name), theirs, form, operands or (X,), **settings)


def _with(name: str, form: Callable[..., Tensor], operands: tuple[Tensor, ...], error: float, **options: Any) -> Case:
    function, theirs = getattr(MF, name), getattr(torch, name, None) or getattr(F, name)
    return Case(
        lambda *x, **d: function(*x, **options, **d), lambda *x: theirs(*x, **options), form, operands, error, 0.26
    )


CASES: dict[str, Case] = {
    "sigmoid": _named("sigmoid", sigmoid, error=0.08),
    "tanh": _named("tanh", tanh, error=0.05),
    "silu": _named("silu", lambda x: pa.mul(x, sigmoid(x)), error=0.03),
    "logsigmoid": _named("logsigmoid", lambda x: x.clamp_max(0) - pa.log(1 + pa.exp(-x.abs())), error=0.03),
    "softplus": _named("softplus", softplus, error=0.06),
    "softplus, beta": _with(
        "softplus", lambda x: softplus(x, 1.7, 2.5), (X,), 0.06, beta=1.7, threshold=2.5
    ),
    "mish": _named("mish", lambda x: pa.mul(x, tanh(softplus(x))), error=0.03),
    "elu": _named("elu", elu, error=0.03),
    "elu, alpha": _with("elu", lambda x: elu(x, 1.7), (X,), 0.05, alpha=1.7),
    "celu": _with("celu", lambda x: elu(x, 1.7, 1.7), (X,), 0.05, alpha=1.7),
    "selu": _named("selu", selu, error=0.06, slope_error=0.2),
    "leaky_relu": _named("leaky_relu", lambda x: slope(x, 0.01), error=0.01),
    "prelu": _named("prelu", slope, X, ROW, error=0.1),
    "prelu of images": _named("prelu", lambda x, w: slope(x, per_channel(w, x)), IMAGES, ROW, error=0.1),
    "prelu, one slope": _named("prelu", slope, X, ROW[:1], error=0.1),
    "rrelu": _named("rrelu", lambda x: slope(x, float(torch.tensor(1 / 8) + torch.tensor(1 / 3)) / 2), error=0.02),
    "hardsigmoid": _named("hardsigmoid", lambda x: pa.div((x + 3).clamp(0, 6), 6.0), error=0.1),
    "hardswish": _named("hardswish", lambda x: pa.div(pa.mul(x, (x + 3).clamp(0, 6)), 6.0), error=0.05),
    "softsign": _named("softsign", lambda x: pa.div(x, 1 + x.abs()), error=0.1),
    "tanhshrink": _named("tanhshrink", lambda x: x - tanh(x), error=0.03),
    "glu": _named("glu", lambda x: pa.mul(x[:, :4], sigmoid(x[:, 4:])), error=0.1),
    "glu of rows": _with("glu", lambda x: pa.mul(x[:3], sigmoid(x[3:])), (X,), 0.1, dim=0),
    "add": _with("add", lambda a, b: a + pa.mul(b, 0.7), (X, Z), 0.08, alpha=0.7),
    "sub": _with("sub", lambda a, b: a - pa.mul(b, 0.7), (X, ROW), 0.08, alpha=0.7),
    "rsub": _with("rsub", lambda a, b: b - pa.mul(a, 1.7), (X, Z), 0.1, alpha=1.7),
    "addcmul": _with(
        "addcmul", lambda a, b, c: a + pa.mul(pa.mul(b, c), 0.7), (X, Z, POSITIVE), 0.1, value=0.7
    ),
    "addcdiv": _with(
        "addcdiv", lambda a, b, c: a + pa.mul(pa.div(b, c), 0.7), (X, Z, POSITIVE), 0.1, value=0.7
    ),
    "lerp": _named(
        "lerp",
        lambda a, b, w: torch.where(w < 0.5, a + pa.mul(b - a, w), b - pa.mul(b - a, 1 - w)),
        X, Z, POSITIVE, error=0.1,
    ),
    "lerp, near": _with("lerp", lambda a, b: a + pa.mul(b - a, 0.3), (X, Z), 0.1, weight=0.3),
    "lerp, far": _with("lerp", lambda a, b: b - pa.mul(b - a, 1 - 0.7), (X, Z), 0.1, weight=0.7),
    "square": _named("square", lambda x: pa.mul(x, x), error=0.12),
    "reciprocal": _named("reciprocal", lambda x: pa.div(1.0, x), error=0.13),
    "rsqrt": _named("rsqrt", lambda x: pa.div(1.0, pa.sqrt(x)), POSITIVE, error=0.13, slope_error=0.2),
    "hypot": _named("hypot", lambda a, b: pa.sqrt(pa.mul(a, a) + pa.mul(b, b)), X, Z, error=0.1),
    "log10": _named("log10", lambda x: pa.div(pa.log2(x), math.log2(10)), POSITIVE, error=0.2, slope_error=0.25),
    "log1p": _named("log1p", lambda x: pa.log(1 + x), POSITIVE, error=0.2, slope_error=0.25),
    "expm1": _named("expm1", lambda x: pa.exp(x) - 1, error=0.3, slope_error=0.4),
    "sinh": _named("sinh", lambda x: (pa.exp(x) - pa.exp(-x)) / 2, error=0.3, slope_error=0.4),
    "cosh": _named("cosh", lambda x: (pa.exp(x) + pa.exp(-x)) / 2, error=0.3, slope_error=0.4),
    "logaddexp": _named("logaddexp", logaddexp, X, Z, error=0.05),
    "logaddexp2": _named("logaddexp2", logaddexp2, X, Z, error=0.05),
    "erf": _named("erf", erf, error=0.07, slope_error=0.2),
    "var": _with("var", lambda x: variance(x, (1,)), (X,), 0.13, dim=1),
    "var of all": _with("var", lambda x: variance(x, (0, 1), 0), (X,), 0.13, correction=0),
    "std": _with("std", lambda x: pa.sqrt(variance(x, (0,))), (X,), 0.13, dim=0),
    "norm": _with("norm", lambda x: norm(x, 2), (X,), 0.13, dim=1),
    "norm of order 3": _with("norm", lambda x: norm(x, 3.0), (X,), 0.26, p=3.0, dim=1),
    "norm of order 2.5": _with("norm", lambda x: norm(x, 2.5), (X,), 0.26, p=2.5, dim=1),
    "normalize": _named("normalize", lambda x: pa.div(x, norm(x, 2)[:, None]), error=0.13),
    "prod": Case(
        lambda x, **d: MF.prod(x, 1, **d),
        lambda x: torch.prod(x, 1),
        lambda x: pa.exp2(pa.log2(x.abs()).sum(1)) * x.sign().prod(1),
        (POSITIVE,),
        0.5,  # seven products
        0.5,
    ),
    "local_response_norm": _with("local_response_norm", local_response_norm, (IMAGES,), 0.2, size=3, alpha=0.5),
}  # fmt: skip
CASES["batch_norm"] = Case(
    lambda x, w, b, **d: MF.batch_norm(x, None, None, w, b, True, **d),
    lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
    batch_norm, (IMAGES, ROW, BIAS), 0.13, 0.3,
)  # fmt: skip
CASES["batch_norm, running"] = Case(
    lambda x, w, b, **d: MF.batch_norm(x, BIAS, ROW, w, b, **d),
    lambda x, w, b: F.batch_norm(x, BIAS, ROW, w, b),
    running_norm, (IMAGES, ROW, BIAS), 0.2,
)  # fmt: skip
CASES["group_norm"] = Case(
    lambda x, w, b, **d: MF.group_norm(x, 2, w, b, **d),
    lambda x, w, b: F.group_norm(x, 2, w, b),
    group_norm(2), (IMAGES, ROW, BIAS), 0.13, 0.3,
)  # fmt: skip
CASES["instance_norm"] = Case(
    lambda x, w, b, **d: MF.instance_norm(x, None, None, w, b, **d),
    lambda x, w, b: F.instance_norm(x, None, None, w, b),
    group_norm(8), (IMAGES, ROW, BIAS), 0.13, 0.3,
)  # fmt: skip
CASES["rms_norm"] = Case(
    lambda x, w, **d: MF.rms_norm(x, (8,), w, 1e-6, **d),
    lambda x, w: F.rms_norm(x, (8,), w, 1e-6),
    rms_norm, (X, ROW), 0.13,
)  # fmt: skip
every_case = pytest.mark.parametrize("name", CASES)


@every_case
def test_result_is_the_written_form(name: str) -> None:
    pa.check_form(CASES[name])


@every_case
def test_approximate_gradients_are_near_torchs(name: str) -> None:
    pa.check_approximate_gradients(CASES[name])


@every_case
def test_exact_gradients_are_slopes(name: str) -> None:
    pa.check_exact_gradients(CASES[name])


@every_case
def test_half_precision_is_rounded_once(name: str) -> None:
    pa.check_half_precision(CASES[name])


@every_case
def test_no_multiplication_forwards_or_backwards(name: str) -> None:
    pa.check_no_multiplications(CASES[name])
