"""What arrives at the sandbox, and what it sends back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

MEDIA = "application/vnd.api+json"


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request; header names in lower case, ``query`` decoded, ``body`` as on the wire."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and what shall go wrong on its way.

    ``delay`` in seconds comes first. ``cut`` None: sent whole; else the connection is cut after that
    many bytes of the body, or (negative) before anything was sent. ``trickle``: seconds per byte.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    cut: int | None = None
    trickle: float = 0.0

    def changed(self, **values: Any) -> Reply:
        """A copy with other values."""
        return replace(self, **values)


def json_reply(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """A reply with a JSON:API document, or (None) with an empty body."""
    if document is None:
        return Reply(status, dict(headers or {}))
    return Reply(status, {"content-type": MEDIA, **(headers or {})}, msgspec.json.encode(document))
