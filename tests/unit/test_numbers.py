"""Numbers and texts turned into each other: what JavaScript gives (recorded with node 20)."""

from __future__ import annotations

import math
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.fields.numbers import number_text, text_number

HOSTILE = 200_000


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", "0"),
        (" \n\u00a0\ufeff", "0"),
        (" 12 ", "12"),
        ("-0", "0"),
        ("+5", "5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("5.e3", "5000"),
        ("007", "7"),
        ("0x1F", "31"),
        ("0b101", "5"),
        ("0o17", "15"),
        ("0x" + "0" * 2000 + "1", "1"),
        ("0x" + "f" * 300, "Infinity"),
        ("1e400", "Infinity"),
        ("-Infinity", "-Infinity"),
        ("12345678901234567890", "12345678901234567000"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("1e21", "1e+21"),
        ("1" + "0" * 20, "1" + "0" * 20),
        ("infinity", "NaN"),
        ("1_000", "NaN"),
        ("-0x1", "NaN"),
        ("0x", "NaN"),
        (".", "NaN"),
        ("1.2.3", "NaN"),
        ("1e", "NaN"),
        ("\u0661", "NaN"),
    ],
)
def test_a_text_is_the_number_that_it_is_in_javascript(text: str, number: str) -> None:
    """And is written as there; the last digits of a number that no double holds are noughts."""
    assert number_text(text_number(text)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_number_says_the_number(number: float) -> None:
    """Read back it is the same number, and it has JavaScript's form."""
    text = number_text(number)
    assert float(text) == number == text_number(text)
    assert re.fullmatch(r"-?(\d|[1-9]\d{0,20})(\.\d+)?(e[+-][1-9]\d*)?", text)
    assert ("e" in text) == (number != 0 and not 1e-6 <= abs(number) < 1e21)


@given(st.integers())
def test_integers_keep_their_digits(number: int) -> None:
    """As far as JavaScript writes digits."""
    if abs(number) < 10**21:
        assert number_text(number) == str(number)
    else:
        assert number_text(number) == number_text(float(number))


def test_an_integer_beyond_all_doubles_is_infinite() -> None:
    """As it would be where it was read."""
    assert number_text(10**400) == "Infinity"
    assert number_text(-(10**400)) == "-Infinity"


@pytest.mark.parametrize(
    "text", ["1" * HOSTILE + "x", "1." + "1" * HOSTILE + "x", "0x" + "f" * HOSTILE]
)
def test_reading_a_text_takes_no_more_than_its_length(text: str) -> None:
    """Patterns that backtrack would need minutes."""
    start = time.process_time()
    assert not math.isfinite(text_number(text))
    assert time.process_time() - start < 1
