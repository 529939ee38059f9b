"""``einsum`` as a sequence of matrix products from left to right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Unpack

from torch import Tensor

from mulfree.functional._elementwise import mul
from mulfree.functional._options import ProductOptions
from mulfree.functional._products import matmul
from mulfree.functional._sums import sum
from mulfree.functional._widening import computed_wide

Labels = tuple[str, ...]


def einsum(equation: str | Tensor, *operands: Any, **options: Unpack[ProductOptions]) -> Tensor:
    """``torch.einsum`` in any of its forms: repeated labels, ellipses, any number of operands, sublists.

    In this order: a label that an operand repeats takes its diagonal, and one of size one that is larger elsewhere is
    dropped. Then the operands are joined from left to right. Before two are joined, labels that only one of them has
    and nothing later needs are summed out of it. Labels that both have and nothing later needs are summed in one
    ``matmul``, flattened in the order of the left operand; without such labels the step is ``mul``, which knows no
    ``mantissa_bits``. One operand is summed and permuted. No other order is tried, whatever the sizes.

    Raises:
        RuntimeError: an equation that does not fit the operands; says where.
    """
    text, tensors = _as_text(equation, operands)
    inputs, output = _parse(text, tensors)

    def run(*parts: Tensor) -> Tensor:
        return _joined(list(parts), inputs, output, options)

    return computed_wide("einsum", run, **{f"operands[{i}]": x for i, x in enumerate(tensors)})


def _as_text(equation: str | Tensor, operands: tuple[Any, ...]) -> tuple[str, list[Tensor]]:
    """The equation and the operands; sublists of numbers (and Ellipsis) become letters."""
    if isinstance(equation, str):
        listed = len(operands) == 1 and isinstance(operands[0], list | tuple)
        return equation.replace(" ", ""), list(operands[0] if listed else operands)
    items = [equation, *operands]
    has_output = len(items) % 2 == 1
    lists = items[1::2] if not has_output else items[1:-1:2]
    text = ",".join(map(_letters, lists))
    return text + ("->" + _letters(items[-1]) if has_output else ""), items[0 : 2 * len(lists) : 2]


def _letters(labels: Sequence[Any]) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for label in labels:
        if label is not Ellipsis and not 0 <= label < len(alphabet):
            raise RuntimeError(f"einsum(): labels of a sublist must be 0 to {len(alphabet) - 1}, got {label}")
    return "".join("..." if label is Ellipsis else alphabet[label] for label in labels)


def _parse(equation: str, operands: list[Tensor]) -> tuple[list[Labels], Labels]:
    """Labels of every dimension of the operands and of the output; those of an ellipsis are "...0" and so on."""
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise RuntimeError(f"einsum(): {equation!r} has {len(terms)} operands, got {len(operands)}")
    widths = [x.dim() - len(term.replace("...", "")) for term, x in zip(terms, operands, strict=True)]
    for place, (term, width) in enumerate(zip(terms, widths, strict=True)):
        if width < 0 or (width > 0 and "..." not in term):
            raise RuntimeError(
                f"einsum(): {term!r} does not fit the {operands[place].dim()} dimensions of operand {place}"
            )
    widest = max([width for term, width in zip(terms, widths, strict=True) if "..." in term], default=0)
    ellipsis = tuple(f"...{i}" for i in range(widest))
    inputs = [_labels(equation, term, ellipsis[widest - width :]) for term, width in zip(terms, widths, strict=True)]
    used = [label for labels in inputs for label in labels]
    if arrow:
        output = _labels(equation, right, ellipsis)
    else:
        output = (*ellipsis, *sorted(label for label in set(used) if used.count(label) == 1 and len(label) == 1))
    for label in output:
        if label not in used or output.count(label) > 1:
            raise RuntimeError(f"einsum(): the output of {equation!r} must have labels of the operands, each once")
    return inputs, output


def _labels(equation: str, term: str, ellipsis: Labels) -> Labels:
    before, dots, after = term.partition("...")
    if not all(c.isascii() and c.isalpha() for c in before + after):
        raise RuntimeError(f"einsum(): labels must be letters or one '...', got {term!r} in {equation!r}")
    return (*before, *(ellipsis if dots else ()), *after)


def _joined(operands: list[Tensor], inputs: list[Labels], output: Labels, options: ProductOptions) -> Tensor:
    terms = _of_one_size([_diagonal(x, labels) for x, labels in zip(operands, inputs, strict=True)])
    result, labels = terms[0]
    for place, term in enumerate(terms[1:], start=1):
        later = {label for _, rest in terms[place + 1 :] for label in rest}.union(output)
        result, labels = _summed(result, labels, later.union(term[1]))
        x, others = _summed(*term, later.union(labels))
        result, labels = _product(result, labels, x, others, later, options)
    result, labels = _summed(result, labels, set(output))
    return result.permute([labels.index(label) for label in output])


def _diagonal(x: Tensor, labels: Labels) -> tuple[Tensor, Labels]:
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if x.shape[first] != x.shape[second]:
                raise RuntimeError(
                    f"einsum(): label {label!r} is repeated for sizes {x.shape[first]} and {x.shape[second]}"
                )
            x = x.diagonal(0, first, second).movedim(-1, first)
            labels = labels[:second] + labels[second + 1 :]
    return x, labels


def _of_one_size(terms: list[tuple[Tensor, Labels]]) -> list[tuple[Tensor, Labels]]:
    """Every label has one size; where an operand has size one instead, it loses the label."""
    sizes: dict[str, int] = {}
    for place, (x, labels) in enumerate(terms):
        for label, size in zip(labels, x.shape, strict=True):
            known = sizes.get(label, 1)
            if 1 not in (known, size) and known != size:
                raise RuntimeError(f"einsum(): label {label!r} has size {size} in operand {place}, {known} before")
            sizes[label] = size if known == 1 else known
    found = []
    for x, labels in terms:
        kept = [i for i, label in enumerate(labels) if x.shape[i] == sizes[label]]
        shape = [x.shape[i] for i in kept]
        found.append((x if len(kept) == x.dim() else x.reshape(shape), tuple(labels[i] for i in kept)))
    return found


def _summed(x: Tensor, labels: Labels, needed: set[str]) -> tuple[Tensor, Labels]:
    """Labels that are not needed are summed out."""
    gone = [i for i, label in enumerate(labels) if label not in needed]
    if gone:
        x = sum(x, gone)
    return x, tuple(label for label in labels if label in needed)


def _product(
    left: Tensor, labels: Labels, right: Tensor, others: Labels, later: set[str], options: ProductOptions
) -> tuple[Tensor, Labels]:
    batch = tuple(label for label in labels if label in others and label in later)
    inner = tuple(label for label in labels if label in others and label not in later)
    rows = tuple(label for label in labels if label not in others)
    columns = tuple(label for label in others if label not in labels)
    result = (*batch, *rows, *columns)
    if not inner:
        how: dict[str, Any] = {key: value for key, value in options.items() if key != "mantissa_bits"}
        a = _arranged(left, labels, result)
        return mul(a, _arranged(right, others, result), **how), result
    sizes = dict(zip(labels, left.shape, strict=True)) | dict(zip(others, right.shape, strict=True))
    shape = [sizes[label] for label in result]
    m, k, n = (_entries(sizes, group) for group in (rows, inner, columns))
    outer = [sizes[label] for label in batch]
    a = _arranged(left, labels, (*batch, *rows, *inner)).reshape(*outer, m, k)
    b = _arranged(right, others, (*batch, *inner, *columns)).reshape(*outer, k, n)
    return matmul(a, b, **options).reshape(shape), result


def _entries(sizes: dict[str, int], labels: Labels) -> int:
    found: list[int] = [sizes[label] for label in labels]
    return math.prod(found)


def _arranged(x: Tensor, labels: Labels, wanted: Labels) -> Tensor:
    """Dimensions in the order of ``wanted``, of size one for labels that ``x`` lacks."""
    x = x.permute([labels.index(label) for label in wanted if label in labels])
    for place, label in enumerate(wanted):
        if label not in labels:
            x = x.unsqueeze(place)
    return x
