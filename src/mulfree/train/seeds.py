"""Seeds by place: what is random in a training is a function of where it happens, not of what happened before."""

from __future__ import annotations

import hashlib

import torch


def random_seed(*place: int) -> int:
    """A seed of 63 bits for a place in the training, such as (seed, step, batch)."""
    digest = hashlib.blake2b(" ".join(map(str, place)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_all(*place: int) -> None:
    """Set torch's generators, so that what is random is a function of the place."""
    torch.manual_seed(random_seed(*place))
