"""From what clients really send to one canonical event, the same for every caller's format.

The rules, each seen in requests of real clients:

- null at the root means absent; ``writeKey`` and ``_metadata`` are not part of the event;
- an empty array stands for an empty object (PHP) in ``properties``, ``traits``, ``context`` and
  ``integrations``;
- integers as ids become strings, empty ids are absent;
- ``identify`` carries its traits at the root or in ``context.traits``, or both: afterwards both;
- ``timestamp`` is there always, by our clock; the client's own is ``originalTimestamp``;
- ``messageId`` is there always, derived from the event where the client gave none;
- an event about an audience says in ``context.membership`` whether its person is in it now, which
  stands under a name that differs from audience to audience;
- a RudderStack ``record`` becomes the ``track`` event that Segment's reverse ETL sends for a row.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from destination.errors import DestinationError
from destination.event import Event
from destination.ingress.audience import membership
from destination.ingress.clock import corrected, moment, text

MAX_ID = 255
"""Characters of a messageId that are kept as they are; Segment's own limit is 100."""

KLAVIYO_NAMES = ("Klaviyo", "Klaviyo (Actions)", "KLAVIYO")
"""What clients call this destination in ``integrations``."""

SINGLE_CALLS = frozenset(("identify", "track", "page", "screen", "group", "alias"))
"""The calls of Segment's spec."""
_NOT_EVENT = ("writeKey", "_metadata")
_NOT_IDENTITY = frozenset(("sentAt", "receivedAt"))
_OBJECTS = ("properties", "traits", "context", "integrations")
_IDS = ("userId", "anonymousId", "groupId", "previousId")
_ROW_EVENTS = {"insert": "new", "update": "updated", "delete": "deleted"}
_sorted_json = msgspec.json.Encoder(order="deterministic").encode


