"""Arguments of every function: wrong types and layouts are named, the device ``meta`` gives shapes."""

from __future__ import annotations

import inspect
import pickle
from typing import Any, get_type_hints

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

import mulfree.functional as MF
from mulfree.catalog.names import names

X = torch.linspace(0.1, 0.9, 12)
V, A, B, SQUARE = X[:4], X.reshape(3, 4), X.reshape(4, 3), X[:9].reshape(3, 3)
BATCH, IMAGE, VOLUME = X.reshape(1, 3, 4), X.reshape(1, 1, 3, 4), X.reshape(1, 1, 3, 2, 2)
SIGNS, CLASSES = torch.tensor([1.0, -1.0, 1.0]), torch.tensor([0, 3, 1])
W, U = torch.linspace(-0.5, 0.5, 32).reshape(8, 4), torch.linspace(-0.3, 0.3, 16).reshape(8, 2)
STATE, START = torch.zeros(3, 2), torch.zeros(1, 1, 2)
ROWS = torch.zeros(3, dtype=torch.int64)

ONE = names(
    "abs amax amin celu cosh dropout elu erf exp exp2 expm1 gelu glu hardsigmoid hardswish leaky_relu log log10 log1p "
    "log2 logsigmoid mean mish nanmean norm normalize prod reciprocal rrelu rsqrt selu sigmoid silu sinh softmin "
    "softplus softsign sqrt square std std_mean sum tanh tanhshrink var var_mean vector_norm"
)
TWO = names(
    "add sub rsub mul div pow float_power fmax fmin maximum minimum hypot logaddexp logaddexp2 cosine_similarity "
    "pairwise_distance mse_loss l1_loss smooth_l1_loss huber_loss poisson_nll_loss binary_cross_entropy kl_div "
    "binary_cross_entropy_with_logits soft_margin_loss hinge_embedding_loss"
)

CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    **{name: ((A,), {}) for name in ONE},
    **{name: ((A, A.flip(0)), {}) for name in TWO},
    "adaptive_avg_pool1d": ((BATCH, 2), {}),
    "adaptive_avg_pool2d": ((IMAGE, 2), {}),
    "adaptive_avg_pool3d": ((VOLUME, 2), {}),
    "adaptive_max_pool1d": ((BATCH, 2), {}),
    "adaptive_max_pool2d": ((IMAGE, 2), {}),
    "adaptive_max_pool3d": ((VOLUME, 2), {}),
    "addbmm": ((SQUARE, BATCH, B[None]), {}),
    "addcdiv": ((A, A, A), {"value": 0.5}),
    "addcmul": ((A, A, A), {"value": 0.5}),
    "addmm": ((SQUARE, A, B), {"beta": 0.5}),
    "addmv": ((V[:3], A, V), {}),
    "addr": ((A, V[:3], V), {}),
    "avg_pool1d": ((BATCH, 2), {}),
    "avg_pool2d": ((IMAGE, 2), {}),
    "avg_pool3d": ((VOLUME, 2), {}),
    "baddbmm": ((SQUARE[None], BATCH, B[None]), {}),
    "batch_norm": ((A, None, None), {"training": True}),
    "bilinear": ((A, A, X[:16].repeat(2)[:16].reshape(1, 4, 4)), {}),
    "bmm": ((BATCH, B[None]), {}),
    "chain_matmul": ((A, B), {}),
    "clamp": ((A, A.flip(0)), {}),
    "conv1d": ((BATCH, X[:6].reshape(1, 3, 2)), {}),
    "conv2d": ((IMAGE, X[:4].reshape(1, 1, 2, 2)), {}),
    "conv3d": ((VOLUME, X[:4].reshape(1, 1, 1, 2, 2)), {}),
    "conv_transpose1d": ((BATCH, X[:6].reshape(3, 1, 2)), {}),
    "conv_transpose2d": ((IMAGE, X[:4].reshape(1, 1, 2, 2)), {}),
    "conv_transpose3d": ((VOLUME, X[:4].reshape(1, 1, 1, 2, 2)), {}),
    "cosine_embedding_loss": ((A, A, SIGNS), {}),
    "cross": ((SQUARE, SQUARE), {}),
    "cross_entropy": ((A, CLASSES), {"label_smoothing": 0.1}),
    "cross_entropy2": ((A, CLASSES), {}),
    "dot": ((V, V), {}),
    "einsum": (("ij,jk->ik", A, B), {}),
    "embedding": ((CLASSES, B), {}),
    "embedding_bag": ((CLASSES[None], B), {}),
    "gaussian_nll_loss": ((A, A, A), {}),
    "ger": ((V, V), {}),
    "group_norm": ((BATCH, 3), {}),
    "grouped_mm": ((BATCH, B[None]), {}),
    "gru": ((BATCH, START, (W[:6], U[:6]), False, 1, 0.0, False, False, True), {}),
    "gru_cell": ((A, STATE, W[:6], U[:6]), {}),
    "inner": ((V, V), {}),
    "instance_norm": ((BATCH,), {}),
    "interpolate": ((IMAGE,), {"scale_factor": 2, "mode": "bilinear"}),
    "kron": ((A, B), {}),
    "layer_norm": ((A, (4,)), {}),
    "lerp": ((A, A, A), {}),
    "linear": ((A, A), {}),
    "local_response_norm": ((BATCH, 2), {}),
    "log_softmax": ((A, 1), {}),
    "log_softmax2": ((A, 1), {}),
    "logsumexp": ((A, 1), {}),
    "lp_pool1d": ((BATCH, 2, 2), {}),
    "lp_pool2d": ((IMAGE, 2, 2), {}),
    "lp_pool3d": ((VOLUME, 2, 2), {}),
    "lstm": ((BATCH, (START, START), (W, U), False, 1, 0.0, False, False, True), {}),
    "lstm_cell": ((A, (STATE, STATE), W, U), {}),
    "margin_ranking_loss": ((V[:3], V[1:], SIGNS), {}),
    "matmul": ((A, B), {}),
    "max_pool1d": ((BATCH, 2), {}),
    "max_pool2d": ((IMAGE, 2), {}),
    "max_pool3d": ((VOLUME, 2), {}),
    "mm": ((A, B), {}),
    "multi_dot": (([A, B],), {}),
    "multi_margin_loss": ((A, CLASSES), {}),
    "mv": ((A, V), {}),
    "nll_loss": ((A, CLASSES), {}),
    "outer": ((V, V), {}),
    "prelu": ((A, V), {}),
    "rms_norm": ((A, (4,)), {}),
    "rnn_relu": ((BATCH, START, (W[:2], U[:2]), False, 1, 0.0, False, False, True), {}),
    "rnn_relu_cell": ((A, STATE, W[:2], U[:2]), {}),
    "rnn_tanh": ((BATCH, START, (W[:2], U[:2]), False, 1, 0.0, False, False, True), {}),
    "rnn_tanh_cell": ((A, STATE, W[:2], U[:2]), {}),
    "scaled_dot_product_attention": ((A, A, A), {}),
    "softmax": ((A, 1), {}),
    "softmax2": ((A, 1), {}),
    "tensordot": ((A, B, 1), {}),
    "triplet_margin_loss": ((A, A, A.flip(0)), {}),
    "upsample": ((IMAGE,), {"scale_factor": 2}),
    "vdot": ((V, V), {}),
}
CASES = [pytest.param(name, args, kwargs, id=name) for name, (args, kwargs) in sorted(CALLS.items())]
LAYERS = ("gru", "lstm", "rnn_relu", "rnn_tanh", "einsum")
"""Their arguments have no names of their own."""


def test_every_function_is_there() -> None:
    assert {name for name in MF.__all__ if inspect.isfunction(getattr(MF, name))} == CALLS.keys()


def test_functions_are_those_of_the_package() -> None:
    for name in CALLS:
        function = getattr(MF, name)
        assert (function.__name__, function.__module__) == (name, "mulfree.functional")
        assert pickle.loads(pickle.dumps(function)) is function
        assert get_type_hints(function)


