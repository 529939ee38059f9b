"""Batch norm and its derivatives: a few passes over the channels, with a small kernel after each sum."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.backends.arguments import address
from mulfree.backends.cuda.kernels import Launcher, Program, empty
from mulfree.backends.cuda.sums import SUMS, Rows
from mulfree.numerics.scalar import bits

NORM = Program("batch_norm.cu")
NORM_GRAD = {exact: Program("batch_norm_grad.cu", (("MF_EXACT", str(int(exact))),)) for exact in (True, False)}
PROGRAMS: tuple[Program, ...] = (NORM, *NORM_GRAD.values())


def _rows(x: Tensor) -> Rows:
    """Those of the channels of ``(batch, channels, positions)``."""
    batch, channels, positions = x.shape
    return Rows(1, batch, channels, positions) if channels > 1 else Rows(1, 1, channels, batch * positions)


class CUDAChannels:
    """Operations whose rows are the channels of a tensor."""

    launcher: Launcher

    def batch_norm(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
        x = x.contiguous()
        weight = None if weight is None else weight.contiguous()
        bias = None if bias is None else bias.contiguous()
        rows, launcher = _rows(x), self.launcher
        out, stats, sums = torch.empty_like(x), empty(x, rows.count, 4), empty(x, rows.count, rows.chunks)
        if rows.count == 0:
            return out, stats
        arguments = [
            *rows.fields(), x.data_ptr(), sums.data_ptr(), address(weight), address(bias), out.data_ptr(),
            stats.data_ptr(), bits(eps), bits(float(rows.terms)),
        ]  # fmt: skip
        if rows.terms:
            plain = [*rows.fields(), x.data_ptr(), sums.data_ptr(), 0]
            rows.launch_pass(launcher, SUMS, "sums", plain)
        rows.launch_totals(launcher, NORM, "mean", arguments)
        if rows.terms:
            rows.launch_pass(launcher, NORM, "squares", arguments)
        rows.launch_totals(launcher, NORM, "variance", arguments)
        if rows.terms:
            rows.launch_pass(launcher, NORM, "normalise", arguments)
        return out, stats

    def batch_norm_grad(
        self, grad: Tensor, x: Tensor, weight: Tensor | None, stats: Tensor, exact: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        grad, x, stats = grad.contiguous(), x.contiguous(), stats.contiguous()
        weight = None if weight is None else weight.contiguous()
        rows, program, launcher = _rows(x), NORM_GRAD[exact], self.launcher
        by_x, by_weight, by_bias = torch.empty_like(x), empty(x, rows.count), empty(x, rows.count)
        if x.numel() == 0:
            return by_x, by_weight.zero_(), by_bias.zero_()
        sums, factors = empty(x, 3, rows.count, rows.chunks), empty(x, rows.count)
        arguments = [
            *rows.fields(), grad.data_ptr(), x.data_ptr(), address(weight), stats.data_ptr(), sums.data_ptr(),
            factors.data_ptr(), by_x.data_ptr(), by_weight.data_ptr(), by_bias.data_ptr(), bits(float(rows.terms)),
        ]  # fmt: skip
        rows.launch_pass(launcher, program, "first", arguments)
        rows.launch_totals(launcher, program, "after_first", arguments)
        rows.launch_pass(launcher, program, "second", arguments)
        rows.launch_totals(launcher, program, "after_second", arguments)
        rows.launch_pass(launcher, program, "third", arguments)
        return by_x, by_weight, by_bias
