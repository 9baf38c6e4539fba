"""A payload with every field for each action, and the rehearsal to send it to."""

from __future__ import annotations

from typing import Any

from destination.klaviyo import KLAVIYO
from destination.sending import Request, Response, Send

PERSON = {"email": "ana@acme.io", "phone_number": "+14155552671", "external_id": "u-1"}
FULL = {
    **PERSON,
    "first_name": "Ana",
    "last_name": "Lima",
    "organization": "Acme",
    "title": "Baker",
    "locale": "pt-BR",
    "image": "https://acme.io/a.png",
    "location": {
        **dict.fromkeys(("address1", "address2", "city", "region", "zip", "country"), "x"),
        "latitude": "1.5",
        "longitude": None,
        "timezone": "Europe/Berlin",
        "ip": "1.2.3.4",
    },
    "properties": {"a": [1, {"b": None}]},
    "append_properties": {"a": 2},
    "unappend_properties": {"a": 1},
    "unset_properties": ["b", "c"],
}
EVENT = {
    "profile": {**FULL, "anonymous_id": "anon", "_kx": "t", "favourite colour": "red"},
    "metric_name": "Viewed",
    "properties": {"a": 1},
    "time": "2025-11-20T10:00:00Z",
    "value": 9.5,
    "value_currency": "EUR",
    "unique_id": "m-1",
    "backfill": True,
}
PAYLOADS: dict[str, dict[str, Any]] = {
    "upsertProfile": {**FULL, "list_name": "News"},
    "addProfileToList": {**FULL, "list_id": "L1"},
    "removeProfileFromList": {**PERSON, "list_id": "L1"},
    "removeProfile": {**PERSON, "list_name": "News"},
    "trackEvent": EVENT,
    "orderCompleted": {
        **{name: EVENT[name] for name in EVENT if name != "metric_name"},
        "products": [{"sku": "a"}, {"sku": "b"}],
    },
    "subscribeProfile": {
        **PERSON,
        "list_id": "L1",
        "historical_import": True,
        "consented_at": "2024-05-01",
    },
    "unsubscribeProfile": {**PERSON, "list_id": "L1"},
    "suppressProfile": PERSON,
    "unsuppressProfile": PERSON,
    "deleteProfile": PERSON,
    "mergeProfiles": {"external_id": "u-2", "previous_external_id": "u-1"},
}


class Recorder:
    """Klaviyo's rehearsal, keeping what is asked."""

    def __init__(self, send: Send = KLAVIYO.rehearse) -> None:
        self.requests: list[Request] = []
        self.send = send

    def __call__(self, request: Request) -> Response:
        """The rehearsed answer."""
        self.requests.append(request)
        return self.send(request)
