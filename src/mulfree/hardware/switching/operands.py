"""Operands to measure energies with: terms of dot products one after another, random ones or those of a training."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

import mulfree.functional as MF
from mulfree.hardware.rtl.words import Format
from mulfree.train.errors import OutputError, writing

TERMS: Final = 4097
"""Of a stream: 4096 changes from one to the next."""
LENGTH: Final = 32
"""Terms of a dot product, at most."""
_SMALLEST: Final = np.float32(2.0**-126)


@dataclass(frozen=True)
class Stream:
    """Terms of dot products in the order in which a unit is given them.

    Attributes:
        a, b: float32 factors.
        first: whether a term is the first of its dot product.
    """

    a: NDArray[np.float32]
    b: NDArray[np.float32]
    first: NDArray[np.bool_]

    def __post_init__(self) -> None:
        shapes = {part.shape for part in (self.a, self.b, self.first)}
        if len(shapes) != 1 or self.a.ndim != 1 or len(self.a) < 2:
            raise ValueError("a stream has a, b and first of one length, at least 2")
        if self.a.dtype != np.float32 or self.b.dtype != np.float32 or self.first.dtype != np.bool_:
            raise ValueError("a stream has a and b in float32 and first in bool")
        if not (np.isfinite(self.a).all() and np.isfinite(self.b).all()):
            raise ValueError("a stream has finite factors")

    @classmethod
    def gaussian(cls, seed: int = 0) -> Stream:
        """Independent standard normal factors, ``LENGTH`` terms for each dot product."""
        factors = np.random.default_rng(seed).standard_normal((2, TERMS)).astype(np.float32)
        return cls(factors[0], factors[1], np.arange(TERMS) % LENGTH == 0)

    @classmethod
    def read(cls, path: Path) -> Stream:
        """Of a file that ``write`` made.

        Raises:
            OutputError: it cannot be read.
            ValueError: it has no stream.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
                parts = found["a"], found["b"], found["first"]
        except OSError as error:
            raise OutputError(f"cannot read {path}: {error.strerror or error}") from error
        except (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError("no stream of operands: expected an .npz of mulfree hardware operands") from error
        return cls(*parts)

    @property
    def digest(self) -> str:
        """Tells streams apart."""
        return hashlib.sha256(b"".join(part.tobytes() for part in (self.a, self.b, self.first))).hexdigest()[:16]

    def write(self, path: Path) -> None:
        """Raises OutputError if it cannot be written."""
        with writing(path), path.open("wb") as file:
            np.savez(file, a=self.a, b=self.b, first=self.first)

    def of_unit(self, unit: str, ports: Sequence[str], format: Format) -> dict[str, list[int]]:
        """Words for each port of an elementwise unit. ``c`` is the sum of the products before, in float32.

        Factors are rounded to the format, sums are those of the rounded ones, PAM or IEEE as the unit's name says.
        Logarithms are given magnitudes.
        """
        a = np.abs(self.a) if unit == "log2" else self.a
        words = {name: _words(factors, format) for name, factors in (("a", a), ("b", self.b))}
        if "c" in ports:
            a, b = (_numbers(words[name], format) for name in ("a", "b"))
            products = _pam(a, b) if unit.startswith("pam") else _ieee(a, b)
            words["c"] = [int(word) for word in self._sums(products).view(np.uint32)]
        return {name: words[name] for name in ports}

    def _sums(self, products: NDArray[np.float32]) -> NDArray[np.float32]:
        """Before each term; +0 before the first of a dot product."""
        sums = np.zeros_like(products)
        with np.errstate(all="ignore"):
            for place in range(1, len(products)):
                if not self.first[place]:
                    sums[place] = _flushed(sums[place - 1] + products[place - 1])
        return sums


def _words(numbers: NDArray[np.float32], format: Format) -> list[int]:
    return [format.narrowed(int(word)) for word in numbers.view(np.uint32)]


def _numbers(words: list[int], format: Format) -> NDArray[np.float32]:
    """Of a format within float32, widened."""
    return np.array([format.widened(word) for word in words], np.uint32).view(np.float32)


def _pam(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    products: NDArray[np.float32] = MF.mul(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    return products


def _ieee(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(all="ignore"):
        products: NDArray[np.float32] = _flushed(_flushed(a) * _flushed(b))
    return products


def _flushed(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Denormals as zeros of their sign."""
    return np.where(np.abs(numbers) < _SMALLEST, np.copysign(np.float32(0), numbers), numbers)
