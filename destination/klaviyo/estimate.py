"""How long rows take at the least, by Klaviyo's published limits alone.

An action may send rows in several ways; each way is a few operations, each with limits of its own,
that run side by side, so the slowest counts. What Klaviyo needs to work a job off afterwards is not
published and not in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from destination.action import Window
from destination.klaviyo.limits import BODY_BYTES, BULK, LOOKUP, windows

ROW_BYTES: Final = 300
"""Bytes of a row where nothing is known of it: a profile with a few properties of its own."""

ENVELOPE: Final = 200
"""Bytes that a row takes in a bulk request besides its own; the engine leaves as much room."""

FILE_BYTES: Final = 100_000_000
"""Bytes of one file for Klaviyo's SFTP import: our own measure, so that none takes long to repeat."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a way; a call takes ``rows`` rows, fewer when they are large."""

    operation: str
    rows: int


@dataclass(frozen=True, slots=True)
class Way:
    """How an action can send its rows: in ``bulk``, or each by itself (``single``)."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """What one operation adds: its calls, their limits, and the seconds until the last may go."""

    operation: str
    rows_per_call: int
    calls: int
    windows: tuple[Window, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """One way for a number of rows; ``seconds`` is the least time, of its slowest operation."""

    way: str
    seconds: float
    shares: tuple[Share, ...]


def _bulk(*operations: str, lookup: str = "") -> Way:
    steps = [Step(each, BULK[each].rows) for each in operations]
    return Way("bulk", (*([Step(lookup, LOOKUP)] if lookup else []), *steps))


def _single(*operations: str) -> Way:
    return Way("single", tuple(Step(each, 1) for each in operations))


_REMOVAL = (
    _bulk("remove_profiles_from_list", lookup="get_profiles"),
    _single("get_profiles", "remove_profiles_from_list"),
)

WAYS: Final[Mapping[str, tuple[Way, ...]]] = {
    "upsertProfile": (
        _bulk("bulk_import_profiles"),
        _single("create_profile", "update_profile"),
    ),
    "addProfileToList": (
        _bulk("bulk_import_profiles"),
        _single("create_profile", "update_profile", "add_profiles_to_list"),
    ),
    "trackEvent": (_bulk("bulk_create_events"), _single("create_event")),
    "orderCompleted": (_bulk("bulk_create_events"), _single("create_event")),
    "removeProfileFromList": _REMOVAL,
    "removeProfile": _REMOVAL,
    "subscribeProfile": (
        _bulk("bulk_subscribe_profiles"),
        _single("bulk_subscribe_profiles"),
    ),
    "unsubscribeProfile": (
        _bulk("bulk_unsubscribe_profiles", lookup="get_profiles_for_list"),
        _single("get_profiles_for_list", "bulk_unsubscribe_profiles"),
    ),
    "suppressProfile": (
        _bulk("bulk_suppress_profiles"),
        _single("bulk_suppress_profiles"),
    ),
    "unsuppressProfile": (
        _bulk("bulk_unsuppress_profiles"),
        _single("bulk_unsuppress_profiles"),
    ),
    "deleteProfile": (_single("request_profile_deletion"),),
    "mergeProfiles": (_single("get_profiles", "merge_profiles"),),
}
"""The ways of each action, quickest first. Where an action looks people up, everyone counts."""

OBJECTS: Final[Mapping[str, str]] = {
    "profile": "upsertProfile",
    "list": "addProfileToList",
    "list_membership": "addProfileToList",
    "list-member": "addProfileToList",
    "event": "trackEvent",
    "order": "orderCompleted",
    "subscription": "subscribeProfile",
    "consent": "subscribeProfile",
    "suppression": "suppressProfile",
}
"""The action that rows of an object usually mean."""


def least_seconds(calls: int, limits: Sequence[Window]) -> float:
    """Seconds from the first of ``calls`` calls until the last one may go, with nobody else calling.

    Each window is used up as soon as it opens, the largest first: whole days, in the last day whole
    minutes, in the last minute whole seconds.
    """
    left, seconds = calls, 0.0
    for window in sorted(limits, key=lambda each: -each.seconds):
        if left <= 0:
            break
        whole = (left - 1) // window.calls
        seconds += whole * window.seconds
        left -= whole * window.calls
    return seconds


def estimate(action: str, rows: int, row_bytes: float = ROW_BYTES) -> tuple[Estimate, ...]:
    """Every way of an action for ``rows`` rows of ``row_bytes`` bytes. Raises ``KeyError``."""
    return tuple(_estimate(way, rows, row_bytes) for way in WAYS[action])


def steady(action: str, *, bulk: bool = True) -> float:
    """Rows a second that an action can send for hours, in ``bulk`` where there is such a way, else
    each by itself. Raises ``KeyError``.
    """
    ways = {way.name: way for way in WAYS[action]}
    way = ways.get("bulk" if bulk else "single", ways["single"])
    return min(
        step.rows * window.calls / window.seconds
        for step in way.steps
        for window in windows(step.operation)
    )


def files(rows: int, row_bytes: float = ROW_BYTES) -> int:
    """How many files for Klaviyo's SFTP import the rows are. No limit of calls applies to them, and
    Klaviyo publishes no speed.
    """
    return ceil(rows * row_bytes / FILE_BYTES)


def _estimate(way: Way, rows: int, row_bytes: float) -> Estimate:
    shares = tuple(_share(step, rows, row_bytes) for step in way.steps)
    return Estimate(way.name, max(share.seconds for share in shares), shares)


def _share(step: Step, rows: int, row_bytes: float) -> Share:
    fit = max(1, int(BODY_BYTES // (row_bytes + ENVELOPE)))
    per_call = min(step.rows, fit) if step.operation in BULK else step.rows
    calls = ceil(rows / per_call)
    limits = windows(step.operation)
    return Share(step.operation, per_call, calls, limits, least_seconds(calls, limits))
