"""The mappings that are measured: Segment's defaults, a richer set, and one written by hand."""

from __future__ import annotations

from typing import Any

Event = dict[str, Any]


def path(name: str) -> dict[str, str]:
    """The directive for a path."""
    return {"@path": f"$.{name}"}


def first_of(name: str, other: str) -> dict[str, Any]:
    """The value at ``name`` if it is there, else the one at ``other``."""
    return {"@if": {"exists": path(name), "then": path(name), "else": path(other)}}


def address(place: str) -> dict[str, Any]:
    """A location out of the address at ``place``."""
    names = {"city": "city", "region": "state", "zip": "postal_code", "address1": "street"}
    names["country"] = "country"
    return {field: path(f"{place}.{name}") for field, name in names.items()}


PERSON = {"external_id": path("userId"), "anonymous_id": path("anonymousId")}
PERSON_WITH_EMAIL = {**PERSON, "email": path("context.traits.email")}
LIST_ID = first_of(
    "context.personas.audience_settings.listId", "context.personas.external_audience_id"
)
COUNTRY = path("context.traits.address.country")

TRIGGERS = {
    "upsertProfile": 'type = "identify"',
    "trackEvent": 'type = "track" and event != "Order Completed" and event != "Audience Entered"'
    ' and event != "Audience Exited" and event != "User Subscribed"'
    ' and event != "User Unsubscribed"',
    "orderCompleted": 'type = "track" and event = "Order Completed"',
    "addProfileToList": 'event = "Audience Entered"',
    "removeProfileFromList": 'event = "Audience Exited"',
    "subscribeProfile": 'type = "track" and event = "User Subscribed"',
    "unsubscribeProfile": 'type = "track" and event = "User Unsubscribed"',
}

DEFAULTS: dict[str, dict[str, Any]] = {
    "upsertProfile": {
        "email": path("traits.email"),
        "phone_number": path("context.traits.phone"),
        "first_name": path("traits.firstName"),
        "last_name": path("traits.lastName"),
        "organization": path("traits.company.name"),
        "title": path("traits.title"),
        "image": path("traits.avatar"),
        "location": address("traits.address"),
        "properties": path("properties"),
        "batch_size": 10000,
        "override_list_id": path("integrations.Klaviyo.listId"),
        "batch_keys": ["list_id", "override_list_id"],
    },
    "trackEvent": {
        "metric_name": path("event"),
        "properties": path("properties"),
        "time": path("timestamp"),
        "unique_id": path("messageId"),
        "enable_batching": True,
        "batch_size": 1000,
        "profile": PERSON,
    },
    "orderCompleted": {
        "properties": path("properties"),
        "time": path("timestamp"),
        "unique_id": path("messageId"),
        "event_name": "Order Completed",
        "product_event_name": "Ordered Product",
        "profile": PERSON,
    },
    "addProfileToList": {
        "email": path("context.traits.email"),
        "phone_number": path("context.traits.phone"),
        "list_id": LIST_ID,
        "enable_batching": True,
        "batch_size": 10000,
        "first_name": path("properties.firstName"),
        "last_name": path("properties.lastName"),
        "image": path("properties.avatar"),
        "title": path("properties.title"),
        "organization": path("properties.company.name"),
        "location": address("properties.address"),
        "properties": path("properties.properties"),
        "batch_keys": ["list_id"],
    },
    "removeProfileFromList": {
        "email": path("context.traits.email"),
        "list_id": LIST_ID,
        "phone_number": path("context.traits.phone"),
        "enable_batching": True,
        "batch_size": 1000,
        "batch_keys": ["list_id"],
    },
    "subscribeProfile": {
        "email": first_of("traits.email", "context.traits.email"),
        "phone_number": first_of("traits.phone", "context.traits.phone"),
        "custom_source": "-59",
        "historical_import": False,
        "consented_at": path("timestamp"),
        "batch_keys": ["list_id", "custom_source", "historical_import"],
        "batch_size": 1000,
    },
    "unsubscribeProfile": {
        "email": first_of("traits.email", "context.traits.email"),
        "phone_number": first_of("traits.phone", "context.traits.phone"),
        "batch_keys": ["list_id"],
        "batch_size": 100,
    },
}

MORE: dict[str, dict[str, Any]] = {
    "upsertProfile": {"country_code": COUNTRY, "external_id": path("userId")},
    "trackEvent": {"profile": PERSON_WITH_EMAIL, "value": path("properties.value")},
    "orderCompleted": {
        "profile": PERSON_WITH_EMAIL,
        "value": path("properties.total"),
        "products": path("properties.products"),
    },
}
RICHER = {
    action: {**fields, **MORE.get(action, {"country_code": COUNTRY})}
    for action, fields in DEFAULTS.items()
}


def profile_by_hand(event: Event) -> Event | None:
    """``upsertProfile`` as somebody would write it for these events alone."""
    if event.get("type") != "identify":
        return None
    traits = event.get("traits") or {}
    payload: Event = {"batch_size": 10000, "batch_keys": ["list_id", "override_list_id"]}
    for field, name in (
        ("email", "email"),
        ("first_name", "firstName"),
        ("last_name", "lastName"),
        ("title", "title"),
        ("image", "avatar"),
    ):
        if name in traits:
            payload[field] = traits[name]
    context_traits = (event.get("context") or {}).get("traits") or {}
    if "phone" in context_traits:
        payload["phone_number"] = context_traits["phone"]
    company = traits.get("company") or {}
    if "name" in company:
        payload["organization"] = company["name"]
    home = traits.get("address") or {}
    payload["location"] = {
        field: home[name]
        for field, name in (
            ("city", "city"),
            ("region", "state"),
            ("zip", "postal_code"),
            ("address1", "street"),
            ("country", "country"),
        )
        if name in home
    }
    if "properties" in event:
        payload["properties"] = event["properties"]
    klaviyo = (event.get("integrations") or {}).get("Klaviyo") or {}
    if "listId" in klaviyo:
        payload["override_list_id"] = klaviyo["listId"]
    return payload
