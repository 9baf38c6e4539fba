"""Who is in an audience: membership as Segment's Engage and reverse ETL tell it."""

from __future__ import annotations

from typing import Any

_CLASSES = ("audience", "journey_step")
_WORDS = {"true": True, "false": False}
_MEMBER_WHEN = {
    "add": ("new",),
    "update": ("updated",),
    "upsert": ("new", "updated"),
    "mirror": ("new", "updated"),
}
_NO_MEMBER_WHEN = {"delete": ("deleted",), "mirror": ("deleted",)}


def membership(
    body: dict[str, Any], sync_mode: str = "", *, journeys_enter: bool = False
) -> bool | None:
    """Whether a canonical event puts its person into an audience (True), takes it out (False) or
    says nothing about it (None).

    Engage: the value under the audience's key in ``traits`` (identify) or ``properties`` (track);
    the texts ``"true"`` and ``"false"`` count, as older journeys send them. Else rows of reverse
    ETL by ``sync_mode`` (``add update upsert mirror delete``) and event. With ``journeys_enter``
    a journey's step without any value is an entry.
    """
    key = computation_key(body)
    if key:
        value = _value(body, key)
        if value is not None:
            return value
        if journeys_enter and _personas(body).get("computation_class") == "journey_step":
            return True
    return _row_membership(body.get("event"), sync_mode)


def computation_key(body: dict[str, Any]) -> str:
    """The key of the audience that an Engage event is about; empty where there is none."""
    personas = _personas(body)
    if personas.get("computation_class") in _CLASSES:
        key = personas.get("computation_key")
        return key if type(key) is str else ""
    key = (body.get("properties") or {}).get("audience_key")
    return key if type(key) is str else ""


def _personas(body: dict[str, Any]) -> dict[str, Any]:
    personas = (body.get("context") or {}).get("personas")
    return personas if type(personas) is dict else {}


def _value(body: dict[str, Any], key: str) -> bool | None:
    place = "traits" if body.get("type") == "identify" else "properties"
    value = (body.get(place) or {}).get(key)
    if type(value) is str:
        return _WORDS.get(value.lower())
    return value if type(value) is bool else None


def _row_membership(event: Any, sync_mode: str) -> bool | None:
    if event in _MEMBER_WHEN.get(sync_mode, ()):
        return True
    if event in _NO_MEMBER_WHEN.get(sync_mode, ()):
        return False
    return None
