"""The optimizers' steps: one program for each form of a step."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mulfree.backends.arguments import adam_words
from mulfree.backends.contract import AdamScalars, AdamWScalars, LionScalars, RMSpropScalars, SGDScalars
from mulfree.backends.cuda.elementwise import blocks_for
from mulfree.backends.cuda.kernels import Launch, Launcher, Program

_THREADS = 256
_TENSORS, _SCALARS = 5, 8  # that a kernel takes
_ALIGNMENT = 16


def _program(step: str) -> Program:
    """That of ``step``, a struct of ``csrc/law/step_formulas.hpp``."""
    return Program("steps.cu", (("MF_STEP", step),))


def _flag(value: bool) -> str:
    return "true" if value else "false"


_SGD = {
    (buffer, nesterov): _program(f"SGDStep<{_flag(buffer)},{_flag(nesterov)}>")
    for buffer, nesterov in ((False, False), (True, False), (True, True))
}
_ADAM = {amsgrad: _program(f"AdamStep<{_flag(amsgrad)}>") for amsgrad in (False, True)}
_RMSPROP = {
    (centered, buffer): _program(f"RMSpropStep<{_flag(centered)},{_flag(buffer)}>")
    for centered in (False, True)
    for buffer in (False, True)
}
_LION = _program("LionStep")
_AVERAGE = _program("AverageStep")
PROGRAMS: tuple[Program, ...] = (*_SGD.values(), *_ADAM.values(), *_RMSPROP.values(), _LION, _AVERAGE)


class CUDAOptimizers:
    """One pass over parameters, gradients and state."""

    launcher: Launcher

    def adamw_(self, param: Tensor, grad: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, scalars: AdamWScalars) -> None:
        self._step(_ADAM[False], (param, grad, exp_avg, exp_avg_sq), [*adam_words(scalars), 0])

    def sgd_(self, param: Tensor, grad: Tensor, momentum_buffer: Tensor | None, scalars: SGDScalars) -> None:
        words = [scalars.lr, scalars.momentum, scalars.rest, scalars.weight_decay]
        if momentum_buffer is None:
            self._step(_SGD[False, False], (param, grad), words)
        else:
            self._step(_SGD[True, scalars.nesterov], (param, grad, momentum_buffer), words)

    def adam_(
        self,
        param: Tensor,
        grad: Tensor,
        exp_avg: Tensor,
        exp_avg_sq: Tensor,
        max_exp_avg_sq: Tensor | None,
        scalars: AdamScalars,
    ) -> None:
        tensors = [param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq]
        program = _ADAM[max_exp_avg_sq is not None]
        self._step(program, [x for x in tensors if x is not None], [*adam_words(scalars), scalars.weight_decay])

    def rmsprop_(
        self,
        param: Tensor,
        grad: Tensor,
        square_avg: Tensor,
        grad_avg: Tensor | None,
        momentum_buffer: Tensor | None,
        scalars: RMSpropScalars,
    ) -> None:
        tensors = [param, grad, grad_avg, momentum_buffer, square_avg]
        program = _RMSPROP[grad_avg is not None, momentum_buffer is not None]
        words = [scalars.lr, scalars.alpha, scalars.eps, scalars.weight_decay, scalars.momentum]
        self._step(program, [x for x in tensors if x is not None], words)

    def lion_(self, param: Tensor, grad: Tensor, exp_avg: Tensor, scalars: LionScalars) -> None:
        self._step(_LION, (param, grad, exp_avg), [scalars.lr, scalars.beta1, scalars.beta2, scalars.decay])

    def moving_average_(self, average: Tensor, param: Tensor, share: int) -> None:
        self._step(_AVERAGE, (average, param), [share])

    def _step(self, program: Program, tensors: Sequence[Tensor], words: Sequence[int]) -> None:
        count = tensors[0].numel()
        if count == 0:
            return
        addresses = [x.data_ptr() for x in tensors]
        quads = 0 if any(address % _ALIGNMENT for address in addresses) else count // 4
        arguments = [
            *addresses, *[0] * (_TENSORS - len(addresses)), count, quads, *words, *[0] * (_SCALARS - len(words)),
        ]  # fmt: skip
        blocks = blocks_for(quads or count, self.launcher, _THREADS)
        self.launcher.launch(Launch(program, "step", blocks, _THREADS, arguments))
