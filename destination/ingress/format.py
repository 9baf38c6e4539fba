"""What a caller's format is made of: the request as it came, what was read from it, how it is
proven, and the record that ties these together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec

from destination.ingress.sent import Taken


class Inbound(msgspec.Struct, frozen=True):
    """One HTTP request of a caller, after size checks and inflating.

    ``path`` is the part that tells the call (``track``, ``batch``, ...); header names are lower
    case; ``body`` is the decoded bytes exactly as they came (signatures cover them);
    ``received_at`` is aware, UTC; ``ip`` is the caller's address.
    """

    path: str
    body: bytes
    received_at: datetime
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    query: Mapping[str, str] = msgspec.field(default_factory=dict)
    ip: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """One bad event inside a request that is otherwise fine.

    ``index`` is its place in the request from 0; ``code`` one of Segment's rejection codes where
    one fits; ``message`` says what was wrong with the value seen and what to do.
    """

    index: int
    code: str
    message: str
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold: decoded bytes of the whole body and of one event, and events.

    ``SEGMENT`` are the figures of Segment's tracking API. The defaults are wider: RudderStack's
    Python client sends batches of 4 MiB.
    """

    event_bytes: int = 1 << 20
    body_bytes: int = 4 << 20
    batch_events: int = 10_000


SEGMENT = Limits(event_bytes=32 << 10, body_bytes=500 << 10, batch_events=2_500)


class Parsed(msgspec.Struct, frozen=True):
    """What a request held. ``write_key`` is the key found in it, None where there was none."""

    events: tuple[Taken, ...]
    refused: tuple[Refused, ...]
    write_key: str | None


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a sender signs: an HMAC over ``payload``, in one or several headers.

    ``payload`` is ``raw`` (the body), ``segment_first`` (whatever Segment signs, see
    ``destination.ingress.spans``) or a template over ``{id}``, ``{timestamp}`` and ``{body}``.
    ``prefix`` stands before each signature, ``separator`` between several. The time is unix seconds
    in ``timestamp_header``, or, with ``timestamp_prefix``, a part of the signature's own header; it
    is checked when the template uses it. Header names are lower case. ``base64_secret`` is for
    secrets that are written as base64, with or without ``whsec_`` before them.
    """

    header: str
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    separator: str = ""
    payload: str = "raw"
    id_header: str = ""
    timestamp_header: str = ""
    timestamp_prefix: str = ""
    base64_secret: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator can choose for one source of webhooks.

    ``require_full_signature`` refuses a batch of which only the first event is signed.
    ``tolerance`` is how many seconds a signed time may lie from now. ``extras`` names the members
    that Segment's Webhook Audiences add to each event: not signed, not stored. ``scheme`` replaces
    the format's own way of signing. ``credential_header`` carries the shared secret of senders that do
    not sign.
    """

    limits: Limits = field(default_factory=Limits)
    require_full_signature: bool = False
    tolerance: float = 300
    extras: tuple[str, ...] = ()
    scheme: Scheme | None = None
    credential_header: str = "authorization"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request's signature is worth.

    ``code`` is ``verified``, ``partly_signed`` (only the first event of several is covered),
    ``unsigned`` (no secret is set, nothing was checked), or why not: ``missing_signature``,
    ``invalid_signature``, ``stale_signature``. ``message`` says what to do where it is refused.
    """

    accepted: bool
    code: str
    message: str = ""


def accepted(parsed: Parsed) -> dict[str, Any]:
    """The body of the answer to a request that was taken: what became of its events.

    Never with a key ``error``: Segment's Ruby client takes that for a failure.
    """
    answer: dict[str, Any] = {
        "success": True,
        "received": len(parsed.events) + len(parsed.refused),
        "accepted": len(parsed.events),
    }
    if parsed.refused:
        answer["rejected"] = [
            {"index": bad.index, "code": bad.code, "message": bad.message} for bad in parsed.refused
        ]
    return answer


@dataclass(frozen=True, slots=True)
class Format:
    """One sender's webhook format.

    ``parse`` reads a request (an empty body is a probe and holds nothing; raises ``Rejected``);
    ``verify`` judges its signature with any of several secrets at a unix time and never raises;
    ``answer`` gives the body of the 200; ``handshake`` the headers that answer an OPTIONS request
    with these headers.
    """

    name: str
    description: str
    parse: Callable[[Inbound, Options], Parsed]
    verify: Callable[[Inbound, Sequence[str], float, Options], Verdict]
    methods: tuple[str, ...] = ("POST",)
    answer: Callable[[Parsed], dict[str, Any]] = accepted
    handshake: Callable[[Mapping[str, str]], dict[str, str]] = lambda _headers: {}
