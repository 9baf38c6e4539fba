"""Times as Klaviyo wants them."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.klaviyo.times import to_iso, to_text

NOW = datetime(2026, 8, 1, tzinfo=UTC).timestamp()


def test_every_recorded_event_time_is_sent_as_recorded(vectors: Path) -> None:
    """What Segment's date library makes of a mapped time, we make of it."""
    cases = [
        case
        for case in json.loads((vectors / "klaviyo-actions.json").read_text())
        if case["mode"] == "single"
        and case["mapping"].get("time") == {"@path": "$.t"}
        and not case.get("tags")
    ]
    sent = [
        (to_iso(case["events"][0]["t"], NOW), request["json"]["data"]["attributes"]["time"])
        for case in cases
        for request in case["requests"]
        if case["events"][0].get("t")
    ]
    assert len(sent) > 5
    assert [ours for ours, _ in sent] == [theirs for _, theirs in sent]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31t12:00:00z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T12:00:00.1Z", "2026-01-31T12:00:00.100Z"),
        ("2026-01-31T12:00:00.1", "2026-01-31T12:00:00.100Z"),
        ("2026-01-31T12:00:00.123999999Z", "2026-01-31T12:00:00.123Z"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00.000Z"),
        ("2026-01-31T12:00:00-0930", "2026-01-31T21:30:00.000Z"),
        ("2026-01-31T12:00", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31 12:00:00", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31 12:00:00 +0200", "2026-01-31T10:00:00.000Z"),
        ("2026-01-31", "2026-01-31T00:00:00.000Z"),
        ("2026-01", "2026-01-01T00:00:00.000Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
        ("2016-12-31T15:59:60.5-08:00", "2017-01-01T00:00:00.500Z"),
        ("2026-01-31T24:00:00Z", "2026-02-01T00:00:00.000Z"),
        ("2026-02-30T00:00:00Z", "2026-03-02T00:00:00.000Z"),
        ("Sat, 31 Jan 2026 12:00:00 GMT", "2026-01-31T12:00:00.000Z"),
        ("Sat Jan 31 2026 12:00:00 GMT+0200 (Central Europe)", "2026-01-31T10:00:00.000Z"),
        ("1/31/2026 6:20 PM", "2026-01-31T18:20:00.000Z"),
        ("31 January 2026", "2026-01-31T00:00:00.000Z"),
        (1712341200, "2024-04-05T18:20:00.000Z"),
        (1712341200123, "2024-04-05T18:20:00.123Z"),
        (1712341200.123, "2024-04-05T18:20:00.123Z"),
        (1712341200.1239, "2024-04-05T18:20:00.123Z"),
        ("1712341200", "2024-04-05T18:20:00.000Z"),
        ("1712341200123", "2024-04-05T18:20:00.123Z"),
        ("1712341200.123", "2024-04-05T18:20:00.123Z"),
        ("2024", "2024-01-01T00:00:00.000Z"),
        ("202404", "2024-04-01T00:00:00.000Z"),
        ("20240405", "2024-04-05T00:00:00.000Z"),
        ("202404051820", "2024-04-05T18:20:00.000Z"),
        ("20240405182030", "2024-04-05T18:20:30.000Z"),
    ],
)
def test_a_time_is_read_however_it_is_written(value: Any, expected: str) -> None:
    """Offsets, missing parts, unix seconds and milliseconds, dates in words."""
    assert to_iso(value, NOW) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "now",
        "18:20",
        "April 5",
        "Order 12",
        "5 avril 2026",
        "2026-13-01T00:00:00Z",
        "2026-01-31T25:00:00Z",
        "2026-01-31T12:00:60Z",
        "2026-01-31T12:00:00+25:00",
        "١٧١٢٣٤١٢٠٠",
        "9" * 400,
        True,
        None,
        [],
        {},
        float("nan"),
        float("inf"),
        10**400,
    ],
)
def test_what_is_no_time_is_refused_with_an_example(value: Any) -> None:
    """The message shows the value and a time as it should be."""
    with pytest.raises(ValueError, match="is not a time; send one such as") as caught:
        to_iso(value, NOW)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "value",
    [
        0,
        "0",
        -1,
        20240405,
        631_152_000,
        "1990-01-01T00:00:00.000Z",
        "1712-01-01",
        "2027-08-01T00:00:00.001Z",
        "0001-01-01T00:00:00+23:00",
        "9999-12-31T23:59:59Z",
        "+275000-01-01T00:00:00Z",
        1712341200123456,
    ],
)
def test_a_time_outside_klaviyo_s_range_is_refused(value: Any) -> None:
    """After 1990 and at most one year ahead."""
    with pytest.raises(ValueError, match="after 1990 and at most one year ahead"):
        to_iso(value, NOW)


