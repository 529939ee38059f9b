"""The option ``--threads``."""

from __future__ import annotations

import torch

from mulfree.train import ConfigError


def set_threads(threads: int | None) -> None:
    """Threads of torch and of the kernels; None leaves torch's choice.

    Raises:
        ConfigError: not a positive number.
    """
    if threads is None:
        return
    if threads < 1:
        raise ConfigError(f"threads must be at least 1, got {threads}")
    torch.set_num_threads(threads)
