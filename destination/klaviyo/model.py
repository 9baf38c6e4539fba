"""Payloads to the resources of Klaviyo's API: profiles and events.

Klaviyo refuses a request that holds any key its description does not know, so every resource is
built from a list of the keys it may have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec import UNSET, Raw

from destination.action import Payload
from destination.delivery import Discard
from destination.event import encode
from destination.klaviyo.limits import EVENT_PROFILE_BYTES, PROFILE_BYTES, UNIQUE_ID
from destination.klaviyo.resources import (
    BulkEvents,
    Data,
    Event,
    EventAttributes,
    OwnedEvents,
    Profile,
)
from destination.klaviyo.revision import Shape
from destination.klaviyo.times import to_text

Json = dict[str, Any]

IDENTIFIERS = ("email", "external_id", "phone_number")
"""What Klaviyo knows a profile by, apart from its own id."""

ATTRIBUTES = frozenset(
    (
        *IDENTIFIERS,
        "first_name",
        "last_name",
        "organization",
        "locale",
        "title",
        "image",
        "location",
        "properties",
    )
)
"""The writable attributes of a profile."""

LOCATION = frozenset(
    (
        "address1",
        "address2",
        "city",
        "country",
        "region",
        "zip",
        "latitude",
        "longitude",
        "timezone",
        "ip",
    )
)
"""The keys of a profile's location."""

EVENT_PROFILE = ATTRIBUTES | {"anonymous_id", "_kx"}
"""The attributes of the profile inside an event, which may also be known by a browser's ids."""

OPERATIONS = {
    "append_properties": "append",
    "unappend_properties": "unappend",
    "unset_properties": "unset",
}
"""Our payload field -> Klaviyo's name under ``meta.patch_properties``."""

YEAR_AHEAD = 365 * 86_400.0
"""Klaviyo takes events up to one year ahead."""


def _pick(source: Json, names: frozenset[str]) -> Json:
    if names.issuperset(source):
        return source
    return {name: value for name, value in source.items() if name in names}


def attributes(payload: Json, names: frozenset[str] = ATTRIBUTES) -> Json:
    """The profile attributes that a payload holds; what is absent stays absent, null stays null.

    Not to be changed: where it holds nothing else, they are the payload itself.
    """
    picked = _pick(payload, names)
    location = picked.get("location")
    if isinstance(location, dict) and not LOCATION.issuperset(location):
        return {**picked, "location": _pick(location, LOCATION)}
    return picked


def patch(payload: Mapping[str, Any]) -> Json:
    """``meta`` with the property operations of a payload; empty when it has none."""
    if payload.keys().isdisjoint(OPERATIONS):
        return {}
    found = {name: payload[field] for field, name in OPERATIONS.items() if payload.get(field)}
    return {"patch_properties": found} if found else {}


def clears(payload: Json) -> bool:
    """Whether a payload clears something (null), which a bulk import ignores."""
    return (
        (_has_null(payload) and _has_null(_pick(payload, ATTRIBUTES)))
        or ("properties" in payload and _has_null(payload["properties"]))
        or (
            "location" in payload
            and _has_null(payload["location"])
            and _has_null(_pick(payload["location"], LOCATION))
        )
    )


def _has_null(found: Any) -> bool:
    if not isinstance(found, dict) or all(found.values()):  # as most are: nothing empty at all
        return False
    return any(value is None for value in found.values())


def profile(found: Json, *, id: str = "", meta: Json | None = None) -> Profile:  # noqa: A002 - JSON:API's word
    """A profile resource."""
    return Profile(found, id or UNSET, meta or UNSET)


