"""The generator against the known answers of its authors' library Random123, and dropout on one number."""

from __future__ import annotations

import pytest

from mulfree.numerics import random, scalar

ZEROS, ONES = (0, 0), (0xFFFFFFFF, 0xFFFFFFFF)
PI = (0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344)


@pytest.mark.parametrize(
    ("rounds", "counter", "key", "expected"),
    [
        (13, ZEROS, ZEROS, (0x9D1C5EC6, 0x8BD50731)),
        (13, ONES, ONES, (0xFD36D048, 0x2D17272C)),
        (13, *PI, (0xBA3E4725, 0xF27D669E)),
        (20, ZEROS, ZEROS, (0x6B200159, 0x99BA4EFE)),
        (20, ONES, ONES, (0x1CB996FC, 0xBB002BE7)),
        (20, *PI, (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_known_answers(rounds: int, counter: tuple[int, int], key: tuple[int, int], expected: tuple[int, int]) -> None:
    assert random.threefry(key, counter, rounds) == expected


def test_elements_take_the_words_of_blocks() -> None:
    seed = 0x0370734413198A2E
    key = (0x13198A2E, 0x03707344)
    assert random.random_word(seed, 0) == random.threefry(key, (0, 0))[0]
    assert random.random_word(seed, 16) == random.threefry(key, (0, 0))[1]
    assert random.random_word(seed, 32 + 5) == random.threefry(key, (16 + 5, 0))[0]
    far = 32 << 32
    assert random.random_word(seed, far + 31) == random.threefry(key, (15, 16))[1]
    assert len({random.random_word(seed, i) for i in range(1000)}) == 1000


def test_dropout_of_one_number() -> None:
    word, scale = random.random_word(7, 3), scalar.bits(1.25)
    for x in (scalar.bits(-2.0), scalar.bits(float("nan")), scalar.bits(float("inf"))):
        assert random.dropout(x, 7, 3, word + 1, scale) == 0
        assert random.dropout(x, 7, 3, word, scale) == scalar.mul(x, scale)


def test_threshold() -> None:
    assert random.dropout_threshold(0.0) == 0
    assert random.dropout_threshold(0.5) == 1 << 31
    assert random.dropout_threshold(1.0 - 2.0**-53) == (1 << 32) - 1
