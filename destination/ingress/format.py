"""What a caller's format is made of: the request as it came, and what was read from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from destination.event import Event


@dataclass(frozen=True, slots=True)
class Inbound:
    """One HTTP request of a caller, after size checks and inflating.

    ``path`` is the part that tells the call (``track``, ``batch``, ...); header names are lower
    case; ``body`` is the decoded bytes exactly as they came (signatures cover them);
    ``received_at`` is aware, UTC; ``ip`` is the caller's address.
    """

    path: str
    body: bytes
    received_at: datetime
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
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


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a request held. ``write_key`` is the key found in it, None where there was none."""

    events: tuple[Event, ...]
    refused: tuple[Refused, ...]
    write_key: str | None
