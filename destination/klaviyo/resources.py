"""The resources of Klaviyo's API of which one request holds a thousand.

Structs, because they are made in half the time of dictionaries and written down faster
(docs/performance.md). What is ``UNSET`` is not written down. Nothing in them refers back to them,
so Python's collector of cycles need not look at them (``gc=False``).
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from msgspec import UNSET, Raw, Struct, UnsetType

T = TypeVar("T")


class Data(Struct, Generic[T], frozen=True, gc=False):
    """What JSON:API puts around a resource, or a list of them, inside another one."""

    data: T


class Profile(Struct, frozen=True, gc=False, tag_field="type", tag="profile"):
    """A profile; ``meta`` holds operations on its properties."""

    attributes: dict[str, Any]
    id: str | UnsetType = UNSET
    meta: dict[str, Any] | UnsetType = UNSET


class EventAttributes(Struct, frozen=True, gc=False):
    """What an event says. ``metric`` is written down already, since many events share one;
    ``profile`` is told inside it by Create Event, beside it in bulk.
    """

    properties: Any
    metric: Raw
    time: Any = UNSET
    value: Any = UNSET
    value_currency: Any = UNSET
    unique_id: Any = UNSET
    backfill: bool | UnsetType = UNSET
    profile: Data[Profile] | UnsetType = UNSET


class Event(Struct, frozen=True, gc=False, tag_field="type", tag="event"):
    """An event."""

    attributes: EventAttributes


class OwnedEvents(Struct, frozen=True, gc=False):
    """A profile and events of it."""

    profile: Data[Profile]
    events: Data[tuple[Event, ...]]


class BulkEvents(Struct, frozen=True, gc=False, tag_field="type", tag="event-bulk-create"):
    """A profile and events of it, as one entry of a bulk request."""

    attributes: OwnedEvents
