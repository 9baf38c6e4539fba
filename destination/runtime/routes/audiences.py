"""Segment's Webhook Audiences: an Engage audience makes its Klaviyo list by itself.

These requests are not signed and may have no header of the operator's choice: the write key or
the signing secret stands in the address, in a header or among the extras.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.routing import Route
from starlette.types import Receive, Scope

from destination.ingress.format import Inbound, Options
from destination.ingress.webhooks.segment_audiences import (
    CreateAudience,
    GetAudience,
    found,
    read_create,
    read_get,
)
from destination.runtime.delivery.accounts import Questions
from destination.runtime.http.answers import Answer, ok
from destination.runtime.http.endpoint import Endpoint
from destination.runtime.http.inbound import read_inbound
from destination.runtime.intake.gate import Gate
from destination.runtime.intake.proof import by_credential, credential_of
from destination.runtime.watch import Watch
from destination.settings import Source

PATHS = ("/webhooks/segment/audiences", "/webhooks/segment/{source}/audiences")
READ: dict[str, Callable[[Inbound, Options], CreateAudience | GetAudience]] = {
    "create": read_create,
    "get": read_get,
}


class Audience(Endpoint):
    """``create`` or ``get``: makes or finds the list of an audience, and answers with its id."""

    def __init__(self, what: str, gate: Gate, watch: Watch, accounts: Questions) -> None:
        self._read = READ[what]
        self._gate = gate
        self._watch = watch
        self._accounts = accounts

    async def take(self, scope: Scope, receive: Receive) -> Answer:
        """Answer with the list's id: of the source's ``audience_list``, else of the audience's own,
        which is made when there is none of its name.
        """
        self._watch.check()
        inbound = await read_inbound(scope, receive, "segment", self._gate.limits)
        asked = self._read(inbound, Options(limits=self._gate.limits))
        extras = [value for value in asked.extras.values() if isinstance(value, str)]
        name = scope["path_params"].get("source", "")
        source = by_credential(self._gate, [credential_of(inbound), *extras], name)
        return ok(found(await run_in_threadpool(self._find, asked, source)))

    def _find(self, asked: CreateAudience | GetAudience, source: Source) -> str:
        if isinstance(asked, CreateAudience):
            return source.audience_list or self._accounts.list_named(source.connection, asked.name)
        return self._accounts.list_with(source.connection, asked.external_id)


def routes(gate: Gate, watch: Watch, accounts: Questions) -> list[Route]:
    """The two requests, with and without a source."""
    return [
        Route(f"{path}/{what}", Audience(what, gate, watch, accounts))
        for path in PATHS
        for what in READ
    ]
