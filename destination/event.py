"""The event: one Segment-spec message, and how it is written down."""

from __future__ import annotations

from typing import Any

import msgspec

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


class Event(msgspec.Struct, frozen=True):  # made in a tenth of a dataclass's time
    """One message in the canonical Segment shape, as ``ingress`` makes it.

    ``id`` is the messageId, ``type`` the call (``identify``, ``track``, ...), ``body`` the whole
    message as JSON values. Nobody changes ``body``: it is shared by every mapping that wants it.
    """

    id: str
    type: str
    body: dict[str, Any]

    @property
    def glimpse(self) -> dict[str, Any]:
        """What is known of ``body`` without reading more of it: all."""
        return self.body


def encode(value: Any) -> bytes:
    """Compact UTF-8 JSON. Raises ``msgspec.EncodeError`` or ``TypeError`` for what JSON cannot hold."""
    return _encoder.encode(value)


def decode(text: bytes | str) -> Any:
    """Read strict JSON (no NaN, no infinities, no lone surrogates). Raises ``msgspec.DecodeError``."""
    return _decoder.decode(text)


def person(body: dict[str, Any]) -> str:
    """The key under which an event's deliveries keep their order: who it is about.

    ``userId``, else ``anonymousId``, else the e-mail address in the traits, else the key of a
    reverse-ETL row, else the messageId (an event about nobody in particular has no order to keep).
    """
    user = body.get("userId") or body.get("anonymousId")
    if user:
        return str(user)
    for traits in (body.get("traits"), (body.get("context") or {}).get("traits")):
        if isinstance(traits, dict) and isinstance(traits.get("email"), str) and traits["email"]:
            return traits["email"].lower()  # type: ignore[no-any-return]
    key = body.get("__segment_id")
    return str(key).lower() if key else str(body.get("messageId", ""))
