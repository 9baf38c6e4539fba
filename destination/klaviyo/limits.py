"""Klaviyo's limits: calls per window for every operation, rows and bytes for every bulk request.

The rate limits in ``rate_limits.json`` are those of Klaviyo's API description of revision
2026-07-15 (``x-klaviyo-ratelimit``): operation id -> ``[[calls, seconds], ...]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

from destination.action import Window
from destination.event import decode

UNKNOWN = (Window(1, 1), Window(15, 60))
"""The smallest of Klaviyo's named sizes (XS), for an operation that the table does not hold."""


def _load() -> dict[str, tuple[Window, ...]]:
    table: Any = decode((resources.files(__package__) / "rate_limits.json").read_bytes())
    return {
        operation: tuple(Window(calls, seconds) for calls, seconds in windows)
        for operation, windows in table.items()
    }


_WINDOWS = _load()

OPERATIONS = tuple(_WINDOWS)
"""Every operation id of the API."""


def windows(operation: str) -> tuple[Window, ...]:
    """The rate limits of an operation id: 1 s, 60 s and for a few 86400 s."""
    return _WINDOWS.get(operation, UNKNOWN)


@dataclass(frozen=True, slots=True)
class Bulk:
    """What one bulk request may hold: ``rows``, ``bytes`` of body, ``row_bytes`` of one row."""

    rows: int
    bytes: int
    row_bytes: int


BODY_BYTES = 4_750_000
"""Bound of a request body. Klaviyo refuses more than 5 MB; the margin covers the envelope."""

PROFILE_BYTES = 100_000
"""Bound of one profile: 100 KB (API description of the profile calls), taken as decimal."""

EVENT_PROFILE_BYTES = 95_000
"""Bound of the profile part of an event: 95 KB (Klaviyo's events guide)."""

EVENT_BYTES = 4_500_000
"""Bound of one event. Klaviyo's only figure is the 5 MB of the request around it."""

BULK = {
    "bulk_import_profiles": Bulk(10_000, BODY_BYTES, PROFILE_BYTES),
    "bulk_create_events": Bulk(1_000, BODY_BYTES, EVENT_BYTES),
    "bulk_subscribe_profiles": Bulk(1_000, BODY_BYTES, PROFILE_BYTES),
    "bulk_unsubscribe_profiles": Bulk(100, BODY_BYTES, PROFILE_BYTES),
    "remove_profiles_from_list": Bulk(1_000, BODY_BYTES, PROFILE_BYTES),
    "bulk_suppress_profiles": Bulk(100, BODY_BYTES, PROFILE_BYTES),
    "bulk_unsuppress_profiles": Bulk(100, BODY_BYTES, PROFILE_BYTES),
}
"""The bulk requests, by operation id. Rows are those of the API description."""

PAGE = 100
"""The largest ``page[size]`` of profiles, list members and import errors."""

LOOKUP = 100
"""How many values one ``any()`` filter may hold, so that its answer fits in one page."""

UNIQUE_ID = 255
"""The longest ``unique_id`` of an event, in characters."""
