"""One HTTP request as the formats want it: read within bounds, inflated, with the time it came."""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope

from destination.ingress.encoding import inflate
from destination.ingress.format import Inbound, Limits
from destination.ingress.sent import at_milliseconds
from destination.runtime.http.answers import headers_of, read_body, too_large


async def read_inbound(scope: Scope, receive: Receive, path: str, limits: Limits) -> Inbound:
    """Read the request; ``path`` is the part of its address that the format knows.

    Raises ``Rejected``: 400, 408, 413 or 415 for a body that cannot be had.
    """
    headers = headers_of(scope)
    body = await read_body(receive, headers, limits.body_bytes)
    return _inbound(scope, headers, body, path, limits)


def whole_inbound(scope: Scope, body: bytes, path: str, limits: Limits) -> Inbound:
    """The same for a request whose body is there. Raises ``Rejected``: 400, 413 or 415."""
    if len(body) > limits.body_bytes:
        raise too_large(limits.body_bytes)
    return _inbound(scope, headers_of(scope), body, path, limits)


def _inbound(
    scope: Scope, headers: Mapping[str, str], body: bytes, path: str, limits: Limits
) -> Inbound:
    asked = scope["query_string"]
    return Inbound(
        path=path,
        body=inflate(body, headers.get("content-encoding", ""), limits.body_bytes),
        received_at=at_milliseconds(time.time_ns() // 1_000_000),
        headers=headers,
        query=dict(parse_qsl(asked.decode("latin-1"))) if asked else {},
        ip=(scope.get("client") or ("",))[0],
    )
