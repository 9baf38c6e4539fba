"""What differs between Klaviyo's API revisions in the requests that we send.

Sources: Klaviyo's API descriptions of 2025-01-15 to 2026-07-15 and the models of its Python client
for 2026-10-15. What only old revisions take is sent to none: ``anonymous_id`` stands in events, not
in the bodies of profiles, where it became an unknown key with 2025-10-15.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of requests from revision ``since`` on.

    ``event_meta_inside``: Create Event has a profile's ``meta`` inside its ``attributes``, not
    beside them as everywhere else. ``earliest_event``: no event before it, unix seconds.
    ``backfill``: an event may be recorded without triggering flows.
    """

    since: str
    event_meta_inside: bool
    earliest_event: float
    backfill: bool


def _year(year: int) -> float:
    return datetime.fromisoformat(f"{year}-01-01T00:00:00+00:00").timestamp()


SHAPES = (
    Shape("2025-01-15", True, _year(2000), backfill=False),
    Shape("2026-04-15", True, _year(2000), backfill=True),
    Shape("2026-07-15", True, _year(1990), backfill=True),
    Shape("2026-10-15", False, _year(1990), backfill=True),
)
"""Oldest first."""


DEFAULT = "2026-07-15"
"""The revision that everything was built and tested with."""

NEWEST = SHAPES[-1].since
"""The newest revision that is known here."""

_MONTHS = ("01", "04", "07", "10")
_YEAR_LONG = 365 * 86_400.0


def lifetime(revision: str) -> tuple[float, float, float] | None:
    """When a revision comes out, is deprecated and is retired, in unix seconds; None for a text
    that is no revision.

    They come out on the 15th of each quarter's first month, are stable for a year and deprecated
    for another (API versioning and deprecation policy). ``.pre`` at the end means the beta of one.
    """
    day = revision.removesuffix(".pre")
    if len(day) != len(DEFAULT) or day[5:7] not in _MONTHS or day[7:] != "-15":
        return None
    try:
        begins = datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()
    except ValueError:
        return None
    return begins, begins + _YEAR_LONG, begins + 2 * _YEAR_LONG


def shape(revision: str) -> Shape:
    """The shape for a revision such as ``2026-07-15`` or ``2026-07-15.pre``.

    A revision older than the table gets the oldest shape.
    """
    place = bisect_right([each.since for each in SHAPES], revision[:10])
    return SHAPES[max(place - 1, 0)]