OPTIONS = [
    pytest.param("embedding_bag", (CLASSES, B, torch.tensor([0, 1])), {}, id="embedding_bag-offsets"),
    pytest.param(
        "grouped_mm",
        (
            A,
            B[None].repeat(2, 1, 1),
        ),
        {"offs": torch.tensor([1, 3], dtype=torch.int32)},
        id="g",
    ),
    pytest.param("cross_entropy", (A, CLASSES, V + 1), {}, id="cross_entropy-weight"),
    pytest.param("scaled_dot_product_attention", (A, A, A, SQUARE, 0.5), {}, id="attention-mask"),
    pytest.param("scaled_dot_product_attention", (A, A, A), {"is_causal": True}, id="attention-causal"),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), CASES + OPTIONS)
def test_meta_gives_shapes(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    def leaf(x: Tensor) -> Tensor:
        return x.detach().clone().requires_grad_(x.is_floating_point() and bool(x.abs().max() < 1))

    function = getattr(MF, name)
    given = tree_map_only(Tensor, leaf, args)
    there = tree_map_only(Tensor, lambda x: x.detach().to("meta").requires_grad_(x.requires_grad), given)
    options = tree_map_only(Tensor, lambda x: x.to("meta"), kwargs)
    expected, got = function(*given, **kwargs), function(*there, **options)
    for x, y in zip(tree_leaves(expected), tree_leaves(got), strict=True):
        assert (y.device.type, y.shape, y.dtype, y.requires_grad) == ("meta", x.shape, x.dtype, x.requires_grad)
    sum(y.sum() for y in tree_leaves(got)).backward()
    for x in tree_leaves(there):
        assert not (isinstance(x, Tensor) and x.grad is not None and x.grad.shape != x.shape)


@pytest.mark.parametrize(("name", "args", "kwargs"), [case for case in CASES if case.id not in LAYERS])
@pytest.mark.parametrize("wrong", ["x", [1.0], None], ids=["text", "list", "none"])
def test_what_is_no_tensor_is_named(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], wrong: Any) -> None:
    function = getattr(MF, name)
    parameters = list(inspect.signature(function).parameters)
    hints = get_type_hints(function)
    for place, x in enumerate(args):
        if not isinstance(x, Tensor) or (
            wrong is None and type(None) in getattr(hints[parameters[place]], "__args__", ())
        ):
            continue
        argument = parameters[min(place, len(parameters) - 1)] if name != "chain_matmul" else "matrices"
        with pytest.raises(TypeError) as caught:
            function(*args[:place], wrong, *args[place + 1 :], **kwargs)
        assert name in str(caught.value), str(caught.value)
        assert f"'{argument}'" in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MF.matmul(A, B, mantissa_bits=3.5), "mantissa_bits must be 1 to 23, .*got 3.5"),
        (lambda: MF.matmul(A, B, mantissa_bits="4"), "mantissa_bits must be 1 to 23, .*got '4'"),
        (lambda: MF.matmul(A, B, mantissa_bits=None), "mantissa_bits must be 1 to 23, .*got None"),
        (lambda: MF.matmul(A, B, mantissa_bits=True), "mantissa_bits must be 1 to 23, .*got True"),
        (lambda: MF.matmul(A, B, compensation="x"), "compensation must be a positive number or None, got 'x'"),
        (lambda: MF.mul(A, "x"), r"mul\(\): argument 'other' must be a tensor or a number, got str 'x'"),
        (lambda: MF.mul(A, None), r"mul\(\): argument 'other' must be a tensor or a number, got NoneType"),
        (lambda: MF.mul([1], A), r"mul\(\): argument 'input' must be a tensor or a number, got list of int"),
        (lambda: MF.scaled_dot_product_attention(A, A, A, scale="x"), "argument 'scale' must be a number or None, got"),
        (lambda: MF.matmul([1], B), r"matmul\(\): argument 'input' must be a tensor, got list of int"),
        (lambda: MF.gelu(3.0), r"gelu\(\): argument 'input' must be a tensor, got float 3.0"),
        (lambda: MF.linear(A, [1]), r"linear\(\): argument 'weight' must be a tensor, got list of int"),
        (lambda: MF.pow(A, "x"), r"pow\(\): argument 'exponent' must be a tensor or a number, got str 'x'"),
        (lambda: MF.layer_norm(A, 4), "argument 'normalized_shape' must be a sequence of whole numbers, got int 4"),
        (lambda: MF.multi_dot([A, 3]), "'tensors' must be a sequence of tensors, got list of Tensor and int"),
        (lambda: MF.outer(V, V, mantissa_bits=4), r"outer\(\) got an unexpected keyword argument 'mantissa_bits'"),
        (lambda: MF.mm(A, B, bits=4), r"mm\(\) got an unexpected keyword argument 'bits'"),
        (lambda: MF.matmul(A), r"matmul\(\): missing a required argument: 'other'"),
    ],
)
def test_wrong_arguments_are_named(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="the last size of 'input'"):
        MF.matmul(A, A)
    with pytest.raises(ValueError, match="derivative must be"):
        MF.mul(A, A, derivative="analytic")  # type: ignore[arg-type]
    with pytest.raises(IndexError, match="dim must be"):
        MF.softmax(A, 2)


