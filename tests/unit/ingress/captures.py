"""Requests that real clients made, as bytes again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from destination.errors import Rejected
from destination.ingress.encoding import inflate
from destination.ingress.format import Inbound

FOLDER = Path(__file__).parents[2] / "cases" / "captures"
RECEIVED = datetime(2026, 11, 22, 11, 0, 0, 250_000, UTC)
KEY = "TESTWRITEKEY000"
CALLS = {
    "/v1/batch": "batch",
    "/v1/i": "identify",
    "/v1/t": "track",
    "/v1/p": "page",
    "/v1/s": "screen",
    "/v1/g": "group",
    "/v1/a": "alias",
}


def load(name: str) -> dict[str, Any]:
    """One capture file."""
    return json.loads((FOLDER / f"{name}.json").read_text())  # type: ignore[no-any-return]


def clients() -> list[str]:
    """The names of all captures of tracking clients."""
    return sorted(
        path.stem
        for path in FOLDER.glob("*.json")
        if not path.stem.startswith(("_", "segment-destination"))
    )


def posts(name: str) -> list[dict[str, Any]]:
    """The requests with a body."""
    return [request for request in load(name)["requests"] if request["method"] == "POST"]


def wire(request: dict[str, Any]) -> bytes:
    """The body as it was sent: proven by its length, compressed again where it was compressed."""
    spellings = (
        json.dumps(request["body"]),
        json.dumps(request["body"], separators=(",", ":"), ensure_ascii=False),
    )
    [body] = {text.encode() for text in spellings if len(text.encode()) == request["decoded_bytes"]}
    compressed = lowered(request).get("content-encoding") == "gzip"
    return gzip.compress(body) if compressed else body


def lowered(request: dict[str, Any]) -> dict[str, str]:
    """Its headers with lower-case names."""
    return {name.lower(): value for name, value in request["headers"].items()}


def inbound(request: dict[str, Any]) -> Inbound:
    """The request as the server hands it to a format."""
    headers = lowered(request)
    return Inbound(
        path=CALLS.get(request["path"], request["path"]),
        body=inflate(wire(request), headers.get("content-encoding", ""), 1 << 20),
        received_at=RECEIVED,
        headers=headers,
        ip="198.51.100.7",
    )


def outcome(attempt: Callable[[], Any]) -> Any:
    """What it gives, or the ``Rejected`` that it raises; any other error passes through."""
    try:
        return attempt()
    except Rejected as problem:
        return problem
