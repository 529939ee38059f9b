"""Losses of class scores: cross-entropy in base e and base 2, negative log-likelihood, multi-class margin."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.functional._base2 import log_softmax2
from mulfree.functional._composing import expanded
from mulfree.functional._elementwise import div, mul
from mulfree.functional._options import Derivative, is_exact
from mulfree.functional._reduction import Reduction, check_options, reduced
from mulfree.functional._rows import log_softmax
from mulfree.functional._sums import sum
from mulfree.functional._widening import all_widened
from mulfree.ops import rows
from mulfree.ops.constants import difference, quotient
from mulfree.ops.targets import class_entries

_NOTHING = -(1 << 63)
"""An ignored index where a function ignores none."""


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.cross_entropy``, from w = ``-log_softmax(x)`` (spec 7).

    With class indices t: ``mul(w[t], 1 - s) + mul(sum(w), div(s, classes))``, just w[t] for smoothing s = 0; class
    weights c make it c[t] w[t] and the sum of c w. With probabilities y: ``sum(mul(mul(w, c), y))``, where y becomes
    ``mul(y, 1 - s) + div(s, classes)``.

    Args:
        input: ``(classes,)``, ``(rows, classes)`` or ``(rows, classes, *dims)``.
        target: int64 class indices ``()``, ``(rows,)`` or ``(rows, *dims)``; or probabilities of the shape and dtype
            of ``input``.
        weight: ``(classes,)``, a constant. The mean over class indices is over the sum of their weights.
        ignore_index: rows with this index give +0 and are not counted by the mean.
        label_smoothing: 0 to 1; weight of the uniform distribution in the target.
        derivative: "exact" by default, the paper's choice for the loss (Table 3).

    Raises:
        IndexError: a target is no class.
        RuntimeError: shapes do not fit, ``label_smoothing`` is out of range, or ``weight`` requires a gradient.
        TypeError: dtypes do not fit.

    Deviations: ``size_average`` and ``reduce``, deprecated in torch, must be None.
    """
    check_options("cross_entropy", reduction, size_average, reduce)
    _check_smoothing("cross_entropy", label_smoothing)
    indices = not _is_probabilities(input, target)
    if indices and (weight is None or label_smoothing == 0):
        return _fused(input, target, weight, ignore_index, reduction, label_smoothing, derivative)
    return _composed(
        "cross_entropy", log_softmax, input, target, weight, ignore_index, reduction, label_smoothing, derivative
    )