def test_the_bounds_of_the_range_are_exact() -> None:
    """The first and the last millisecond that Klaviyo takes."""
    assert to_iso("1990-01-01T00:00:00.001Z", NOW) == "1990-01-01T00:00:00.001Z"
    assert to_iso("2027-08-01T00:00:00.000Z", NOW) == "2027-08-01T00:00:00.000Z"


moments = st.integers(631_238_400, 1_816_900_000).flatmap(
    lambda second: st.integers(0, 999_999).map(
        lambda micro: datetime.fromtimestamp(second, UTC).replace(microsecond=micro)
    )
)
offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments, offsets, st.sampled_from(["seconds", "milliseconds", "microseconds"]))
def test_any_offset_in_gives_the_same_instant_out(
    utc: datetime, offset: timezone, timespec: str
) -> None:
    """The result is the instant in UTC, cut to the millisecond, and its own result."""
    moment = utc.astimezone(offset)
    found = to_iso(moment.isoformat(timespec=timespec), NOW)
    digits = 3 if timespec != "seconds" else 0
    cut = utc.microsecond // 1000 * 1000 if digits else 0
    assert datetime.fromisoformat(found) == utc.replace(microsecond=cut)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found)
    assert to_iso(found, NOW) == found


@given(moments)
def test_a_unix_time_means_the_same_in_seconds_and_milliseconds(utc: datetime) -> None:
    """As number or text, in either unit."""
    milliseconds = round(utc.replace(microsecond=0).timestamp()) * 1000 + 123
    found = to_iso(milliseconds / 1000, NOW)
    assert found.endswith(".123Z")
    assert to_iso(f"{milliseconds // 1000}.{milliseconds % 1000}", NOW) == found
    if milliseconds >= 10**12:
        assert to_iso(milliseconds, NOW) == to_iso(str(milliseconds), NOW) == found


@given(
    st.text(max_size=40) | st.text("0123456789-/:.TZ+ ", max_size=24) | st.floats() | st.integers()
)
def test_nothing_but_a_value_error_is_raised(value: Any) -> None:
    """Whatever comes in, the answer is a time or a reason."""
    with suppress(ValueError):
        assert to_iso(value, NOW).endswith("Z")


@given(st.integers(0, 9999), st.integers(0, 19), st.integers(0, 39), st.integers(0, 29), st.data())
def test_what_looks_as_it_is_sent_is_read_like_any_other_time(
    year: int, month: int, day: int, hour: int, data: st.DataObject
) -> None:
    """Written with an offset of zero it is the same time, in range or not, a day or none."""
    minute, second = data.draw(st.integers(0, 99)), data.draw(st.integers(0, 99))
    year = data.draw(st.sampled_from([year, 1989, 1990, 2024, 2026, 2027]))
    text = f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000"
    assert _read(text + "Z") == _read(text + "+00:00")


def _read(text: str) -> str | None:
    try:
        return to_iso(text, NOW)
    except ValueError:
        return None


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_times_as_text_sort_like_times(one: datetime, other: datetime) -> None:
    """To the millisecond."""
    early, late = sorted((one.timestamp(), other.timestamp()))
    assert to_text(early) <= to_text(late)