class Malformed(DestinationError):
    """One event cannot be used. ``code`` is one of Segment's rejection codes where one fits."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True)
class Arrival:
    """What one request says about every event in it.

    ``from_client`` is True on the tracking API, where the sender is the client itself: its clock
    is corrected and it must name a person. Elsewhere Segment or another relay has done both.
    ``sent_at`` is the request's own, as text; ``context`` and ``integrations`` are defaults for
    each event; ``ip`` is the caller's address; ``retry_key`` is the same for all attempts at one
    request, where the caller says so (``Idempotency-Key``). ``repeats`` counts equal events without
    a messageId.
    """

    received_at: datetime
    from_client: bool = True
    sent_at: Any = None
    context: dict[str, Any] | None = None
    integrations: dict[str, Any] | None = None
    ip: str = ""
    retry_key: str = ""
    received: str = field(init=False)
    sent: datetime | None = field(init=False)
    repeats: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.received = text(self.received_at)
        self.sent = moment(self.sent_at)


def canonical(item: Any, arrival: Arrival, call: str = "") -> Event:
    """The canonical event of one message as a client sent it; ``call`` overrules its ``type``.

    ``item`` is not changed, parts of it are shared. Raises ``Malformed``.
    """
    if type(item) is not dict:
        raise Malformed("event_not_object", f"an event must be an object, not {seen(item)}")
    body = _without_null(item)
    kind = call or _kind(body)
    names_person = arrival.from_client
    if kind not in SINGLE_CALLS:
        names_person = False
        if kind == "record":
            body, kind = _row_event(body), "track"
    body["type"] = kind
    _check_objects(body)
    _check_ids(body)
    if names_person and "userId" not in body and "anonymousId" not in body:
        _check_alias(body, kind)
    _check_call(body, kind)
    body["messageId"] = identity = _message_id(body, arrival)
    _complete_context(body, kind, arrival)
    _tell_membership(body)
    _set_times(body, arrival)
    return Event(identity, kind, body)


def wants_klaviyo(body: dict[str, Any], names: tuple[str, ...] = KLAVIYO_NAMES) -> bool:
    """Whether the event's ``integrations`` let it go to Klaviyo; a named entry overrules ``All``.

    For events straight from clients only: on webhooks Segment has already applied ``integrations``
    to its own destination, under a name that is not ours.
    """
    integrations = body.get("integrations")
    if not integrations:
        return True
    named = [integrations[name] for name in names if integrations.get(name) is not None]
    if named:
        return any(choice is not False for choice in named)
    return integrations.get("All") is not False


def seen(value: Any) -> str:
    """A value as a message shows it: its JSON, bounded in length."""
    shown = msgspec.json.encode(value).decode()
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _without_null(item: dict[str, Any]) -> dict[str, Any]:
    body = item.copy()
    for value in item.values():
        if value is None:  # `None in` compares with each, which takes three times as long
            body = {key: value for key, value in item.items() if value is not None}
            break
    for name in _NOT_EVENT:
        if name in body:
            del body[name]
    return body


def _kind(body: dict[str, Any]) -> str:
    kind = body.get("type")
    if type(kind) is str and kind:
        lowered = kind.lower()
        return lowered if lowered in SINGLE_CALLS else kind
    if kind is None or kind == "":
        raise Malformed("type_not_defined", 'the event has no type: add one, such as "track"')
    raise Malformed("type_not_string", f"type must be a string, not {seen(kind)}")


def _check_objects(body: dict[str, Any]) -> None:
    for name in _OBJECTS:
        value = body.get(name)
        if value is not None and type(value) is not dict:
            if value != []:
                raise Malformed(
                    f"{name}_not_object", f"{name} must be an object, not {seen(value)}"
                )
            body[name] = {}


def _check_ids(body: dict[str, Any]) -> None:
    for name in _IDS:
        value = body.get(name)
        if value is None or (type(value) is str and value):
            continue
        if value == "":
            del body[name]
        elif type(value) is int:
            body[name] = str(value)
        else:
            raise Malformed("id_not_string", f"{name} must be a string, not {seen(value)}")


def _check_alias(body: dict[str, Any], kind: str) -> None:
    """Without a person an event is of use only when it is an alias of one."""
    if kind != "alias" or "previousId" not in body:
        raise Malformed(
            "no_user_anon_id", f"{kind} names nobody: add userId or anonymousId, as strings"
        )


def _check_call(body: dict[str, Any], kind: str) -> None:
    if kind == "track":
        event = body.get("event")
        if type(event) is not str:
            if event is None:
                raise Malformed("event_not_defined", "track has no event: add the event's name")
            raise Malformed("event_not_string", f"event must be a string, not {seen(event)}")
        if not event.strip():
            raise Malformed("event_not_defined", "the event's name is empty: give it one")
    elif kind in ("page", "screen"):
        for name in ("name", "category"):
            value = body.get(name)
            if value is not None and type(value) is not str:
                raise Malformed(f"{name}_not_string", f"{name} must be a string, not {seen(value)}")


def _message_id(body: dict[str, Any], arrival: Arrival) -> str:
    """The client's id (hashed when it is longer than ``MAX_ID``), or one that a retry gets again.

    The derived id covers the event as sent, without ``sentAt``. Where the event has no time of its
    own, nothing but the time of receipt tells the same thing happening twice from one request sent
    twice: the id covers the caller's retry key then, else the minute, so that a person can turn a
    setting off and on again. Equal events within one request are numbered.
    """
    given = body.get("messageId")
    if type(given) is int:
        given = str(given)
    if type(given) is str and given:
        return given if len(given) <= MAX_ID else f"long-{digest(given)}"
    facts = {name: value for name, value in body.items() if name not in _NOT_IDENTITY}
    timed = "timestamp" in body or "originalTimestamp" in body
    basis = facts if timed else [facts, arrival.retry_key or arrival.received[:16]]
    identity = f"derived-{digest(basis)}"
    count = arrival.repeats[identity] = arrival.repeats.get(identity, 0) + 1
    return identity if count == 1 else f"{identity}-{count}"


def digest(value: Any) -> str:
    """32 hexadecimal digits that are equal for equal JSON values, whatever the order of keys."""
    return hashlib.blake2b(_sorted_json(value), digest_size=16).hexdigest()


def _complete_context(body: dict[str, Any], kind: str, arrival: Arrival) -> None:
    """Add the request's defaults, the address that a client asked for, and identify's traits."""
    if arrival.context:
        body["context"] = {**arrival.context, **body.get("context", {})}
    if arrival.integrations:
        body["integrations"] = {**arrival.integrations, **body.get("integrations", {})}
    context = body.get("context")
    if context is None:
        context = body["context"] = {}
    if context.get("direct") is True and arrival.ip and not context.get("ip"):
        context = body["context"] = {**context, "ip": arrival.ip}
    traits = context.get("traits")
    if traits is not None and type(traits) is not dict:
        if traits != []:
            raise Malformed(
                "traits_not_object", f"context.traits must be an object, not {seen(traits)}"
            )
        context = body["context"] = {**context, "traits": {}}
    if kind == "identify":
        root = body.get("traits")
        if not root:
            body["traits"] = context.get("traits") or {}
        elif not context.get("traits"):
            body["context"] = {**context, "traits": root}


def _tell_membership(body: dict[str, Any]) -> None:
    """Write down where triggers can find it whether the person is in the event's audience."""
    properties = body.get("properties")
    if not (body["context"].get("personas") or (properties and properties.get("audience_key"))):
        return  # it is about none: most events
    joined = membership(body)
    if joined is not None:
        body["context"] = {**body["context"], "membership": joined}


