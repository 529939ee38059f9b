"""Streams of operands: sums, files, and samples of a training's products."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import mulfree.functional as MF
from mulfree.hardware.rtl.words import FLOAT32, Format
from mulfree.hardware.sampling import Sampler
from mulfree.hardware.switching import Stream
from mulfree.train import ConfigError, OutputError
from tests.command_line import message
from tests.tiny_recipe import TINY


def _stream(a: list[float], b: list[float], first: list[bool]) -> Stream:
    return Stream(np.array(a, np.float32), np.array(b, np.float32), np.array(first))


def _floats(words: list[int]) -> list[float]:
    return [float(number) for number in np.array(words, np.uint32).view(np.float32)]


def test_sums() -> None:
    stream = _stream([1.5, 1.5, 3, 1e-30, 2], [1.5, 1, 1, 1e-30, 2], [True, False, True, False, False])
    piecewise = stream.of_unit("pam_multiply_add", ["a", "b", "c"], FLOAT32)
    assert _floats(piecewise["c"]) == [0, 2, 0, 3, 3]
    assert _floats(stream.of_unit("ieee_multiply_add", ["a", "b", "c"], FLOAT32)["c"]) == [0, 2.25, 0, 3, 3]
    assert _floats(piecewise["a"])[:3] == [1.5, 1.5, 3]


def test_sums_are_the_law_s() -> None:
    """The sum before the last term is the matrix product of the terms before."""
    a, b = np.random.default_rng(0).standard_normal((2, 40)).astype(np.float32)
    stream = Stream(a, b, np.arange(40) == 0)
    last = stream.of_unit("pam_multiply_add", ["a", "b", "c"], FLOAT32)["c"][-1]
    expected = MF.matmul(torch.from_numpy(a[None, :39]), torch.from_numpy(b[:39, None]))
    assert last == int(expected.view(torch.int32)) & 0xFFFFFFFF


def test_factors_are_rounded() -> None:
    stream = _stream([1 + 2**-9, -1e-30], [3e38, 1], [True, False])
    format = Format.named("float16")
    assert stream.of_unit("pam", ["a", "b"], format) == {"a": [0x3C02, 0x8000], "b": [0x7C00, 0x3C00]}


def test_files(tmp_path: Path) -> None:
    stream = Stream.gaussian(3)
    stream.write(tmp_path / "g.npz")
    again = Stream.read(tmp_path / "g.npz")
    assert again.digest == stream.digest != Stream.gaussian(4).digest
    for size in (100, 5000):
        (tmp_path / "cut.npz").write_bytes((tmp_path / "g.npz").read_bytes()[:size])
        with pytest.raises(ValueError, match="no stream"):
            Stream.read(tmp_path / "cut.npz")
    np.save(tmp_path / "array.npy", stream.a)
    with pytest.raises(ValueError, match="no stream"):
        Stream.read(tmp_path / "array.npy")
    with pytest.raises(OutputError):
        Stream.read(tmp_path / "nothing.npz")
    for text in ("nothing of the kind", ""):
        (tmp_path / "text.npz").write_text(text)
        with pytest.raises(ValueError, match=r"no stream of operands: expected an \.npz of mulfree hardware operands"):
            Stream.read(tmp_path / "text.npz")
    reason = f"--operands: {tmp_path / 'text.npz'}: no stream of operands"
    assert reason in message("hardware", "cost", "--operands", str(tmp_path / "text.npz"), code=2)
    np.savez(tmp_path / "other.npz", a=stream.a)
    with pytest.raises(ValueError, match="no stream"):
        Stream.read(tmp_path / "other.npz")
    with pytest.raises(ValueError, match="one length"):
        Stream(stream.a, stream.b[1:], stream.first)
    with pytest.raises(ValueError, match="finite"):
        Stream(np.where(stream.first, np.float32(np.nan), stream.a), stream.b, stream.first)
    with pytest.raises(ValueError, match="float32"):
        Stream(stream.a.astype(float), stream.b, stream.first)


def test_samples_are_terms_of_the_products() -> None:
    """Forward and both backward products of a layer, and of a batch of matrices."""
    x = torch.randn(5, 7, requires_grad=True)
    weight = torch.randn(3, 7, requires_grad=True)
    left, right = torch.randn(2, 4, 6), torch.randn(6, 2)
    with Sampler() as sampler:
        MF.linear(x, weight).sum().backward()
        MF.matmul(left, right)
    stream = sampler.stream()
    pairs = {(float(p), float(q)) for p in x.detach().flatten() for q in weight.detach().flatten()}
    pairs |= {(float(p), float(q)) for p in left.flatten() for q in right.flatten()}
    with_ones = {float(number) for number in [*x.detach().flatten(), *weight.detach().flatten()]}
    seen = [
        (float(p), float(q)) in pairs or {float(p), float(q)} - with_ones <= {1.0}
        for p, q in zip(stream.a, stream.b, strict=True)
    ]
    assert all(seen)
    starts = np.flatnonzero(stream.first)
    assert set(np.diff(starts)) == {7, 3, 5, 6}  # terms: forward, by x, by weight, and of the batch
    rows = {tuple(row.tolist()) for row in x.detach()}
    assert any(tuple(stream.a[s : s + 7].tolist()) in rows for s in starts)
    assert len(starts) > 100


def test_each_call_has_its_share_of_the_terms() -> None:
    """Two calls of as many products, with dot products of 4 and of 64 terms."""
    short, long = torch.full((64, 4), 2.0), torch.full((16, 64), 3.0)
    with Sampler() as sampler:
        MF.matmul(short, torch.ones(4, 16))
        MF.matmul(long, torch.ones(64, 4))
    share = float((sampler.stream().a == 2).mean())
    assert 0.4 < share < 0.6


def test_nothing_to_sample() -> None:
    with Sampler() as sampler:
        MF.mul(torch.ones(3), torch.ones(3))
    with pytest.raises(ConfigError, match="no linear layer or matrix product"):
        sampler.stream()


def test_command(tmp_path: Path) -> None:
    recipe, output = tmp_path / "tiny.toml", tmp_path / "operands.npz"
    recipe.write_text(TINY)
    assert "Wrote" in message("hardware", "operands", str(recipe), "--steps", "2", "--output", str(output), code=0)
    assert np.isfinite(Stream.read(output).a).all()
    assert "more than 100000" in message("hardware", "operands", str(recipe), "--steps", "100000", code=2)
    assert "ends in .npz" in message("hardware", "operands", str(recipe), "--output", "x.txt", code=2)
    (tmp_path / "empty.npz").write_bytes(b"")
    assert "--operands" in message("hardware", "cost", "--operands", str(tmp_path / "empty.npz"), code=2)
    twice = ("--operands", str(output), "--operands", str(output))
    assert "the same name" in message("hardware", "cost", *twice, code=2)
