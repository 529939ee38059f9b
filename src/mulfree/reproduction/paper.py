"""Tables 2, 3, 5 and 6 of the paper, with the recipe and the arithmetic of every cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from mulfree.functional import Derivative
from mulfree.recipes import Recipe
from mulfree.reproduction.table import Cell, Reported, Table
from mulfree.train.arithmetic import Arithmetic, Derivatives, Part, Pass

TableName = Literal["table2", "table3", "table5", "table6"]
Load = Callable[[str], Recipe]
"""From the name of a recipe to the recipe, changed as the user wants it."""
PAPER_TASK = "iwslt14"
STANDARD = Arithmetic(policy="standard")
MATMUL = Arithmetic(policy="matmul")

Column = Literal["exact", "approximate", "cumulative"]
_STEPS: dict[str, tuple[Part, ...]] = {
    "matmul": ("matmul",),
    "attention softmax": ("softmax", "elementwise"),
    "layer norm": ("norm",),
    "loss": ("loss",),
    "optimizer": ("optimizer",),
}
"""Table 3 from top to bottom: the paper's network has no activation function but ReLU.

The gain that the paper replaces with the attention's softmax is an elementwise product.
"""
_LAST = "optimizer"
_BETTER: dict[Part, Derivative] = {"loss": "exact"}
"""The derivative that cumulative replacement uses, where it is not the approximate one."""
_TABLE_3: dict[str, dict[Column, Reported]] = {
    "matmul": {
        "exact": Reported(33.4, 0.1),
        "approximate": Reported(34.2, 0.2),
        "cumulative": Reported(34.2, 0.2),
    },
    "attention softmax": {
        "exact": Reported(3.0, 0.9),
        "approximate": Reported(34.3, 0.7),
        "cumulative": Reported(34.2, 0.2),
    },
    "layer norm": {
        "exact": Reported(33.7, 0.2),
        "approximate": Reported(34.4, 0.1),
        "cumulative": Reported(34.4, 0.1),
    },
    "loss": {
        "exact": Reported(33.7, 0.2),
        "approximate": Reported(33.0, 0.9),
        "cumulative": Reported(33.7, 0.2),
    },
    "optimizer": {"exact": Reported(34.2, 0.1), "cumulative": Reported(33.5, 0.3)},
}
_BASELINE_3 = Reported(34.4, 0.1)

_TABLE_2 = {
    "CIFAR-10": ("cifar10-deit-tiny", Reported(94.8), Reported(95.0)),
    "ImageNet": ("imagenet-deit-tiny", Reported(72.2), Reported(72.2)),
}
_TABLE_5 = {
    "VGG-13": ("cifar10-vgg13", Reported(92.9, 0.3), Reported(92.9, 0.2)),
    "ResNet-20": ("cifar10-resnet20", Reported(92.1, 0.3), Reported(92.0, 0.2)),
    "ResNet-110": ("cifar10-resnet110", Reported(94.2, 0.1), Reported(94.1, 0.2)),
    "ResNeXt-20 4x16": ("cifar10-resnext20", Reported(93.7, 0.2), Reported(93.8, 0.2)),
    "ConvMixer-256/8": ("cifar10-convmixer", Reported(94.8, 0.2), Reported(94.8, 0.1)),
}
_TABLE_6: dict[int, tuple[Reported | None, Reported | None]] = {
    23: (Reported(92.9, 0.2), Reported(34.2, 0.2)),
    7: (Reported(92.9, 0.2), Reported(34.4, 0.2)),
    4: (Reported(92.9, 0.5), Reported(34.2, 0.1)),
    3: (Reported(92.8, 0.2), Reported(29.4, 0.5)),
    2: (None, None),
    1: (None, None),
}
"""By mantissa bits: VGG-13 and translation. The paper stops at 3."""


def table2(load: Load) -> Table:
    """DeiT-Tiny with piecewise affine matrix products."""
    return _beside("table2", "DeiT-Tiny, accuracy in per cent: piecewise affine matrix products", _TABLE_2, load)


def table5(load: Load) -> Table:
    """Five networks on CIFAR-10 with piecewise affine matrix products."""
    title = "CIFAR-10, accuracy in per cent: piecewise affine matrix products"
    return _beside("table5", title, _TABLE_5, load)


def _beside(name: str, title: str, rows: dict[str, tuple[str, Reported, Reported]], load: Load) -> Table:
    cells: list[Cell] = []
    for row, (recipe_name, baseline, paper) in rows.items():
        recipe = load(recipe_name)
        cells.append(Cell(row, "baseline", recipe, STANDARD, baseline, baseline))
        cells.append(Cell(row, "PA matmul", recipe, MATMUL, paper, baseline))
    return Table(name, title, tuple(cells), ("baseline", "PA matmul"))


def table3(load: Load, task: str = PAPER_TASK) -> Table:
    """A Transformer for translation in which groups of operations are replaced, alone and one after the other.

    Args:
        load: see ``Load``.
        task: the recipe; the paper's is "iwslt14".
    """
    recipe = load(task)
    cells = [Cell("baseline", "cumulative", recipe, STANDARD, _BASELINE_3, _BASELINE_3)]
    replaced: list[Part] = []
    for row, parts in _STEPS.items():
        replaced += parts
        for column, paper in _TABLE_3[row].items():
            if column == "cumulative":
                arithmetic = Arithmetic(policy="full") if row == _LAST else _replacing(replaced)
            else:
                arithmetic = _replacing(parts, column)
            cells.append(Cell(row, column, recipe, arithmetic, paper, _BASELINE_3))
    notes = (
        "The optimizer has no derivative: it stands under exact.",
        "The last cumulative row replaces everything, also activation functions other than ReLU where there are any.",
        "Attention softmax: with the scale of the scores and all other elementwise products, dropout's among them.",
    )
    name = "table3" if task == PAPER_TASK else f"table3-{recipe.name}"
    title = f"{recipe.name}: groups of operations replaced"
    return Table(name, title, tuple(cells), get_args(Column), notes, task == PAPER_TASK)


def _replacing(parts: Sequence[Part], kind: Derivative | None = None) -> Arithmetic:
    """These groups replaced, with derivatives of one kind or each with its better one, which is the default."""
    other: dict[str, Derivative] = {}
    if kind is not None:
        other = {part: kind for part in parts if part != "optimizer" and kind != _BETTER.get(part, "approximate")}
    if tuple(parts) == ("matmul",):
        return Arithmetic(policy="matmul", derivative=Derivatives(**other))
    return Arithmetic(policy="standard", parts=tuple(parts), derivative=Derivatives(**other))


def table6(load: Load, task: str = PAPER_TASK, narrow: Pass = "both") -> Table:
    """Matrix products that read narrow mantissas, in VGG-13 and translation.

    Args:
        load: see ``Load``.
        task: the recipe of the second column; the paper's is "iwslt14".
        narrow: the passes in which mantissas are narrow; both in the paper.
    """
    second = "translation" if task == PAPER_TASK else load(task).name
    columns = {"VGG-13": (load("cifar10-vgg13"), Reported(92.9, 0.3)), second: (load(task), _BASELINE_3)}
    cells: list[Cell] = []
    for index, (column, (recipe, baseline)) in enumerate(columns.items()):
        cells.append(Cell("float32", column, recipe, STANDARD, baseline, baseline))
        for bits, figures in _TABLE_6.items():
            arithmetic = MATMUL if bits == 23 else Arithmetic(policy="matmul", mantissa_bits=bits, narrow=narrow)
            paper = figures[index] if narrow == "both" or bits == 23 else None
            row = f"PAM, {bits} bit{'s' if bits > 1 else ''}"
            cells.append(Cell(row, column, recipe, arithmetic, paper, baseline))
    notes = () if narrow == "both" else (f"Mantissas are narrow in the {narrow} pass only; the other reads 23 bits.",)
    name = "-".join(["table6", *([] if task == PAPER_TASK else [second]), *([] if narrow == "both" else [narrow])])
    place = "" if narrow == "both" else f" in the {narrow} pass"
    title = f"Matrix products with narrow mantissas{place}"
    return Table(name, title, tuple(cells), tuple(columns), notes, task == PAPER_TASK)
