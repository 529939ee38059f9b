"""The bilinear form of two inputs."""

from __future__ import annotations

from torch import Tensor

from mulfree.functional._options import Derivatives
from mulfree.functional._products import matmul


def bilinear(
    input1: Tensor,
    input2: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    derivative: Derivatives = "approximate",
    mantissa_bits: int = 23,
    compensation: float | None = None,
) -> Tensor:
    """``torch.nn.functional.bilinear``: ``matmul(matmul(input1, weight), input2)``, the bias added last.

    Args:
        input1: ``(*batch, m)``.
        input2: ``(*batch, n)``.
        weight: ``(out, m, n)``.
        bias: ``(out,)``.
        derivative, mantissa_bits, compensation: of both matrix products.

    Returns:
        ``(*batch, out)``.

    Raises:
        RuntimeError: shapes do not fit.
    """
    if (
        input1.shape[:-1] != input2.shape[:-1]
        or weight.dim() != 3
        or weight.shape[1:] != (*input1.shape[-1:], *input2.shape[-1:])
        or (bias is not None and bias.shape != weight.shape[:1])
    ):
        shapes = ", ".join(str(tuple(x.shape)) for x in (input1, input2, weight, bias) if x is not None)
        raise RuntimeError(f"bilinear(): shapes must be (*, m), (*, n), (out, m, n) and (out,), got {shapes}")
    out, m, n = weight.shape
    columns = weight.permute(1, 0, 2).reshape(m, out * n)
    options = {"derivative": derivative, "mantissa_bits": mantissa_bits, "compensation": compensation}
    rows = matmul(input1, columns, **options).unflatten(-1, (out, n))  # type: ignore[arg-type]
    result = matmul(rows, input2.unsqueeze(-1), **options).squeeze(-1)  # type: ignore[arg-type]
    return result if bias is None else result + bias
