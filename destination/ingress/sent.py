"""Events that are kept as they were sent, and made canonical by whoever reads them.

To read an event whole, to check it and to write it anew takes longer than all else that is done
while its caller waits. Of a regular event, little need be known before it is stored: its ids, its
type, and what triggers usually ask for. It is kept as it came, with what its request said about it;
``Sent.body`` gives the canonical event when it is wanted.

An event is regular when ``canonical`` would refuse nothing of it and change nothing that a glimpse
shows. Every other one is read in full at once. Which way one went never shows: ids, persons, refusals,
triggers and bodies are the same. One thing only a full reading finds: a number that no double holds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Required, TypedDict

import msgspec

from destination.errors import Rejected
from destination.event import Event, decode
from destination.ingress.normalise import MAX_ID, SINGLE_CALLS, Arrival, canonical

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_IDS = ("messageId", "__segment_id", "userId", "anonymousId", "groupId", "previousId")
_ROOTS = frozenset(("type", "event", "name", "category", *_IDS))
_IN_CONTEXT = frozenset(("source", "personas", "membership", "mappedToDestination"))


class Sent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a request said about an event that is kept as it was sent.

    ``received`` is when it came, in ms since 1970; ``call`` its type, where the address told it;
    ``sent_at`` the request's own time, as its client wrote it.
    """

    received: int
    call: str = ""
    sent_at: str | None = None

    def body(self, text: bytes | msgspec.Raw) -> dict[str, Any]:
        """The canonical event. Raises ``msgspec.DecodeError`` for a number that no double holds."""
        return self.completed(decode(text))

    def completed(self, message: Any) -> dict[str, Any]:
        """The canonical event of the message as it was sent, read already."""
        return canonical(message, _arrival(self), self.call).body


def milliseconds(moment: datetime) -> int:
    """An aware time as ms since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


@lru_cache(maxsize=64)
def at_milliseconds(milliseconds: int) -> datetime:
    """The time so many ms after 1970; under load a dozen requests come in each."""
    return _EPOCH + milliseconds * _MILLISECOND


@lru_cache(maxsize=64)
def _arrival(sent: Sent) -> Arrival:
    """The events of one request are read one after the other."""
    return Arrival(at_milliseconds(sent.received), sent_at=sent.sent_at)


class SentEvent(msgspec.Struct, frozen=True):
    """A regular event: ``text`` is its JSON as it came; ``glimpse`` what is known of its canonical
    form; ``saying`` what tells it from another one under the same id.
    """

    id: str
    type: str
    person: str
    text: bytes
    sent: Sent
    glimpse: dict[str, Any]
    saying: tuple[bytes, ...]

    @property
    def body(self) -> dict[str, Any]:
        """As ``Event.body``, but read anew each time. Raises ``Rejected`` 400 for a number that no
        double holds.
        """
        try:
            return self.sent.body(self.text)
        except ValueError as error:  # msgspec's errors are ValueErrors
            what = f"the event {self.id[:60]!r} is not usable JSON: {error}"
            raise Rejected(
                400, "bad_request", f"{what}: send very large numbers as strings"
            ) from None


Taken = Event | SentEvent
"""An event that a request held."""

_Id = Annotated[str, msgspec.Meta(min_length=1)] | None


class _Object(TypedDict):
    """Any object; nothing in it is looked at."""


class _Metadata(TypedDict, total=False):
    writeKey: None


class _Context(TypedDict, total=False):
    source: Any
    personas: None  # what is about an audience is to be told whether its person is in it
    membership: Any
    mappedToDestination: Any
    direct: bool | None
    traits: _Object | None


_View = TypedDict(
    "_View",
    {
        "messageId": Required[Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]],
        "type": str | None,
        "userId": _Id,
        "anonymousId": _Id,
        "groupId": _Id,
        "previousId": _Id,
        "event": str | None,
        "name": str | None,
        "category": str | None,
        "properties": msgspec.Raw,
        "traits": msgspec.Raw,
        "context": _Context | None,
        "integrations": dict[str, Any] | None,
        "__segment_id": Any,
        "writeKey": None,  # a key is not to be stored
        "_metadata": _Metadata | None,
    },
    total=False,
)
_view = msgspec.json.Decoder(_View).decode


class _Audience(TypedDict, total=False):
    audience_key: None


_no_audience = msgspec.json.Decoder(_Audience).decode


def glimpsed(place: tuple[str, ...]) -> bool:
    """Whether a glimpse of a regular event shows what its canonical form has at ``place``."""
    if place[0] == "context":
        return len(place) > 1 and place[1] in _IN_CONTEXT
    return len(place) == 1 and place[0] in _ROOTS


def regular(text: bytes, sent: Sent) -> SentEvent | None:
    """The event whose JSON is ``text``, valid UTF-8 and not too deep; None when it must be read in
    full.
    """
    try:
        view: Any = _view(text)
    except (ValueError, RecursionError):  # it is read in full, and perhaps refused then
        return None
    kind = view["type"] = sent.call or view.get("type")
    person = view.get("userId") or view.get("anonymousId")
    properties, traits = bytes(view.get("properties", b"")), bytes(view.get("traits", b""))
    if person is None or not _is_call(kind, view, traits):
        return None
    if not (_is_object(properties) and _is_object(traits)) or _may_name_audience(properties):
        return None
    context = view.get("context")
    if context and context.get("direct"):
        return None  # it asks for its caller's address
    get = view.get
    said = f"{kind}\0{get('event')}\0{get('name')}\0{person}\0{get('groupId')}\0{get('previousId')}"
    return SentEvent(
        view["messageId"], kind, person, text, sent, view, (said.encode(), properties, traits)
    )


def _is_call(kind: Any, view: dict[str, Any], traits: bytes) -> bool:
    """Whether it is one of Segment's calls, and has what that must have where it is looked for."""
    if kind == "track":
        return bool((view.get("event") or "").strip())
    if kind == "identify":
        return len(traits) > 4  # else they stand in its context
    return kind in SINGLE_CALLS


def _is_object(text: bytes) -> bool:
    return text[:1] == b"{" or text in (b"", b"null")


def _may_name_audience(properties: bytes) -> bool:
    """Whether an audience is named, in plain letters or escaped ones."""
    if b"audience_key" in properties:
        return True
    if b"\\" not in properties:
        return False
    try:
        _no_audience(properties)
    except ValueError:
        return True
    return False
