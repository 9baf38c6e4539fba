"""The routes that take events: Segment's tracking API as real SDKs call it."""

from __future__ import annotations

import datetime as dt
from urllib.parse import parse_qsl

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from destination.errors import Rejected
from destination.ingress import tracking
from destination.ingress.encoding import inflate
from destination.ingress.format import Inbound
from destination.runtime.answers import SUCCESS, Answer, headers_of, ok, read_body, refusal
from destination.runtime.gate import Gate, rejected_list
from destination.runtime.watch import Watch

SHORT = {"i": "identify", "t": "track", "p": "page", "s": "screen", "g": "group", "a": "alias"}
BATCHES = ("/v1/b", "/v1/batch/b", "/batch", "/import", "/b")

CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET, OPTIONS, HEAD"),
    (
        b"access-control-allow-headers",
        (
            b"authorization, content-type, x-retry-count, x-write-key, x-enable-debug, x-ip-policy,"
            b" anonymousid, sentat, rsa-recovered, rsa-retry-attempt, rsa-since-last-attempt,"
            b" rsa-since-first-attempt, rsa-retry-reason"
        ),
    ),
    (b"access-control-max-age", b"86400"),
)


def tracking_paths() -> dict[str, str]:
    """Every path under which real clients post, and the call it means."""
    paths = {f"/v1/{call}": call for call in sorted(tracking.CALLS)}
    paths |= {f"/v1/{short}": call for short, call in SHORT.items()}
    paths |= dict.fromkeys(BATCHES, "batch")
    return paths | {f"{path}/": call for path, call in paths.items()}


class Tracking:
    """One call of the tracking API, as a plain ASGI application: this is the hot path."""

    def __init__(self, call: str, gate: Gate, watch: Watch) -> None:
        self._call = call
        self._gate = gate
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: 200 when its events are stored."""
        method = scope["method"]
        if method == "OPTIONS":
            answer = Answer(200, b"{}")
        elif method != "POST":
            error = Rejected(405, "method_not_allowed", f"{method} is not taken here; use POST")
            answer = refusal(error)
        else:
            answer = await self._post(scope, receive)
        await Answer(answer.status, answer.body, answer.headers + CORS)(scope, receive, send)

    async def _post(self, scope: Scope, receive: Receive) -> Answer:
        try:
            self._watch.check()
            headers = headers_of(scope)
            limit = self._gate.limits.body_bytes
            body = await read_body(receive, headers, limit)
            inbound = Inbound(
                path=self._call,
                body=inflate(body, headers.get("content-encoding", ""), limit),
                received_at=dt.datetime.now(dt.UTC),
                headers=headers,
                query=dict(parse_qsl(scope["query_string"].decode("latin-1"))),
                ip=(scope.get("client") or ("",))[0],
            )
            parsed = tracking.parse(inbound, self._call, limits=self._gate.limits)
            source = self._gate.source(parsed.write_key)
            await self._gate.take(source, parsed.events, parsed.refused)
        except Rejected as error:
            return refusal(error)
        if not parsed.refused:
            return SUCCESS
        return ok({"success": True, "rejected": rejected_list(parsed.refused)})


def routes(gate: Gate, watch: Watch) -> list[Route]:
    """The tracking API's routes, with and without a final slash: a redirect would lose events."""
    return [Route(path, Tracking(call, gate, watch)) for path, call in tracking_paths().items()]
