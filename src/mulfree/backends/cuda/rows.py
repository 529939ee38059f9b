"""Row methods: a warp a row; sums over rows by blocks of columns."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from mulfree.backends.arguments import address, smoothing
from mulfree.backends.cuda.elementwise import blocks_for
from mulfree.backends.cuda.kernels import Launch, Launcher, Program, divider, empty
from mulfree.numerics.formats import SUM_CHUNK, SUM_LANES
from mulfree.numerics.scalar import bits

_THREADS = 128
_WARP = 32
_SLOTS = (4, 12, 32)
"""Numbers that a lane keeps in registers; rows that are too long for the last are read again."""

_COLUMNS = 32
_COLUMN_THREADS = _COLUMNS * SUM_LANES
_ADD_THREADS = 128

_BY_SLOTS = ("softmax.cu", "layer_norm.cu")
_BY_SLOTS_AND_EXACT = ("softmax_grad.cu", "cross_entropy.cu", "layer_norm_grad.cu")


def _program(source: str, slots: int | None, exact: bool | None = None) -> Program:
    defines = [] if slots is None else [("MF_SLOTS", str(slots))]
    if exact is not None:
        defines.append(("MF_EXACT", str(exact).lower()))
    return Program(source, tuple(defines))


PROGRAMS: tuple[Program, ...] = (
    *(_program(source, slots) for source, slots in product(_BY_SLOTS, (*_SLOTS, 0))),
    *(_program(*choice) for choice in product(_BY_SLOTS_AND_EXACT, (*_SLOTS, 0), (True, False))),
    *(_program("layer_norm_columns.cu", None, exact) for exact in (True, False)),
)


def _slots(n: int) -> int:
    return next((slots for slots in _SLOTS if n <= slots * _WARP), 0)


class CUDARows:
    """Softmax and its kin, cross-entropy and layer norm."""

    launcher: Launcher

    def softmax(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.contiguous()
        return self._forward("softmax", x, torch.empty_like(x))

    def softmax_grad(self, grad: Tensor, x: Tensor, stats: Tensor, exact: bool) -> Tensor:
        return self._backward("softmax_grad", grad, x, stats, exact)

    def log_softmax(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.contiguous()
        return self._forward("log_softmax", x, torch.empty_like(x))

    def log_softmax_grad(self, grad: Tensor, x: Tensor, stats: Tensor, exact: bool) -> Tensor:
        return self._backward("log_softmax_grad", grad, x, stats, exact)

    def logsumexp(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._forward("logsumexp", x.contiguous(), empty(x, x.shape[0]))

    def logsumexp_grad(self, grad: Tensor, x: Tensor, stats: Tensor, exact: bool) -> Tensor:
        return self._backward("logsumexp_grad", grad, x, stats, exact)

    def cross_entropy(
        self, x: Tensor, target: Tensor, ignore_index: int, label_smoothing: float
    ) -> tuple[Tensor, Tensor]:
        rows, n = x.shape
        x, target = x.contiguous(), target.contiguous()
        out, stats = empty(x, rows), empty(x, rows, 2)
        arguments = [x.data_ptr(), target.data_ptr(), out.data_ptr(), stats.data_ptr(), rows, n, ignore_index]
        arguments += smoothing(label_smoothing, n)
        self._launch_rows(_program("cross_entropy.cu", _slots(n), True), "cross_entropy", rows, arguments)
        return out, stats

    def cross_entropy_grad(
        self,
        grad: Tensor,
        x: Tensor,
        target: Tensor,
        stats: Tensor,
        ignore_index: int,
        label_smoothing: float,
        exact: bool,
    ) -> Tensor:
        rows, n = x.shape
        grad, x, target, stats = grad.contiguous(), x.contiguous(), target.contiguous(), stats.contiguous()
        out = torch.empty_like(x)
        arguments = [*(t.data_ptr() for t in (grad, x, target, stats, out)), rows, n, ignore_index]
        arguments += smoothing(label_smoothing, n)
        self._launch_rows(_program("cross_entropy.cu", _slots(n), exact), "cross_entropy_grad", rows, arguments)
        return out

    def layer_norm(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
        rows, n = x.shape
        x = x.contiguous()
        weight = None if weight is None else weight.contiguous()
        bias = None if bias is None else bias.contiguous()
        out, stats = torch.empty_like(x), empty(x, rows, 2)
        arguments = [
            x.data_ptr(), address(weight), address(bias), out.data_ptr(), stats.data_ptr(), rows, n,
            bits(eps), bits(float(n)),
        ]  # fmt: skip
        self._launch_rows(_program("layer_norm.cu", _slots(n)), "layer_norm", rows, arguments)
        return out, stats

    def layer_norm_grad(
        self, grad: Tensor, x: Tensor, weight: Tensor | None, stats: Tensor, exact: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows, n = x.shape
        grad, x, stats = grad.contiguous(), x.contiguous(), stats.contiguous()
        weight = None if weight is None else weight.contiguous()
        by_x, by_weight, by_bias, roots = torch.empty_like(x), empty(x, n), empty(x, n), empty(x, rows)
        if rows == 0:
            return by_x, by_weight.zero_(), by_bias.zero_()
        operands = [grad.data_ptr(), x.data_ptr(), address(weight), stats.data_ptr()]
        arguments = [*operands, by_x.data_ptr(), roots.data_ptr(), rows, n, bits(float(n))]
        self._launch_rows(_program("layer_norm_grad.cu", _slots(n), exact), "layer_norm_grad", rows, arguments)
        if n:
            self._columns([*operands, roots.data_ptr()], by_weight, by_bias, rows, exact)
        return by_x, by_weight, by_bias

    def _columns(self, operands: list[int], by_weight: Tensor, by_bias: Tensor, rows: int, exact: bool) -> None:
        """The sums over rows, chunk by chunk if there is more than one."""
        n, chunks = by_weight.numel(), -(-rows // SUM_CHUNK)
        results = [by_weight.data_ptr(), by_bias.data_ptr()]
        sums = empty(by_weight, chunks if chunks > 1 else 0, 2, n)
        of_chunks = results if chunks == 1 else [sums.data_ptr(), sums.data_ptr() + n * sums.element_size()]
        program = _program("layer_norm_columns.cu", None, exact)
        column_blocks = -(-n // _COLUMNS)
        arguments = [*operands, *of_chunks, rows, n, 2 * n, *divider(column_blocks)]
        self.launcher.launch(Launch(program, "columns", (column_blocks * chunks, 1, 1), _COLUMN_THREADS, arguments))
        if chunks > 1:
            blocks = -(-2 * n // _ADD_THREADS)
            arguments = [sums.data_ptr(), *results, chunks, n]
            self.launcher.launch(Launch(program, "add_chunks", (blocks, 1, 1), _ADD_THREADS, arguments))

    def _forward(self, name: str, x: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
        rows, n = x.shape
        stats = empty(x, rows, 2)
        arguments = [x.data_ptr(), out.data_ptr(), stats.data_ptr(), rows, n]
        self._launch_rows(_program("softmax.cu", _slots(n)), name, rows, arguments)
        return out, stats

    def _backward(self, name: str, grad: Tensor, x: Tensor, stats: Tensor, exact: bool) -> Tensor:
        rows, n = x.shape
        grad, x, stats = grad.contiguous(), x.contiguous(), stats.contiguous()
        out = torch.empty_like(x)
        arguments = [grad.data_ptr(), x.data_ptr(), stats.data_ptr(), out.data_ptr(), rows, n]
        self._launch_rows(_program("softmax_grad.cu", _slots(n), exact), name, rows, arguments)
        return out

    def _launch_rows(self, program: Program, kernel: str, rows: int, arguments: list[int]) -> None:
        if rows:
            blocks = blocks_for(rows * _WARP, self.launcher, _THREADS)
            self.launcher.launch(Launch(program, kernel, blocks, _THREADS, arguments))
