"""The optimizers' steps of the compiled CPU kernels."""

from __future__ import annotations

from torch import Tensor

from mulfree.backends.arguments import adam_words, address
from mulfree.backends.contract import AdamScalars, AdamWScalars, LionScalars, RMSpropScalars, SGDScalars
from mulfree.backends.native import kernels, threads
from mulfree.backends.reference_optimizers import ReferenceOptimizers


class CPUOptimizers(ReferenceOptimizers):
    """One pass over parameters, gradients and state."""

    def adamw_(self, param: Tensor, grad: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, scalars: AdamWScalars) -> None:
        kernels.adamw(
            param.data_ptr(), grad.data_ptr(), exp_avg.data_ptr(), exp_avg_sq.data_ptr(), param.numel(),
            adam_words(scalars), threads(),
        )  # fmt: skip

    def sgd_(self, param: Tensor, grad: Tensor, momentum_buffer: Tensor | None, scalars: SGDScalars) -> None:
        words = [scalars.lr, scalars.momentum, scalars.rest, scalars.weight_decay]
        kernels.sgd(
            param.data_ptr(), grad.data_ptr(), address(momentum_buffer), param.numel(), words, scalars.nesterov,
            threads(),
        )  # fmt: skip

    def adam_(
        self,
        param: Tensor,
        grad: Tensor,
        exp_avg: Tensor,
        exp_avg_sq: Tensor,
        max_exp_avg_sq: Tensor | None,
        scalars: AdamScalars,
    ) -> None:
        kernels.adam(
            param.data_ptr(), grad.data_ptr(), exp_avg.data_ptr(), exp_avg_sq.data_ptr(), address(max_exp_avg_sq),
            param.numel(), [*adam_words(scalars), scalars.weight_decay], threads(),
        )  # fmt: skip

    def rmsprop_(
        self,
        param: Tensor,
        grad: Tensor,
        square_avg: Tensor,
        grad_avg: Tensor | None,
        momentum_buffer: Tensor | None,
        scalars: RMSpropScalars,
    ) -> None:
        words = [scalars.lr, scalars.alpha, scalars.eps, scalars.weight_decay, scalars.momentum]
        kernels.rmsprop(
            param.data_ptr(), grad.data_ptr(), square_avg.data_ptr(), address(grad_avg), address(momentum_buffer),
            param.numel(), words, threads(),
        )  # fmt: skip

    def lion_(self, param: Tensor, grad: Tensor, exp_avg: Tensor, scalars: LionScalars) -> None:
        words = [scalars.lr, scalars.beta1, scalars.beta2, scalars.decay]
        kernels.lion(param.data_ptr(), grad.data_ptr(), exp_avg.data_ptr(), param.numel(), words, threads())

    def moving_average_(self, average: Tensor, param: Tensor, share: int) -> None:
        kernels.moving_average(average.data_ptr(), param.data_ptr(), average.numel(), share, threads())
