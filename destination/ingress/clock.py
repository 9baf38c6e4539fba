"""When an event happened: reading callers' times, and correcting a client's wrong clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

_MILLISECONDS_FROM = 1e11
"""A number from here on counts milliseconds (as seconds it would lie beyond the year 5138)."""

_PLAUSIBLE = timedelta(days=366)


def moment(value: Any) -> datetime | None:
    """A caller's time as an aware datetime: ISO 8601 text, or a unix time in seconds or
    milliseconds. Without an offset it is UTC; a leap second counts as the second before it. None
    for what cannot be read as a time.
    """
    if type(value) is str:
        try:
            read = datetime.fromisoformat(value)
        except ValueError:
            return _leap_second(value)
        return read if read.tzinfo else read.replace(tzinfo=UTC)
    if type(value) is int or type(value) is float:
        try:
            seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
            return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    return None


def _leap_second(value: str) -> datetime | None:
    return moment(value.replace(":60", ":59", 1)) if ":60" in value else None


def text(value: datetime) -> str:
    """An aware UTC time as Segment writes it: ``2026-01-31T12:34:56.789Z``."""
    written: str = msgspec.to_builtins(value)  # a sixth of the time of isoformat
    return f"{written[:23] if value.microsecond else written[:19] + '.000'}Z"


def corrected(claimed: datetime, sent: datetime | None, received: datetime) -> datetime:
    """When it happened by our clock (UTC): ``received - (sent - claimed)``, Segment's rule.

    The rule needs ``sent`` and ``claimed`` to come from one clock. They cannot when that clock
    would be off by more than a year *and* the event would have waited for more than a year before
    it was sent (or be from a year after); then, and without ``sent``, the client's own time stands.
    """
    try:
        if sent is None:
            return claimed.astimezone(UTC)
        waited = sent - claimed
        if abs(waited) > _PLAUSIBLE and abs(received - sent) > _PLAUSIBLE:
            return claimed.astimezone(UTC)
        return received - waited
    except OverflowError:  # next to year 1 or 9999
        return received