@pytest.mark.parametrize(
    ("name", "place"),
    [("matmul", 1), ("linear", 1), ("mul", 1), ("gelu", 0), ("softmax", 0), ("conv2d", 1), ("mse_loss", 1), ("sub", 1)],
)
def test_layouts_other_than_strided_are_refused(name: str, place: int) -> None:
    args = list(CALLS[name][0])
    args[place] = args[place].to_sparse()
    argument = list(inspect.signature(getattr(MF, name)).parameters)[place]
    with pytest.raises(
        TypeError, match=rf"{name}\(\): argument '{argument}' must be a strided tensor, got .*sparse_coo"
    ):
        getattr(MF, name)(*args)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MF.conv2d(IMAGE, X[:8].reshape(1, 2, 2, 2)), "conv2d(): 'input' must have 2 channels"),
        (
            lambda: MF.conv_transpose2d(IMAGE, X[:8].reshape(2, 1, 2, 2)),
            "conv_transpose2d(): 'input' must have 2 channels",
        ),
        (lambda: MF.conv1d(BATCH.double(), V), "conv1d(): 'weight' must have 3 dimensions"),
        (lambda: MF.conv2d(IMAGE, IMAGE.double()), "conv2d(): argument 'weight' must be float32"),
        (lambda: MF.avg_pool1d(BATCH.double(), 2), "avg_pool1d(): argument 'input' must be float32"),
        (lambda: MF.mm(A, B.double()), "mm(): in matmul(): argument 'other' must be float32"),
        (lambda: MF.outer(V, V.double()), "outer(): in mul(): argument 'other' must be float32"),
        (lambda: MF.add(A, B), "add(): The size of tensor a"),
        (lambda: MF.softmax(A, 5), "softmax(): dim must be -2 to 1"),
        (lambda: MF.mul(A, A, derivative="analytic"), "mul(): derivative must be 'approximate' or 'exact'"),
        (lambda: MF.matmul(A, A), "matmul(): the last size of 'input'"),
    ],
)
def test_errors_begin_with_the_function_that_was_called(call: Any, message: str) -> None:
    with pytest.raises((TypeError, RuntimeError, ValueError, IndexError)) as caught:
        call()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(("name", "args", "kwargs"), CASES)
def test_wrong_dtypes_and_shapes_name_the_function(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for place, x in enumerate(args):
        if not isinstance(x, Tensor):
            continue
        for wrong in (x.double(), x.bfloat16(), torch.cat([x, x]), x[None, None, None, None], x.flatten()[0]):
            try:
                getattr(MF, name)(*args[:place], wrong, *args[place + 1 :], **kwargs)
            except (TypeError, RuntimeError, ValueError, IndexError, NotImplementedError) as error:
                assert str(error).startswith(f"{name}()")
