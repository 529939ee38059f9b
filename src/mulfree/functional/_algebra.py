"""Products of vectors, matrices and batches of them, by ``matmul`` and ``mul``.

The options of ``matmul`` belong to all that sum; ``outer``, ``kron`` and ``cross`` take those of ``mul``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Unpack

import torch
from torch import Tensor

from mulfree.functional._elementwise import mul
from mulfree.functional._options import Derivatives, MulOptions, ProductOptions
from mulfree.functional._products import linear, matmul
from mulfree.functional._sums import sum
from mulfree.functional._widening import computed_wide

Dims = int | Tensor | Sequence[Sequence[int]]


def _require_dims(name: str, *operands: tuple[str, Tensor, int]) -> None:
    for argument, x, dims in operands:
        if x.dim() != dims:
            raise RuntimeError(f"{name}(): '{argument}' must have {dims} dimensions, got {tuple(x.shape)}")


def mm(input: Tensor, mat2: Tensor, **options: Unpack[ProductOptions]) -> Tensor:
    """``torch.mm``: ``matmul`` of matrices ``(m, k)`` and ``(k, n)``."""
    _require_dims("mm", ("input", input, 2), ("mat2", mat2, 2))
    return matmul(input, mat2, **options)


def bmm(input: Tensor, mat2: Tensor, **options: Unpack[ProductOptions]) -> Tensor:
    """``torch.bmm``: ``matmul`` of ``(b, m, k)`` and ``(b, k, n)``."""
    _require_dims("bmm", ("input", input, 3), ("mat2", mat2, 3))
    if input.shape[0] != mat2.shape[0]:
        raise RuntimeError(f"bmm(): batches must have one size, got {tuple(input.shape)} and {tuple(mat2.shape)}")
    return matmul(input, mat2, **options)


def mv(input: Tensor, vec: Tensor, **options: Unpack[ProductOptions]) -> Tensor:
    """``torch.mv``: ``matmul`` of ``(m, k)`` and ``(k,)``."""
    _require_dims("mv", ("input", input, 2), ("vec", vec, 1))
    return matmul(input, vec, **options)


def dot(input: Tensor, tensor: Tensor, **options: Unpack[ProductOptions]) -> Tensor:
    """``torch.dot``: ``matmul`` of two vectors."""
    _require_dims("dot", ("input", input, 1), ("tensor", tensor, 1))
    return matmul(input, tensor, **options)


def vdot(input: Tensor, other: Tensor, **options: Unpack[ProductOptions]) -> Tensor:
    """``torch.vdot`` of real vectors: ``dot``."""
    _require_dims("vdot", ("input", input, 1), ("other", other, 1))
    return matmul(input, other, **options)


def inner(input: Tensor, other: Tensor, **options: Unpack[ProductOptions]) -> Tensor:
    """``torch.inner``: sums over the last dimension of both; ``mul`` if one has no dimension."""
    if input.dim() == 0 or other.dim() == 0:
        return mul(input, other, **_without_bits(options))
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(f"inner(): last sizes must be equal, got {tuple(input.shape)} and {tuple(other.shape)}")
    return tensordot(input, other, ([-1], [-1]), **options)


def outer(input: Tensor, vec2: Tensor, **options: Unpack[MulOptions]) -> Tensor:
    """``torch.outer``: ``mul`` of every pair of entries, ``(m,), (n,) -> (m, n)``."""
    _require_dims("outer", ("input", input, 1), ("vec2", vec2, 1))
    return mul(input.unsqueeze(1), vec2, **options)


ger = outer


def kron(input: Tensor, other: Tensor, **options: Unpack[MulOptions]) -> Tensor:
    """``torch.kron``: ``mul`` of every pair of entries; sizes are multiplied dimension by dimension."""
    dims = max(input.dim(), other.dim())
    left, right = (x[(None,) * (dims - x.dim()) + (...,)] for x in (input, other))
    interleaved = mul(_interleaved(left, 1), _interleaved(right, 0), **options)
    return interleaved.reshape([a * b for a, b in zip(left.shape, right.shape, strict=True)])


def _interleaved(x: Tensor, place: int) -> Tensor:
    """A dimension of size one after (``place`` 1) or before (0) each of ``x``."""
    for dim in reversed(range(x.dim())):
        x = x.unsqueeze(dim + place)
    return x


def cross(input: Tensor, other: Tensor, dim: int | None = None, **options: Unpack[MulOptions]) -> Tensor:
    """``torch.cross``, ``torch.linalg.cross``: ``mul(a1, b2) - mul(a2, b1)`` and so on.

    ``dim`` is that of the three components: the first of size 3 if None, as in ``torch.cross``.
    """
    if input.dim() != other.dim():
        raise RuntimeError(
            f"cross(): 'input' and 'other' must have as many dimensions, got {tuple(input.shape)} and "
            f"{tuple(other.shape)}"
        )
    shape = torch.broadcast_shapes(input.shape, other.shape)
    if dim is None:
        if 3 not in shape:
            raise RuntimeError(f"cross(): no dimension of size 3 in {tuple(shape)}")
        dim = shape.index(3)
    dim = dim - len(shape) if dim >= 0 else dim
    if not -len(shape) <= dim < 0 or not input.shape[dim] == other.shape[dim] == 3:
        raise RuntimeError(
            f"cross(): 'input' and 'other' must have size 3 in dimension {dim}, got {tuple(input.shape)} and "
            f"{tuple(other.shape)}"
        )
    left = mul(input.roll(-1, dim), other.roll(-2, dim), **options)
    return left - mul(input.roll(-2, dim), other.roll(-1, dim), **options)


def tensordot(a: Tensor, b: Tensor, dims: Dims = 2, **options: Unpack[ProductOptions]) -> Tensor:
    """``torch.tensordot``: one ``matmul``, the summed dimensions flattened in the order given.

    Where a summed dimension has size one in one operand only, the other operand is summed over it first.
    """
    dims_a, dims_b = _tensordot_dims(a, b, dims)
    for i, j in zip(dims_a, dims_b, strict=True):
        if a.shape[i] != b.shape[j]:
            if a.shape[i] == 1:
                b = sum(b, j, True)
            elif b.shape[j] == 1:
                a = sum(a, i, True)
            else:
                raise RuntimeError(
                    f"tensordot(): summed dimensions must agree, got {a.shape[i]} (dimension {i} of 'a') and "
                    f"{b.shape[j]} (dimension {j} of 'b')"
                )
    free_a, free_b = ([i for i in range(x.dim()) if i not in taken] for x, taken in ((a, dims_a), (b, dims_b)))
    depth = math.prod(a.shape[i] for i in dims_a)
    rows, columns = [a.shape[i] for i in free_a], [b.shape[j] for j in free_b]
    left = a.permute(*free_a, *dims_a).reshape(math.prod(rows), depth)
    right = b.permute(*dims_b, *free_b).reshape(depth, math.prod(columns))
    return matmul(left, right, **options).reshape([*rows, *columns])


def _tensordot_dims(a: Tensor, b: Tensor, dims: Dims) -> tuple[list[int], list[int]]:
    if isinstance(dims, Tensor):
        dims = int(dims) if dims.numel() == 1 else dims.tolist()
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.dim(), b.dim()):
            raise RuntimeError(f"tensordot(): dims must be 0 to {min(a.dim(), b.dim())}, got {dims}")
        return list(range(a.dim() - dims, a.dim())), list(range(dims))
    if len(dims) != 2 or len(dims[0]) != len(dims[1]):
        raise RuntimeError(f"tensordot(): dims must be a number or two lists of one length, got {dims}")
    found = _counted_from_front(a, dims[0]), _counted_from_front(b, dims[1])
    for x, listed, whole in zip((a, b), dims, found, strict=True):
        if len(set(whole)) != len(whole) or any(not -x.dim() <= d < x.dim() for d in listed):
            raise RuntimeError(f"tensordot(): dims {listed} are not different dimensions of {tuple(x.shape)}")
    return found


def _counted_from_front(x: Tensor, dims: Sequence[int]) -> list[int]:
    return [d % max(x.dim(), 1) for d in dims]


def multi_dot(tensors: Sequence[Tensor], **options: Unpack[ProductOptions]) -> Tensor:
    """``torch.linalg.multi_dot``: ``matmul`` from left to right, whatever the sizes."""
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): at least two tensors are needed, got {len(tensors)}")
    for i, x in enumerate(tensors):
        ends = i in (0, len(tensors) - 1)
        if x.dim() != 2 and not (ends and x.dim() == 1):
            raise RuntimeError(f"multi_dot(): tensor {i} must be a matrix{' or a vector' * ends}, got {tuple(x.shape)}")
    result = tensors[0]
    for x in tensors[1:]:
        result = matmul(result, x, **options)
    return result


def chain_matmul(*matrices: Tensor, **options: Unpack[ProductOptions]) -> Tensor:
    """``torch.chain_matmul``: ``mm`` from left to right, whatever the sizes; one matrix is returned as it is."""
    if not matrices:
        raise RuntimeError("chain_matmul(): at least one matrix is needed")
    _require_dims("chain_matmul", *((f"matrix {i}", x, 2) for i, x in enumerate(matrices)))
    return matrices[0] if len(matrices) == 1 else multi_dot(matrices, **options)


def bilinear(
    input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None, **options: Unpack[ProductOptions]
) -> Tensor:
    """``torch.nn.functional.bilinear``: ``input1`` times ``weight`` first, then times ``input2``.

    Args:
        input1, input2: ``(*batch, in1)`` and ``(*batch, in2)``.
        weight: ``(out, in1, in2)``.
        bias: ``(out,)``.
    """
    _require_dims("bilinear", ("weight", weight, 3))
    if input1.shape[:-1] != input2.shape[:-1] or (input1.shape[-1:] + input2.shape[-1:]) != weight.shape[1:]:
        raise RuntimeError(
            "bilinear(): inputs must be (*batch, in1), (*batch, in2) and weight (out, in1, in2), got "
            f"{tuple(input1.shape)}, {tuple(input2.shape)} and {tuple(weight.shape)}"
        )

    def product(left: Tensor, right: Tensor, factor: Tensor, added: Tensor | None = None) -> Tensor:
        partial = matmul(left, factor.transpose(0, 1).flatten(1), **options).unflatten(-1, factor.shape[::2])
        result = matmul(partial, right.unsqueeze(-1), **options).squeeze(-1)
        return result if added is None else result + _scaled(added, 1, result.shape, "approximate")

    return computed_wide("bilinear", product, input1=input1, input2=input2, weight=weight, bias=bias)


def _scaled(x: Tensor, factor: float, shape: torch.Size, derivative: Derivatives) -> Tensor:
    """``mul(x, factor)`` broadcast to ``shape``; nothing is done where nothing changes.

    The product broadcasts because its gradient is summed in the order of the law.
    """
    if factor == 1 and x.shape == shape:
        return x
    factors = torch.full((), factor, dtype=x.dtype, device=x.device).expand(shape)
    return mul(x, factors, derivative=derivative if isinstance(derivative, str) else "approximate")


def _added(
    name: str,
    product: Callable[..., Tensor],
    operands: dict[str, Tensor],
    beta: float,
    alpha: float,
    options: ProductOptions | MulOptions,
) -> Tensor:
    """``mul(input, beta) + mul(product(a, b), alpha)`` in float32."""
    derivative = options.get("derivative", "approximate")

    def run(input: Tensor, a: Tensor, b: Tensor) -> Tensor:
        result = product(a, b, **options)
        shape = result.shape
        if torch.broadcast_shapes(input.shape, shape) != shape:
            raise RuntimeError(f"{name}(): 'input' must broadcast to {tuple(shape)}, got {tuple(input.shape)}")
        result = _scaled(result, alpha, shape, derivative)
        return result if beta == 0 else _scaled(input, beta, shape, derivative) + result

    return computed_wide(name, run, **operands)


def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1, **options: Unpack[ProductOptions]
) -> Tensor:
    """``torch.addmm``: ``mul(input, beta) + mul(mm(mat1, mat2), alpha)``; factors of one and, with beta 0, ``input``
    are left out."""
    _require_dims("addmm", ("mat1", mat1, 2), ("mat2", mat2, 2))
    if beta == alpha == 1 and input.shape == mat2.shape[1:]:
        return linear(mat1, mat2.mT, input, **options)
    return _added("addmm", mm, {"input": input, "mat1": mat1, "mat2": mat2}, beta, alpha, options)


def addmv(
    input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1, **options: Unpack[ProductOptions]
) -> Tensor:
    """``torch.addmv``: as ``addmm``, of ``mv``."""
    return _added("addmv", mv, {"input": input, "mat": mat, "vec": vec}, beta, alpha, options)


def addr(
    input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1, **options: Unpack[ProductOptions]
) -> Tensor:
    """``torch.addr``: as ``addmm``, of ``outer``."""
    return _added("addr", outer, {"input": input, "vec1": vec1, "vec2": vec2}, beta, alpha, _without_bits(options))


def baddbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: float = 1,
    alpha: float = 1,
    **options: Unpack[ProductOptions],
) -> Tensor:
    """``torch.baddbmm``: as ``addmm``, of ``bmm``."""
    return _added("baddbmm", bmm, {"input": input, "batch1": batch1, "batch2": batch2}, beta, alpha, options)


def addbmm(
    input: Tensor,
    batch1: Tensor,
    batch2: Tensor,
    *,
    beta: float = 1,
    alpha: float = 1,
    **options: Unpack[ProductOptions],
) -> Tensor:
    """``torch.addbmm``: as ``addmm``, of the sum of ``bmm`` over the batch."""

    def product(a: Tensor, b: Tensor, **how: Unpack[ProductOptions]) -> Tensor:
        return sum(bmm(a, b, **how), 0)

    return _added("addbmm", product, {"input": input, "batch1": batch1, "batch2": batch2}, beta, alpha, options)


def _without_bits(options: ProductOptions) -> MulOptions:
    """The options that ``mul`` has too."""
    return {"derivative": options.get("derivative", "approximate"), "compensation": options.get("compensation")}
