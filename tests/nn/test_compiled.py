"""Modules in graphs of ``torch.compile``: one graph, the bits and gradients of the module itself."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

import mulfree.nn as mnn
from mulfree.nn import _base
from mulfree.nn._base import PiecewiseAffine
from mulfree.nn._graph import SUPPORTED
from tests.ops.support import same_bits

X = torch.linspace(-2.0, 2.0, 24)
ROWS, SEQUENCE = X.reshape(3, 8), X.reshape(3, 1, 8)
IMAGE, VOLUME = X.reshape(1, 2, 3, 4), X.reshape(1, 2, 2, 2, 3)
SIGNS, CLASSES = ROWS[:, 0].sign() + (ROWS[:, 0] == 0), torch.tensor([1, 0, 7])
SHARES = ROWS.sigmoid()
ANY = ("GELU", "SiLU", "Sigmoid", "Tanh", "ELU", "CELU", "SELU", "GLU", "Mish", "Softplus", "Softsign", "LogSigmoid")
ANY += ("Hardsigmoid", "Hardswish", "LeakyReLU", "PReLU", "RReLU", "Tanhshrink", "Dropout", "AlphaDropout")
PAIRS = ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss", "CosineSimilarity", "PairwiseDistance")

CASES: list[tuple[str, tuple[Any, ...], tuple[Any, ...]]] = [
    *((name, (), (ROWS,)) for name in ANY),
    *((name, (), (ROWS, ROWS.flip(0))) for name in PAIRS),
    *((name, (1,), (ROWS,)) for name in ("Softmax", "LogSoftmax", "Softmin")),
    ("Softmax2d", (), (IMAGE,)),
    ("Dropout1d", (), (SEQUENCE,)),
    ("Dropout2d", (), (IMAGE,)),
    ("Dropout3d", (), (VOLUME,)),
    ("FeatureAlphaDropout", (), (IMAGE,)),
    ("Linear", (8, 4), (ROWS,)),
    ("Bilinear", (8, 8, 3), (ROWS, ROWS.flip(0))),
    ("Conv1d", (1, 2, 3), (SEQUENCE,)),
    ("Conv2d", (2, 3, 2), (IMAGE,)),
    ("Conv3d", (2, 3, 2), (VOLUME,)),
    ("ConvTranspose1d", (1, 2, 3), (SEQUENCE,)),
    ("ConvTranspose2d", (2, 3, 2), (IMAGE,)),
    ("ConvTranspose3d", (2, 3, 2), (VOLUME,)),
    ("MultiheadAttention", (8, 2), (SEQUENCE, SEQUENCE, SEQUENCE)),
    ("MultiheadAttention", (8, 2), (SEQUENCE, SEQUENCE, SEQUENCE, None, False)),
    ("RNNCell", (8, 3), (ROWS,)),
    ("LSTMCell", (8, 3), (ROWS,)),
    ("GRUCell", (8, 3), (ROWS,)),
    ("Transformer", (8, 2, 1, 1, 6), (SEQUENCE, SEQUENCE)),
    ("TransformerEncoderLayer", (8, 2, 6), (SEQUENCE,)),
    ("TransformerDecoderLayer", (8, 2, 6), (SEQUENCE, SEQUENCE)),
    ("TransformerEncoder", (torch.nn.TransformerEncoderLayer(8, 2, 6), 2, None, False), (SEQUENCE,)),
    ("TransformerDecoder", (torch.nn.TransformerDecoderLayer(8, 2, 6), 2), (SEQUENCE, SEQUENCE)),
    ("LayerNorm", (8,), (ROWS,)),
    ("RMSNorm", (8,), (ROWS,)),
    ("GroupNorm", (1, 2), (IMAGE,)),
    ("LocalResponseNorm", (2,), (IMAGE,)),
    ("BatchNorm1d", (8,), (ROWS,)),
    ("BatchNorm2d", (2,), (IMAGE,)),
    ("BatchNorm3d", (2,), (VOLUME,)),
    ("InstanceNorm1d", (1,), (SEQUENCE,)),
    ("InstanceNorm2d", (2,), (IMAGE,)),
    ("InstanceNorm3d", (2,), (VOLUME,)),
    ("AvgPool1d", (2,), (SEQUENCE,)),
    ("AvgPool2d", (2,), (IMAGE,)),
    ("AvgPool3d", (2,), (VOLUME,)),
    ("AdaptiveAvgPool1d", (3,), (SEQUENCE,)),
    ("AdaptiveAvgPool2d", (2,), (IMAGE,)),
    ("AdaptiveAvgPool3d", (2,), (VOLUME,)),
    ("LPPool1d", (2, 2), (SEQUENCE,)),
    ("LPPool2d", (2, 2), (IMAGE,)),
    ("EmbeddingBag", (8, 4), (CLASSES.reshape(1, 3),)),
    ("Upsample", (None, 2, "bilinear"), (IMAGE,)),
    ("CrossEntropyLoss", (), (ROWS, CLASSES)),
    ("NLLLoss", (), (ROWS, CLASSES)),
    ("MultiMarginLoss", (), (ROWS, CLASSES)),
    ("BCELoss", (), (SHARES, SHARES.flip(0))),
    ("BCEWithLogitsLoss", (), (ROWS, SHARES)),
    ("KLDivLoss", (None, None, "batchmean"), (ROWS, SHARES)),
    ("GaussianNLLLoss", (), (ROWS, ROWS.flip(0), SHARES)),
    ("SoftMarginLoss", (), (ROWS[:, 0], SIGNS)),
    ("HingeEmbeddingLoss", (), (ROWS[:, 0], SIGNS)),
    ("MarginRankingLoss", (), (ROWS[:, 0], ROWS[:, 1], SIGNS)),
    ("CosineEmbeddingLoss", (), (ROWS, ROWS.flip(0), SIGNS)),
    ("TripletMarginLoss", (), (ROWS, ROWS.flip(0), ROWS + 1)),
]
"""Every module, but those that the compiler takes from nobody: ``RNN``, ``LSTM``, ``GRU``."""

in_graphs = pytest.mark.skipif(not SUPPORTED, reason="needs torch 2.13")


def test_every_module_is_there() -> None:
    ours = [x for x in vars(mnn).values() if isinstance(x, type) and issubclass(x, PiecewiseAffine)]
    assert {kind.__name__ for kind in ours} - {name for name, *_ in CASES} == {"RNN", "LSTM", "GRU"}


def results(function: Any, module: torch.nn.Module, inputs: tuple[Any, ...]) -> list[Tensor | None]:
    """Outputs, gradients by inputs and parameters, buffers afterwards."""
    torch.manual_seed(1)
    given = [x.clone().requires_grad_() if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs]
    output = function(*given)
    tensors = [x for x in tree_leaves(output) if isinstance(x, Tensor)]
    wanted = [x for x in (*given, *module.parameters()) if isinstance(x, Tensor) and x.requires_grad]
    gradients = torch.autograd.grad([x.sum() for x in tensors], wanted, allow_unused=True)
    return [x.detach() for x in tensors] + list(gradients) + [x.clone() for x in module.buffers()]


def in_one_graph(name: str, *args: Any) -> tuple[Any, Any]:
    """A module, and itself compiled."""
    torch.manual_seed(0)
    module = getattr(mnn, name)(*args)
    torch._dynamo.reset()
    return module, torch.compile(module, backend="aot_eager", fullgraph=True)


def assert_same(a: list[Tensor | None], b: list[Tensor | None]) -> None:
    for x, y in zip(a, b, strict=True):
        if x is None or y is None:
            assert x is y
        else:
            assert same_bits(x, y)


QUICK = ("Linear", "Conv2d", "MultiheadAttention", "BatchNorm1d", "Dropout", "TransformerEncoderLayer", "BCELoss")


@in_graphs
@pytest.mark.filterwarnings("error:Dynamo")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize(
    ("name", "args", "inputs"),
    [pytest.param(*case, id=case[0], marks=[] if case[0] in QUICK else [pytest.mark.slow]) for case in CASES],
)
def test_one_graph_with_the_same_bits(name: str, args: tuple[Any, ...], inputs: tuple[Any, ...], backend: str) -> None:
    torch.manual_seed(0)
    module = getattr(mnn, name)(*args)
    twin = copy.deepcopy(module)
    expected = results(module, module, inputs)
    torch._dynamo.reset()
    assert_same(results(torch.compile(twin, backend=backend, fullgraph=True), twin, inputs), expected)


@in_graphs
def test_a_training_step_in_one_graph() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(mnn.Linear(8, 6), torch.nn.ReLU(), mnn.BatchNorm1d(6), mnn.Linear(6, 8, bias=False))
    loss = mnn.CrossEntropyLoss(label_smoothing=0.1)

    def step(x: Tensor) -> Tensor:
        found: Tensor = loss(model(x), CLASSES)
        return found

    before = copy.deepcopy(model.state_dict())
    expected = results(step, model, (ROWS,))
    model.load_state_dict(before)
    torch._dynamo.reset()
    assert_same(results(torch.compile(step, backend="aot_eager", fullgraph=True), model, (ROWS,)), expected)


@in_graphs
@pytest.mark.parametrize(
    ("name", "args", "setting", "values"),
    [
        ("Dropout", (0.5,), "training", (True, False, True)),
        ("Dropout", (0.5,), "p", (0.5, 0.25, 0.75, 0.125)),
        ("LayerNorm", (8,), "eps", (0.1, 0.9, 0.3, 0.7)),
        ("Linear", (8, 4), "mantissa_bits", (23, 3, (4, 5), 2)),
        ("Linear", (8, 4), "compensation", (None, 1.1, 1.2, 1.3)),
        ("GELU", (), "derivative", ("approximate", "exact", "approximate")),
    ],
)
def test_a_changed_setting_is_noticed(name: str, args: tuple[Any, ...], setting: str, values: tuple[Any, ...]) -> None:
    module, compiled = in_one_graph(name, *args)
    for value in values:
        setattr(module, setting, value)
        assert_same(results(compiled, module, (ROWS,)), results(module, module, (ROWS,)))


@in_graphs
def test_a_changed_setting_of_an_inner_module_is_noticed() -> None:
    module, compiled = in_one_graph("TransformerEncoderLayer", 8, 2, 6)
    for p in (0.1, 0.5, 0.9):
        module.dropout1.p = p
        assert_same(results(compiled, module, (SEQUENCE,)), results(module, module, (SEQUENCE,)))
    module.eval()
    assert_same(results(compiled, module, (SEQUENCE,)), results(module, module, (SEQUENCE,)))


@in_graphs
def test_sizes_may_change() -> None:
    module, compiled = in_one_graph("TransformerEncoderLayer", 8, 2, 6)
    for rows in (3, 5, 7):
        inputs = (torch.randn(rows, 2, 8),)
        assert_same(results(compiled, module, inputs), results(module, module, inputs))


@in_graphs
def test_replaced_parts_are_noticed() -> None:
    module, compiled = in_one_graph("TransformerEncoderLayer", 8, 2, 6)
    module.eval()
    for _ in range(3):
        assert_same(results(compiled, module, (SEQUENCE,)), results(module, module, (SEQUENCE,)))
        module.linear1 = torch.nn.Linear(8, 6, bias=False)
        module.linear2.weight = torch.nn.Parameter(torch.randn(8, 6))


def test_older_versions_of_torch_leave_modules_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_base, "SUPPORTED", False)
    for module in (mnn.Linear(8, 4), mnn.GELU()):
        compiled = torch.compile(lambda x, module=module: module(x) + 1, backend="eager")
        assert same_bits(compiled(ROWS), module(ROWS) + 1)
