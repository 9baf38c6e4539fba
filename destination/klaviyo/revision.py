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


def shape(revision: str) -> Shape:
    """The shape for a revision such as ``2026-07-15`` or ``2026-07-15.pre``.

    A revision older than the table gets the oldest shape.
    """
    place = bisect_right([each.since for each in SHAPES], revision[:10])
    return SHAPES[max(place - 1, 0)]
