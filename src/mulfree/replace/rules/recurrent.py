"""Recurrent layers and cells."""

from __future__ import annotations

from typing import Any

import mulfree.functional as MF
from mulfree.functional import _recurrent_plain
from mulfree.policy import Policy
from mulfree.replace.rules._rule import product_options, rule


def _recurrent(name: str) -> None:
    function = getattr(MF, name)

    def apply(policy: Policy, *args: Any, **kwargs: Any) -> Any:
        options = product_options(policy) | {"cell_derivative": policy.activation.derivative}
        return function(*args, **kwargs, **options)

    rule(name, groups=("matmul", "activation", "elementwise"), composition=getattr(_recurrent_plain, name))(apply)


for _name in ("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"):
    _recurrent(_name)
