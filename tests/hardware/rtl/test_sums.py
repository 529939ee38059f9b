"""Multiply-accumulate, dot product and tile against ``mulfree.functional.matmul``: the same bits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

pytest.importorskip("amaranth", reason="Amaranth is not installed: pip install 'mulfree[hdl]'")

from mulfree import functional as MF
from mulfree.hardware.rtl import BFLOAT16, FLOAT16, FLOAT32, Format, unit
from mulfree.hardware.rtl.simulation import clocked
from mulfree.numerics import scalar

DTYPES = {BFLOAT16: torch.bfloat16, FLOAT16: torch.float16, FLOAT32: torch.float32}
FORMATS = pytest.mark.parametrize("format", DTYPES, ids=str)


def _words(tensor: Tensor) -> list[int]:
    integers = torch.int32 if tensor.dtype == torch.float32 else torch.int16
    return [
        word & (1 << 8 * tensor.element_size()) - 1 for word in tensor.contiguous().view(integers).flatten().tolist()
    ]


def _operand(format: Format, *shape: int) -> Tensor:
    """Numbers that are normal in every format."""
    numbers = torch.randn(shape)
    return torch.where(numbers.abs() < 1e-3, 1.0, numbers).to(DTYPES[format])


def _dot(format: Format, a: Tensor, b: Tensor, lanes: int, product: str = "pam", **options: float) -> list[int]:
    """One dot product after the other, with a pause after every second one."""
    cycles = []
    for index, (left, right) in enumerate(zip(a, b, strict=True)):
        missing = -len(left) % lanes
        words = [_words(operand) + [0] * missing for operand in (left, right)]
        for start in range(0, len(words[0]), lanes):
            group = {f"{name}_{lane}": words[i][start + lane] for i, name in enumerate("ab") for lane in range(lanes)}
            ends = {"first": int(start == 0), "last": int(start + lanes >= len(words[0]))}
            cycles.append({**group, **ends, "valid": 1})
        cycles += [{"valid": 0}] * (index % 2)
    found = clocked(unit(f"{product}_dot", format, lanes=lanes, **options), [*cycles, {"valid": 0}, {}], ["y", "done"])
    return [words["y"] for words in found if words["done"]]


@FORMATS
@pytest.mark.parametrize(("lanes", "length"), [(4, 7), (1, 5)])
def test_dot_products(format: Format, lanes: int, length: int) -> None:
    torch.manual_seed(length)
    a, b = _operand(format, 3, length), _operand(format, 3, length)
    b[2] = -a[2]  # negative throughout
    a[1, : length // 2 * 2 : 2], b[1, : length // 2 * 2 : 2] = a[1, 1::2][: length // 2], -b[1, 1::2][: length // 2]
    expected = _words(MF.matmul(a.float()[:, None], b.float()[..., None]))
    assert _dot(format, a, b, lanes) == expected


def test_dot_products_of_a_full_chunk_and_of_one_more() -> None:
    torch.manual_seed(0)
    for length in (256, 260):
        a, b = _operand(BFLOAT16, 1, length), _operand(BFLOAT16, 1, length)
        expected = _words(MF.matmul(a.float()[:, None], b.float()[..., None]))
        assert _dot(BFLOAT16, a, b, 4) == expected


def test_a_zero_total_is_positive() -> None:
    a, b = torch.tensor([[-0.0, 0.0, 2.0, 2.0]]), torch.tensor([[3.0, -1.0, 1.0, -1.0]])
    assert _dot(FLOAT32, a, b, 2) == [0]


def test_compensated_dot_product() -> None:
    torch.manual_seed(1)
    a, b = _operand(FLOAT32, 2, 9), _operand(FLOAT32, 2, 9)
    expected = _words(MF.matmul(a[:, None], b[..., None], compensation=1.0435))
    assert _dot(FLOAT32, a, b, 4, alpha=1.0435) == expected


def test_dot_product_of_ieee_products() -> None:
    """Products of bfloat16 are exact in float32."""
    torch.manual_seed(5)
    a, b = _operand(BFLOAT16, 1, 8), _operand(BFLOAT16, 1, 8)
    total = torch.tensor(0.0)
    for left, right in zip(a[0].float(), b[0].float(), strict=True):
        total = total + left * right
    assert _dot(BFLOAT16, a, b, 2, "ieee") == _words(total)


@FORMATS
def test_accumulation_in_any_order_of_the_user(format: Format) -> None:
    torch.manual_seed(2)
    a, b = _operand(format, 12), _operand(format, 12)
    cycles = [
        {"a": left, "b": right, "clear": int(index in (0, 7)), "enable": int(index != 3)}
        for index, (left, right) in enumerate(zip(_words(a), _words(b), strict=True))
    ]
    found = [words["sum"] for words in clocked(unit("pam_mac", format), [*cycles, {"enable": 0}, {}, {}], ["sum"])]
    total = 0
    for index, cycle in enumerate(cycles):
        before = 0 if cycle["clear"] else total
        if cycle["enable"]:
            total = scalar.add(before, scalar.mul(format.widened(cycle["a"]), format.widened(cycle["b"])))
        assert found[index + 2] == total
    assert found[-1] == total


def _tile(format: Format, a: Tensor, w: Tensor, sums: list[list[int]]) -> list[list[int]]:
    """Rows of results: ``a`` is (n, rows), ``w`` (rows, columns), ``sums`` what enters at the top."""
    rows, columns = w.shape
    tile = unit("pam_tile", format, rows=rows, columns=columns)
    weights = [_words(row) for row in w]
    load = [{"load": 1, **{f"w_{column}": word for column, word in enumerate(words)}} for words in reversed(weights)]
    work = [
        {
            "load": 0,
            **{f"a_{row}": word for row, word in enumerate(_words(line))},
            **{f"sum_in_{column}": word for column, word in enumerate(top)},
        }
        for line, top in zip(a, sums, strict=True)
    ]
    outputs = [f"sum_out_{column}" for column in range(columns)]
    latency = rows + columns - 1
    found = clocked(tile, [*load, *work, *[{}] * latency], outputs)[rows + latency :]
    return [[words[name] for name in outputs] for words in found]


@FORMATS
def test_tile_after_tile(format: Format) -> None:
    """Five products by tiles of 3 and 2 rows: the sums of the first enter the second."""
    torch.manual_seed(3)
    a, w = _operand(format, 4, 5), _operand(format, 5, 3)
    sums = [[0] * 3 for _ in range(4)]
    for part in (slice(0, 3), slice(3, 5)):
        sums = _tile(format, a[:, part], w[part], sums)
    assert [word for row in sums for word in row] == _words(MF.matmul(a.float(), w.float()))


def test_tiles_of_one_row_or_column() -> None:
    torch.manual_seed(4)
    for rows, columns in ((1, 2), (2, 1)):
        a, w = _operand(BFLOAT16, 3, rows), _operand(BFLOAT16, rows, columns)
        found = _tile(BFLOAT16, a, w, [[0] * columns for _ in range(3)])
        assert [word for row in found for word in row] == _words(MF.matmul(a.float(), w.float()))
