"""Times as callers write them, and the correction of a client's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.ingress.clock import corrected, moment, text

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AWARE = st.datetimes(timezones=st.timezones())


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2024-05-06T07:08:09.123Z", "2024-05-06T07:08:09.123Z"),
        ("2024-05-06T07:08:09.123456+00:00", "2024-05-06T07:08:09.123Z"),
        ("2024-05-06T07:08:09+00:00", "2024-05-06T07:08:09.000Z"),
        ("2024-05-06T09:08:09+02:00", "2024-05-06T07:08:09.000Z"),
        ("2024-01-01T00:00:00", "2024-01-01T00:00:00.000Z"),
        ("2024-05-06 07:08:09", "2024-05-06T07:08:09.000Z"),
        ("2024-05-06", "2024-05-06T00:00:00.000Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000Z"),
        (1714979289, "2024-05-06T07:08:09.000Z"),
        (1714979289123, "2024-05-06T07:08:09.123Z"),
        (1714979289.5, "2024-05-06T07:08:09.500Z"),
    ],
)
def test_times_are_read_in_every_form_seen(written: Any, read: str) -> None:
    """ISO 8601 with any offset and precision, without one as UTC, and unix times."""
    found = moment(written)
    assert found is not None
    assert text(found.astimezone(UTC)) == read


@pytest.mark.parametrize(
    "garbage",
    ["", "yesterday", "2024-13-01", "12:60", True, None, [], {}, 10**30, -(10**400), 1e300],
)
def test_what_is_no_time_is_none(garbage: Any) -> None:
    """Never an error."""
    assert moment(garbage) is None


def test_the_clock_of_the_client_is_corrected() -> None:
    """An hour slow, sent five minutes after it happened: five minutes before receipt."""
    sent = NOW - timedelta(hours=1)
    assert corrected(sent - timedelta(minutes=5), sent, NOW) == NOW - timedelta(minutes=5)


@pytest.mark.parametrize("years", [-10, 10])
def test_a_clock_ten_years_off_is_corrected_as_a_whole(years: int) -> None:
    """Both of its times are off by the same, so their distance is right."""
    sent = NOW + timedelta(days=365 * years)
    assert corrected(sent - timedelta(minutes=5), sent, NOW) == NOW - timedelta(minutes=5)


@pytest.mark.parametrize("years", [-10, 10])
def test_a_sent_at_ten_years_off_is_not_believed(years: int) -> None:
    """The two times are not from one clock then: the event's own stands."""
    happened = NOW - timedelta(minutes=5)
    assert corrected(happened, NOW + timedelta(days=365 * years), NOW) == happened


def test_an_import_of_old_events_keeps_its_times() -> None:
    """Events of years ago, sent by a clock that is right."""
    old = NOW - timedelta(days=5_000)
    assert corrected(old, NOW, NOW) == old
    assert corrected(old, None, NOW) == old


@given(AWARE, st.none() | AWARE, AWARE)
def test_a_correction_is_always_a_time_in_utc(
    claimed: datetime, sent: datetime | None, received: datetime
) -> None:
    """Even at the ends of the calendar."""
    received = received.astimezone(UTC) if 1 < received.year < 9999 else NOW
    found = corrected(claimed, sent, received)
    assert found.utcoffset() == timedelta(0)
    assert len(text(found)) == 24