def person(payload: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The identifiers of a payload as sorted (name, value) pairs, e-mail without case."""
    return tuple(
        (name, str(payload[name]).lower() if name == "email" else str(payload[name]))
        for name in (*IDENTIFIERS, "anonymous_id", "_kx")
        if payload.get(name) not in (None, "")
    )


_WHO = frozenset((*IDENTIFIERS, "anonymous_id", "_kx"))
_SURELY_SHORT = EVENT_PROFILE_BYTES // (8 * len(_WHO))
"""Characters of an identifier with which all of them together cannot be too much: one character is
six bytes at the most, where it is escaped."""

_KNOWN = EVENT_PROFILE | OPERATIONS.keys() | {"country_code"}


PROFILE_ID = "profile_id"
"""The field of an event's payload that holds Klaviyo's own id of the profile; ``profile.id`` may be
anybody's."""


def event_profile(payload: Payload, shape: Shape | None) -> Profile:
    """The profile resource of an event.

    Keys that Klaviyo has no attribute for become properties of the profile. ``shape`` is given
    for Create Event, whose place for ``meta`` depends on the revision; None for bulk events.
    """
    fields, id_ = payload["profile"], payload.get(PROFILE_ID) or UNSET
    if _WHO.issuperset(fields):
        return Profile(fields, id_)
    others = {name: value for name, value in fields.items() if name not in _KNOWN}
    found = attributes(fields, EVENT_PROFILE)
    if others:
        own = found.get("properties")
        found = {**found, "properties": {**others, **(own if isinstance(own, dict) else {})}}
    meta = patch(fields)
    if meta and shape is not None and shape.event_meta_inside:
        return Profile({**found, "meta": meta}, id_)
    return Profile(found, id_, meta or UNSET)


def event(payload: Payload, shape: Shape) -> EventAttributes:
    """What an event says, without its profile."""
    given = payload.get
    return EventAttributes(
        payload["properties"],
        _metric(payload["metric_name"]),
        given("time", UNSET),
        given("value", UNSET),
        given("value_currency", UNSET),
        given("unique_id", UNSET),
        True if shape.backfill and given("backfill") else UNSET,
    )


@lru_cache(maxsize=1_024)
def _metric(name: str) -> Raw:
    return Raw(encode({"data": {"type": "metric", "attributes": {"name": name}}}))


def bulk_events(who: Profile, attributes: EventAttributes) -> BulkEvents:
    """The entry of a bulk request for one event of a profile."""
    return BulkEvents(OwnedEvents(Data(who), Data((Event(attributes),))))


def short_id(text: str) -> str:
    """``text`` as a ``unique_id``: itself, or a digest of it where Klaviyo allows no more."""
    return text if len(text) <= UNIQUE_ID else digest(text)


def digest(value: Any) -> str:
    """32 hex digits that are equal for equal JSON values, whatever the order of their keys."""
    return hashlib.sha256(encode(_sorted(value))).hexdigest()[:32]


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return [[key, _sorted(value[key])] for key in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [_sorted(each) for each in value]
    return value


def profile_problem(found: Json) -> Discard | None:
    """Why a profile cannot be sent: Klaviyo takes 100 KB of one."""
    return _too_large("profile", found, PROFILE_BYTES)


_TOGETHER = 64
"""Profiles that are written down at once: most are so small that all of them are within bounds."""


def profile_problems(found: Sequence[Json]) -> list[Discard | None]:
    """``profile_problem`` of each."""
    problems: list[Discard | None] = []
    for start in range(0, len(found), _TOGETHER):
        some = found[start : start + _TOGETHER]
        small = len(encode(some)) <= PROFILE_BYTES
        problems += [None] * len(some) if small else map(profile_problem, some)
    return problems


def event_problem(payload: Payload, shape: Shape, times: tuple[str, str]) -> Discard | None:
    """Why an event cannot be sent: its profile is over 95 KB or its time out of Klaviyo's range,
    which ``event_times`` gives for ``shape``.
    """
    time = payload.get("time")
    first, last = times
    if isinstance(time, str) and not first < time <= last:
        return Discard(
            "time_out_of_range",
            f"time is {time[:40]}; Klaviyo takes events of revision {shape.since} from "
            f"{first[:4]} until a year from now",
            "time",
        )
    who = payload["profile"]
    for name, value in who.items():
        if name not in _WHO or value.__class__ is not str or len(value) > _SURELY_SHORT:
            return _too_large("profile", who, EVENT_PROFILE_BYTES)
    return None  # a few short identifiers, as most: told without writing them down


def event_times(shape: Shape, now: float) -> tuple[str, str]:
    """The bounds of Klaviyo's range, in the form of prepared times: texts of it sort like times."""
    return to_text(shape.earliest_event), to_text(now + YEAR_AHEAD)


def _too_large(what: str, value: Any, limit: int) -> Discard | None:
    size = len(encode(value))
    if size <= limit:
        return None
    return Discard(
        "too_large", f"the {what} has {size} bytes, Klaviyo takes {limit}; map less into it", what
    )
