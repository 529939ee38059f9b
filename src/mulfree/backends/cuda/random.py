"""Dropout."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.backends.cuda.elementwise import blocks_for
from mulfree.backends.cuda.kernels import Launch, Launcher, Program
from mulfree.numerics.formats import RANDOM_LANES

DROPOUT = Program("dropout.cu")
PROGRAMS: tuple[Program, ...] = (DROPOUT,)
_THREADS = 256
_WARP = 32
_ELEMENTS = 8  # of a thread
_ALIGNMENT = 16


class CUDADropout:
    """Dropout by random words that are computed where they are needed."""

    launcher: Launcher

    def dropout(self, x: Tensor, seed: Tensor, threshold: int, scale: int, first: int = 0) -> Tensor:
        x = x.contiguous()
        out = torch.empty_like(x)
        count = x.numel()
        if count == 0:
            return out
        group, start = divmod(first, 2 * RANDOM_LANES)
        quads = start % 4 == 0 and x.data_ptr() % _ALIGNMENT == 0
        arguments = [
            out.data_ptr(), x.data_ptr(), seed.data_ptr(), count, start, group, int(quads), threshold, scale,
        ]  # fmt: skip
        work = -(-(start + count) // (2 * RANDOM_LANES)) * (2 * RANDOM_LANES // _ELEMENTS)
        threads = _WARP * min(-(-work // _WARP), _THREADS // _WARP)
        blocks = blocks_for(work, self.launcher, threads)
        self.launcher.launch(Launch(DROPOUT, "dropout", blocks, threads, arguments))
        return out
