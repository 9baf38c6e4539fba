"""The parts of a body that Segment's ``X-Signature`` may cover.

Measured with Segment's published code: of a batch it signs the first event only; where its encoder
wraps each event as ``{"json": event}`` it signs what is inside; events to which Webhook Audiences
adds members are signed before these are added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from destination.event import encode

_array = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def signed_parts(body: bytes, extras: Sequence[str] = ()) -> Iterator[tuple[bytes, bool]]:
    """Each text that the signature may cover, and whether it vouches for every event in the body.

    The texts are slices of the body as it came: numbers and escapes written anew would differ from
    what was signed. Only a text that lost ``extras`` from its end is put together again, from the
    slices of its members. A body that is not JSON has one part: itself.
    """
    yield body, True
    try:
        events = _array.decode(body)
    except (ValueError, RecursionError):
        yield from ((text, True) for text in _without_extras(body, extras))
        return
    if not events:
        return
    alone = len(events) == 1
    first = bytes(events[0])
    yield first, alone
    members = _members(first)
    if members.keys() == {"json"}:  # with anything beside it, it is not what will be read
        yield bytes(members["json"]), alone
    yield from ((text, alone) for text in _without_extras(first, extras))


def _without_extras(event: bytes, extras: Sequence[str]) -> Iterator[bytes]:
    members = list(_members(event).items()) if extras else []
    kept = members.copy()
    while kept and kept[-1][0] in extras:
        kept.pop()
    if len(kept) < len(members):
        yield b"{%s}" % b",".join(encode(name) + b":" + bytes(value) for name, value in kept)


def _members(event: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _object.decode(event)
    except (ValueError, RecursionError):
        return {}