def _set_times(body: dict[str, Any], arrival: Arrival) -> None:
    """Give the event ``timestamp`` by our clock, ``receivedAt`` and, if known, ``sentAt``.

    A client's time that cannot be read stays in ``originalTimestamp`` and the time of receipt
    counts. What relays send is corrected already and stays as it is, if it is a time at all.
    """
    claimed = body.get("timestamp") or body.get("originalTimestamp")
    read = moment(claimed) if claimed else None
    if not arrival.from_client:
        _keep_times(body, arrival, claimed, read)
        return
    sent = arrival.sent
    own = body.get("sentAt")
    if own is None:
        if sent is not None:
            body["sentAt"] = arrival.sent_at
    elif own != arrival.sent_at:
        sent = moment(own) or sent
    body["receivedAt"] = arrival.received
    if read is None:
        body["timestamp"] = arrival.received
    else:
        body["timestamp"] = text(corrected(read, sent, arrival.received_at))
    if claimed:
        body["originalTimestamp"] = claimed


def _keep_times(
    body: dict[str, Any], arrival: Arrival, claimed: Any, read: datetime | None
) -> None:
    body.setdefault("receivedAt", arrival.received)
    if read is not None and type(body.get("timestamp")) is str:
        return
    if claimed:
        body.setdefault("originalTimestamp", claimed)
    body["timestamp"] = text(corrected(read or arrival.received_at, None, arrival.received_at))


def _row_event(body: dict[str, Any]) -> dict[str, Any]:
    """RudderStack's ``record`` as the event that Segment's reverse ETL sends for a changed row."""
    parts = {name: body.pop(name, None) or {} for name in ("fields", "identifiers")}
    for name, value in parts.items():
        if type(value) is not dict:
            raise Malformed("properties_not_object", f"{name} must be an object, not {seen(value)}")
    action = body.get("action")
    event = _ROW_EVENTS.get(action) if type(action) is str else None
    if event is None:
        raise Malformed(
            "action_not_defined",
            f"a record's action must be insert, update or delete, not {seen(action)}",
        )
    row = {**body, "event": event, "properties": {**parts["fields"], **parts["identifiers"]}}
    key = body.get("recordId")
    return row if key is None else {**row, "__segment_id": str(key)}
