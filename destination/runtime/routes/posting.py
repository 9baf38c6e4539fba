"""The routes of the tracking API, as real SDKs of Segment, RudderStack and Jitsu call it."""

from __future__ import annotations

from starlette.routing import Route
from starlette.types import Receive, Scope

from destination.ingress import tracking
from destination.ingress.credentials import bearer_token
from destination.ingress.format import Inbound
from destination.runtime.http.answers import SUCCESS, Answer, ok
from destination.runtime.http.inbound import read_inbound, whole_inbound
from destination.runtime.intake.gate import Gate, rejected_list
from destination.runtime.routes.browser import Public
from destination.runtime.watch import Watch

SHORT = {"i": "identify", "t": "track", "p": "page", "s": "screen", "g": "group", "a": "alias"}
BATCHES = ("/v1/b", "/v1/batch/b", "/batch", "/import", "/b", "/beacon/v1/batch")
JITSU = ("/api/s", "/api/s/s2s")


def tracking_paths() -> dict[str, str]:
    """Every path under which real clients post, and the call it means."""
    paths = {f"/v1/{call}": call for call in sorted(tracking.CALLS)}
    paths |= {f"/v1/{short}": call for short, call in SHORT.items()}
    paths |= dict.fromkeys(BATCHES, "batch")
    for root in JITSU:
        paths |= {f"{root}/{call}": call for call in sorted(tracking.CALLS)}
    return paths | {f"{path}/": call for path, call in paths.items()}


class Tracking(Public):
    """One call of the tracking API. This is the hot path."""

    def __init__(self, call: str, gate: Gate, watch: Watch) -> None:
        self._call = call
        self._gate = gate
        self._watch = watch

    async def take(self, scope: Scope, receive: Receive) -> Answer:
        """Answer 200 when the events are stored; a bad event fails none of those beside it."""
        self._watch.check()
        return await self._take(await read_inbound(scope, receive, self._call, self._gate.limits))

    async def take_whole(self, scope: Scope, body: bytes) -> Answer:
        """As ``take``."""
        self._watch.check()
        return await self._take(whole_inbound(scope, body, self._call, self._gate.limits))

    async def _take(self, inbound: Inbound) -> Answer:
        parsed = tracking.parse(inbound, self._call, limits=self._gate.limits)
        source = self._gate.source(parsed.write_key or bearer_token(inbound.headers))
        await self._gate.take(source, parsed.events, parsed.refused)
        if not parsed.refused:
            return SUCCESS
        return ok({"success": True, "rejected": rejected_list(parsed.refused)})


def routes(gate: Gate, watch: Watch) -> list[Route]:
    """The tracking API's routes, with and without a final slash: a redirect would lose events."""
    return [Route(path, Tracking(call, gate, watch)) for path, call in tracking_paths().items()]
