"""Times as Klaviyo wants them: RFC 3339, UTC, within its range."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from destination.fields.dates import read_date
from destination.fields.problem import seen

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = 631_152_000  # 1990-01-01
_YEAR: Final = 365 * 86_400
_SECONDS_END: Final = 1e11
# What most programs write and what we send: any day but February 29.
_SENT: Final = re.compile(
    r"[0-9]{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"
).fullmatch
_COMMON: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
# Digits alone that are a calendar date: year, month, day and time of day, as far as given.
_CALENDAR: Final = frozenset((4, 6, 8, 12, 14))


def to_iso(value: Any, now: float) -> str:
    """``value`` as ``2026-01-31T12:00:00.000Z``, cut to the millisecond.

    Takes a date as text (ISO 8601 with any offset, without one UTC; a day alone is its first
    instant) or a unix time as number or text: a number below 100,000,000,000 counts seconds, from
    there on milliseconds (as milliseconds all below lie before March 1973). Digits alone in a text
    are a calendar date when there are 4, 6, 8, 12 or 14 of them (``20260131``).

    Raises ``ValueError`` when it cannot be read or lies outside Klaviyo's range: after 1990 and at
    most a year after ``now``, in unix seconds (API reference, Create Event, ``time``).
    """
    if value.__class__ is str and _SENT(value) and _FIRST_TEXT < value <= _last_text(now):
        return value
    moment = _moment(value)
    if moment is None:
        raise ValueError(f"{seen(value)} is not a time; send one such as 2026-01-31T12:00:00Z")
    if not _FIRST < moment.timestamp() <= now + _YEAR:
        raise ValueError(
            f"{seen(value)} is not a time that Klaviyo takes: after 1990 and at most one year ahead"
        )
    return _text(moment)


def to_text(seconds: float) -> str:
    """A unix time in the form of ``to_iso``; texts of this form sort like the times they name."""
    return _text(_EPOCH + timedelta(seconds=seconds))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


@lru_cache(maxsize=8)
def _last_text(now: float) -> str:
    return to_text(now + _YEAR)


_FIRST_TEXT: Final = to_text(_FIRST)


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str):
        if _COMMON.fullmatch(value):
            try:
                return datetime.fromisoformat(value)
            except ValueError:  # February 30, second 60: what rolls over is read below
                pass
        if _NUMBER.fullmatch(value) and not (value.isdecimal() and len(value) in _CALENDAR):
            return _unix(float(value))
        instant = read_date(value, whole=True)
        return None if instant is None else _at(instant)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _unix(value)
    return None


def _unix(number: float) -> datetime | None:
    """A float is exact to the microsecond at most: it is rounded to that, not cut."""
    if not -1e18 < number < 1e18:
        return None
    return _at(round(number * 1e6) / 1e3 if abs(number) < _SECONDS_END else number)


def _at(milliseconds: float) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:  # beyond what Python can tell, and beyond Klaviyo's range like 1970
        return _EPOCH