def cross_entropy2(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """Cross-entropy in base 2 (section 5 of the paper): ``cross_entropy`` with ``log_softmax2``, in bits.

    Scores are exponents of two, so neither they nor the loss are scaled by log2(e). It is ``cross_entropy`` of
    scores ln(2) times as large, over ln(2).

    Args:
        input, target, weight, ignore_index, reduction, label_smoothing, derivative: as in ``cross_entropy``.

    Raises:
        The errors of ``cross_entropy``.
    """
    check_options("cross_entropy2", reduction, None, None)
    _check_smoothing("cross_entropy2", label_smoothing)
    return _composed(
        "cross_entropy2", log_softmax2, input, target, weight, ignore_index, reduction, label_smoothing, derivative
    )


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: Reduction = "mean",
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.nll_loss``: ``-input[t]``, by ``mul`` with ``weight[t]``; see ``cross_entropy``.

    Args:
        input: logarithms of probabilities, ``(classes,)``, ``(rows, classes)`` or ``(rows, classes, *dims)``.
        target, weight, ignore_index: as the class indices of ``cross_entropy``.
    """
    check_options("nll_loss", reduction, size_average, reduce)
    dtype = _checked("nll_loss", input, weight)
    logs, indices = _index_rows("nll_loss", input, target)
    own, count = class_entries(-logs, indices, ignore_index)
    return _indexed_loss(own, count, indices, weight, ignore_index, reduction, derivative, target.shape, dtype)


def _check_smoothing(operation: str, label_smoothing: float) -> None:
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"{operation}(): label_smoothing must be between 0 and 1, got {label_smoothing}")


def _is_probabilities(input: Tensor, target: Tensor) -> bool:
    return target.shape == input.shape and input.dim() > 0


def _checked(operation: str, input: Tensor, weight: Tensor | None) -> torch.dtype:
    """The dtype of scores and class weights."""
    if input.dim() == 0:
        raise RuntimeError(f"{operation}(): 'input' must have at least one dimension")
    if weight is not None:
        classes = input.shape[0 if input.dim() == 1 else 1]
        if weight.shape != (classes,):
            raise RuntimeError(
                f"{operation}(): 'weight' must be ({classes},), one number a class, got {tuple(weight.shape)}"
            )
        if weight.requires_grad:
            raise RuntimeError(f"{operation}(): 'weight' is a constant here and must not require a gradient")
    return all_widened(operation, input=input, weight=weight)[0]


def _class_rows(x: Tensor) -> Tensor:
    """``(rows, classes)`` in float32."""
    if x.dim() != 2:
        x = x.movedim(0 if x.dim() == 1 else 1, -1)
        x = x.reshape(x.shape[:-1].numel(), x.shape[-1])
    return x.float()


def _index_rows(operation: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    expected = input.shape[:1] + input.shape[2:] if input.dim() > 1 else torch.Size()
    if target.shape != expected:
        raise RuntimeError(
            f"{operation}(): 'target' must be {tuple(expected)} for 'input' {tuple(input.shape)}, "
            f"got {tuple(target.shape)}"
        )
    return _class_rows(input), target.reshape(-1)


def _indexed_loss(
    losses: Tensor,
    count: Tensor,
    indices: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    derivative: Derivative,
    shape: torch.Size,
    dtype: torch.dtype,
) -> Tensor:
    """Weights the losses of rows by their classes and reduces them."""
    divisor = count
    if weight is not None:
        of_rows = _weights_of(weight, indices, ignore_index)
        losses, divisor = mul(losses, of_rows, derivative=derivative), sum(of_rows)
    return _over_rows(losses, divisor, reduction, derivative, shape, dtype)


def _weights_of(weight: Tensor, indices: Tensor, ignore_index: int) -> Tensor:
    found: Tensor = class_entries(weight.float().expand(indices.numel(), -1), indices, ignore_index)[0]
    return found


def _over_rows(
    losses: Tensor, divisor: Tensor, reduction: str, derivative: Derivative, shape: torch.Size, dtype: torch.dtype
) -> Tensor:
    is_exact(derivative)
    if reduction == "none":
        return round_to(losses.reshape(shape), dtype)
    total = sum(losses)
    return round_to(total if reduction == "sum" else div(total, divisor, derivative=derivative), dtype)


def _fused(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
    derivative: Derivative,
) -> Tensor:
    dtype = _checked("cross_entropy", input, weight)
    matrix, indices = _index_rows("cross_entropy", input, target)
    losses, count, _ = rows.cross_entropy(matrix, indices, ignore_index, label_smoothing, is_exact(derivative))
    return _indexed_loss(losses, count, indices, weight, ignore_index, reduction, derivative, target.shape, dtype)


def _composed(
    operation: str,
    logarithms: Callable[..., Tensor],
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
    derivative: Derivative,
) -> Tensor:
    dtype = _checked(operation, input, weight)
    classes = input.shape[0 if input.dim() == 1 else 1]
    by_target, by_class = difference(1.0, label_smoothing), quotient(label_smoothing, float(classes))
    if _is_probabilities(input, target):
        all_widened(operation, input=input, target=target)
        terms = -logarithms(_class_rows(input), 1, derivative=derivative)
        if weight is not None:
            terms = mul(terms, weight.float(), derivative=derivative)
        wanted = _class_rows(target)
        if label_smoothing:
            wanted = mul(wanted, by_target, derivative=derivative) + by_class
        losses = sum(mul(terms, wanted, derivative=derivative), 1)
        shape = input.shape[:1] + input.shape[2:] if input.dim() > 1 else torch.Size()
        divisor = torch.full((), float(losses.numel()), device=losses.device)
        return _over_rows(losses, divisor, reduction, derivative, shape, dtype)
    matrix, indices = _index_rows(operation, input, target)
    # What ignored rows hold must not reach the gradient, not even as NaN times zero.
    ignored = indices == ignore_index
    terms = -logarithms(matrix.masked_fill(ignored.unsqueeze(1), 0.0), 1, derivative=derivative)
    own, divisor = class_entries(terms, indices, ignore_index)
    if weight is not None:
        of_rows = _weights_of(weight, indices, ignore_index)
        own, divisor = mul(own, of_rows, derivative=derivative), sum(of_rows)
        terms = mul(terms, weight.float(), derivative=derivative)
    if label_smoothing:
        uniform = sum(terms, 1).masked_fill(ignored, 0.0)
        own = mul(own, by_target, derivative=derivative) + mul(uniform, by_class, derivative=derivative)
    return _over_rows(own, divisor, reduction, derivative, target.shape, dtype)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: Reduction = "mean",
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.multi_margin_loss``: the sum over the other classes of max(0, margin - x[t] + x), by
    ``mul`` squared for p = 2 and weighted with ``weight[t]``, then ``div`` by the number of classes.

    Args:
        input: ``(classes,)`` or ``(rows, classes)``.
        target: int64 class indices ``()`` or ``(rows,)``.
    """
    check_options("multi_margin_loss", reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss(): p must be 1 or 2, got {p}")
    if input.dim() > 2:
        raise RuntimeError(f"multi_margin_loss(): 'input' must have at most 2 dimensions, got {tuple(input.shape)}")
    if input.dim() == 0:
        input = input.reshape(1)
    dtype = _checked("multi_margin_loss", input, weight)
    single = input.dim() == 1 and target.shape == (1,)  # torch takes it for ()
    x, indices = _index_rows("multi_margin_loss", input, target.reshape(()) if single else target)
    own = class_entries(x, indices, _NOTHING)[0]
    hinges = (expanded((margin - own).unsqueeze(1), x.shape) + x).clamp(min=0)
    is_own = torch.arange(x.shape[1], device=x.device) == indices.unsqueeze(1)
    hinges = hinges.masked_fill(is_own, 0.0)
    if p == 2:
        hinges = mul(hinges, hinges, derivative=derivative)
    if weight is not None:
        of_rows = _weights_of(weight, indices, _NOTHING).unsqueeze(1)
        hinges = mul(hinges, of_rows, derivative=derivative)
    losses = div(sum(hinges, 1), float(x.shape[1]), derivative=derivative)
    return reduced(losses.reshape(target.shape), reduction, derivative, dtype)
