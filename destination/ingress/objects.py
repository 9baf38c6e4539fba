"""What a reverse-ETL tool can load into Klaviyo through us: objects, their fields and operations.

The names are those that a mapping finds: an object in ``context.source.object``, a field in
``properties``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Type = Literal["string", "integer", "float", "boolean", "date_time"]


@dataclass(frozen=True, slots=True)
class ObjectField:
    """One field; an ``identifier`` tells which person or event a row is about."""

    name: str
    label: str
    type: Type = "string"
    identifier: bool = False
    required: bool = False
    array: bool = False


@dataclass(frozen=True, slots=True)
class SyncObject:
    """One kind of row. ``open`` ones take fields beyond those named, as custom properties.

    ``operations`` are Census' words; ``mirror`` means that rows may be deleted as well.
    """

    name: str
    label: str
    fields: tuple[ObjectField, ...]
    operations: tuple[str, ...]
    open: bool = False

    def identifiers(self) -> tuple[ObjectField, ...]:
        """The fields by which a row can be known."""
        return tuple(each for each in self.fields if each.identifier)


_EMAIL = ObjectField("email", "E-mail address", identifier=True)
_PHONE = ObjectField("phone_number", "Phone number (E.164)", identifier=True)
_EXTERNAL_ID = ObjectField("external_id", "External id", identifier=True)
_PEOPLE = (_EMAIL, _PHONE, _EXTERNAL_ID)
_LIST_ID = ObjectField("list_id", "List id", required=True)

PROFILE = SyncObject(
    "profile",
    "Profile",
    (
        *_PEOPLE,
        ObjectField("id", "Klaviyo profile id", identifier=True),
        ObjectField("first_name", "First name"),
        ObjectField("last_name", "Last name"),
        ObjectField("organization", "Organization"),
        ObjectField("title", "Title"),
        ObjectField("image", "Image URL"),
        ObjectField("locale", "Locale"),
        ObjectField("address1", "Address, first line"),
        ObjectField("address2", "Address, second line"),
        ObjectField("city", "City"),
        ObjectField("region", "Region"),
        ObjectField("zip", "Zip code"),
        ObjectField("country", "Country"),
        ObjectField("latitude", "Latitude", "float"),
        ObjectField("longitude", "Longitude", "float"),
        ObjectField("timezone", "Time zone"),
    ),
    ("upsert",),
    open=True,
)
EVENT = SyncObject(
    "event",
    "Event",
    (
        ObjectField("unique_id", "Unique id of the event", identifier=True, required=True),
        ObjectField("metric_name", "Name of the metric", required=True),
        ObjectField("time", "Time of the event", "date_time"),
        ObjectField("value", "Monetary value", "float"),
        *(replace(field, identifier=False) for field in _PEOPLE),
    ),
    ("insert",),
    open=True,
)
MEMBERSHIP = SyncObject(
    "list_membership", "List membership", (*_PEOPLE, _LIST_ID), ("upsert", "mirror")
)
SUBSCRIPTION = SyncObject(
    "subscription",
    "Marketing subscription",
    (
        _EMAIL,
        _PHONE,
        ObjectField("list_id", "List id"),
        ObjectField("channels", "Channels: email, sms", array=True),
        ObjectField("consented_at", "Time of consent", "date_time"),
    ),
    ("upsert", "mirror"),
)
SUPPRESSION = SyncObject(
    "suppression",
    "Suppression",
    (replace(_EMAIL, required=True),),
    ("upsert", "mirror"),
)

MAX_LIST_ID = 100
"""Characters of a list's id; Klaviyo's have six."""

_FIXED = (PROFILE, EVENT, MEMBERSHIP, SUBSCRIPTION, SUPPRESSION)


def sync_objects(lists: Mapping[str, str]) -> list[SyncObject]:
    """Every object. ``lists`` are the account's lists, names by id: each is an object of its own,
    ``list/ID``, whose rows are its members.
    """
    by_name = sorted(lists.items(), key=lambda item: item[1].lower())
    return [*_FIXED, *(_list(identity, f"List: {name}") for identity, name in by_name)]


def sync_object(name: Any) -> SyncObject | None:
    """The object of this name. Any list is one: whether it is there shows when rows are delivered,
    so that nobody needs to ask Klaviyo for each batch.
    """
    kind, _, identity = name.partition("/") if type(name) is str else ("", "", "")
    if kind == "list" and identity and len(identity) <= MAX_LIST_ID:
        return _list(identity, f"List {identity}")
    return next((each for each in _FIXED if each.name == name), None)


def _list(identity: str, label: str) -> SyncObject:
    return SyncObject(f"list/{identity}", label, _PEOPLE, ("upsert", "mirror"))
