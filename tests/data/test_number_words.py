"""Number words against the package num2words and against known words."""

from __future__ import annotations

import pytest

from mulfree.data.number_words import LARGEST, english, german, split


@pytest.mark.parametrize(
    ("number", "de", "en"),
    [
        (0, "null", "zero"),
        (1, "eins", "one"),
        (21, "einundzwanzig", "twenty-one"),
        (101, "einhunderteins", "one hundred one"),
        (324, "dreihundertvierundzwanzig", "three hundred twenty-four"),
        (1000, "eintausend", "one thousand"),
        (1001, "eintausendeins", "one thousand one"),
        (21_000, "einundzwanzigtausend", "twenty-one thousand"),
        (101_017, "einhunderteintausendsiebzehn", "one hundred one thousand seventeen"),
        (
            999_999,
            "neunhundertneunundneunzigtausendneunhundertneunundneunzig",
            "nine hundred ninety-nine thousand nine hundred ninety-nine",
        ),
    ],
)
def test_known_words(number: int, de: str, en: str) -> None:
    assert german(number) == de
    assert english(number) == en


def test_all_words_are_those_of_num2words() -> None:
    """But for its "and" and commas in English, and its "einhunderteinstausend" in German."""
    num2words = pytest.importorskip("num2words").num2words
    for number in [*range(10_000), *range(10_000, LARGEST, 997), LARGEST]:
        assert english(number) == num2words(number, lang="en").replace(" and ", " ").replace(",", "")
        assert german(number) == num2words(number, lang="de").replace("einstausend", "eintausend")


def test_every_number_has_words_of_its_own() -> None:
    numbers = range(20_000)
    assert len({german(n) for n in numbers}) == len({english(n) for n in numbers}) == len(numbers)


def test_numbers_out_of_range() -> None:
    for number in (-1, LARGEST + 1):
        for words in (german, english):
            with pytest.raises(ValueError, match="number must be between 0 and 999999"):
                words(number)


def test_parts_have_nothing_in_common() -> None:
    parts = split(1000, 200)
    assert (len(parts.train), len(parts.valid), len(parts.test)) == (1000, 200, 200)
    assert len({*parts.train, *parts.valid, *parts.test}) == 1400
    assert set(range(100)) <= set(parts.train)
    assert split(1000, 200) == parts
    with pytest.raises(ValueError, match="train must be between 100 and 600, got 601"):
        split(601, 200, largest=999)
