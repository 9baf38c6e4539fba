"""``POST /rpc/census`` and ``/rpc/hightouch``: reverse-ETL tools that speak JSON-RPC."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.routing import Route
from starlette.types import Receive, Scope

from destination.ingress import census, hightouch
from destination.ingress.census import Setup, Speed
from destination.ingress.format import Inbound
from destination.ingress.jsonrpc import Reply
from destination.ingress.objects import sync_objects
from destination.klaviyo.estimate import OBJECTS, steady
from destination.runtime.delivery.accounts import Questions
from destination.runtime.http.answers import Answer, ok
from destination.runtime.http.endpoint import Endpoint
from destination.runtime.http.inbound import read_inbound
from destination.runtime.intake.gate import Gate, Usable
from destination.runtime.intake.proof import by_credential, credential_of
from destination.runtime.intake.trial import trial
from destination.runtime.watch import Watch
from destination.settings import Source

PROTOCOLS: Mapping[str, Callable[[Inbound, Setup], Reply]] = {
    "census": census.answer,
    "hightouch": hightouch.answer,
}


CAPACITY = 2_000
"""Records a second that are checked and stored with room to spare: two cores shared with a worker
and a sandbox took 10,000 in 2.4 s (``tests/acceptance/test_census.py``).
"""


class Rpc(Endpoint):
    """One tool's protocol. All but a missing credential and a full queue is answered with 200."""

    def __init__(self, protocol: str, gate: Gate, watch: Watch, accounts: Questions) -> None:
        self._answer_call = PROTOCOLS[protocol]
        self._protocol = protocol
        self._gate = gate
        self._watch = watch
        self._accounts = accounts

    async def take(self, scope: Scope, receive: Receive) -> Answer:
        """Answer one call, once its rows are stored."""
        self._watch.check()
        inbound = await read_inbound(scope, receive, self._protocol, self._gate.limits)
        source = by_credential(self._gate, [credential_of(inbound)])
        setup = self._setup(source, inbound.received_at.timestamp())
        # In a thread: the call may ask Klaviyo, and a batch may hold thousands of rows.
        reply = await run_in_threadpool(self._answer_call, inbound, setup)
        parsed = reply.parsed
        await self._gate.take(source, parsed.events, parsed.refused, from_client=False)
        return ok(reply.document)

    def _setup(self, source: Source, now: float) -> Setup:
        connection = source.connection
        usable = self._gate.usable(source)
        return Setup(
            lists=lambda: self._accounts.lists(connection),
            problem=lambda: self._accounts.problem(connection),
            limits=self._gate.limits,
            speed=lambda object_: speed_of(object_, usable),
            check=trial(usable, now),
        )


def speed_of(object_: str, usable: Usable) -> Speed:
    """What Klaviyo's limits let through for an object for hours, by the mappings that take it: those
    that do not batch are far slower. An empty name is any object, so the slowest counts.
    """
    names = [object_.partition("/")[0]] if object_ else [each.name for each in sync_objects({})]
    batched = {
        mapping.action: mapping.batch.enabled
        for mapping in sorted(usable.mappings, key=lambda each: not each.batch.enabled)
        if mapping.enabled
    }
    actions = [OBJECTS.get(name, "upsertProfile") for name in names]
    paces = [steady(action, bulk=batched.get(action, True)) for action in actions]
    return Speed(per_second=max(1, min(CAPACITY, int(min(paces)))))


def routes(gate: Gate, watch: Watch, accounts: Questions) -> list[Route]:
    """One route for each protocol, with and without a final slash."""
    return [
        Route(f"/rpc/{name}{slash}", Rpc(name, gate, watch, accounts))
        for name in PROTOCOLS
        for slash in ("", "/")
    ]
