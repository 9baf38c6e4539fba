"""Reading dates as programs and people write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from destination.fields.dates import is_written_date, read_date

CASES = json.loads((Path(__file__).parents[1] / "cases" / "dates.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case["text"]))
def test_a_date_means_what_javascript_makes_of_it(case: dict[str, str | int | None]) -> None:
    """Recorded from dayjs 1.10.7 on Node 20 in UTC, which is what checks and reads it at Segment."""
    text = str(case["text"])
    assert read_date(text) == case["milliseconds"]
    assert is_written_date(text) is (case["milliseconds"] is not None)


@pytest.mark.parametrize("text", ["April 5", "5", "+5", "Order 12", "in May 2024", "4/5"])
def test_a_whole_date_has_its_year_and_no_stray_words(text: str) -> None:
    """JavaScript takes the year 2001, or a word for nothing, and is silently wrong."""
    assert read_date(text) is not None
    assert read_date(text, whole=True) is None


@pytest.mark.parametrize(
    "text", ["April 2024", "Friday, 5 April 2024", "5 Apr 24", "4/5/2024", "2024/4/5", "2024"]
)
def test_a_whole_date_may_be_written_in_words(text: str) -> None:
    """What is unambiguous stays readable."""
    assert read_date(text, whole=True) == read_date(text)


def test_a_leap_second_is_the_first_instant_of_the_next_minute() -> None:
    """RFC 3339 allows it at the end of an hour; JavaScript does not know it."""
    assert read_date("2016-12-31T23:59:60Z") == read_date("2017-01-01T00:00:00Z")
    assert read_date("2016-12-31T23:58:60Z") is None


def test_a_fraction_of_one_digit_is_a_tenth() -> None:
    """The date library of Segment reads .1 as one millisecond where no Z follows."""
    assert read_date("2024-04-05T00:00:00.1") == read_date("2024-04-05T00:00:00.100Z")
