"""``POST /webhooks/{format}``: what other services send of their own accord."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.routing import Route
from starlette.types import Receive, Scope

from destination.errors import Rejected
from destination.event import encode
from destination.ingress.format import Format, Inbound, Parsed
from destination.ingress.webhooks import FORMATS
from destination.ingress.webhooks.segment import statuses
from destination.runtime.http.answers import Answer, ok
from destination.runtime.http.endpoint import Endpoint
from destination.runtime.http.inbound import read_inbound
from destination.runtime.intake.gate import Gate
from destination.runtime.intake.proof import by_webhook, options_of
from destination.runtime.watch import Watch

_TRUE = ("1", "true", "yes")


class Webhook(Endpoint):
    """One sender's format, of any source or of the one in the path."""

    def __init__(self, format_: Format, gate: Gate, watch: Watch) -> None:
        self.methods = format_.methods
        self._format = format_
        self._gate = gate
        self._watch = watch

    def options(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """The format's handshake, such as that of CloudEvents."""
        return self._format.handshake(headers)

    async def take(self, scope: Scope, receive: Receive) -> Answer:
        """Answer 200 when the events are stored: with counts, or a status each on request."""
        self._watch.check()
        gate = self._gate
        inbound = await read_inbound(scope, receive, self._format.name, gate.limits)
        name = scope["path_params"].get("source", "")
        source = by_webhook(gate, self._format, inbound, name)
        parsed = self._format.parse(inbound, options_of(gate, source))
        letters = await gate.take(source, parsed.events, parsed.refused, from_client=False)
        if wants_results(inbound):
            return Answer(200, encode(statuses(parsed)))
        return ok(self._format.answer(parsed) | tallies(letters))


class UnknownFormat(Endpoint):
    """The answer to a format that there is not."""

    methods = ("POST", "PUT", "PATCH", "HEAD", "OPTIONS", "GET")

    async def take(self, scope: Scope, _receive: Receive) -> Answer:
        """Raise ``Rejected`` 404 with the formats that there are."""
        name = scope["path_params"]["format"]
        raise Rejected(
            404,
            "unknown_format",
            f"there is no webhook format {name[:60]!r}; there are: {', '.join(FORMATS)}",
        )


def wants_results(inbound: Inbound) -> bool:
    """Whether the caller wants to hear what became of each event."""
    prefers = inbound.headers.get("prefer", "").lower()
    return is_set(inbound.query, "results") or "return=representation" in prefers


def is_set(query: Mapping[str, str], name: str) -> bool:
    """Whether a switch in the address is on."""
    return query.get(name, "").lower() in _TRUE


def tallies(letters: str) -> dict[str, Any]:
    """How many of the accepted events were seen before, and how many no mapping wants."""
    return {"duplicate": letters.count("D"), "unmatched": letters.count("U")}


def places(parsed: Parsed) -> list[int]:
    """The place of each event of a request among all that it held, refused ones included."""
    refused = {bad.index for bad in parsed.refused}
    total = len(parsed.events) + len(parsed.refused)
    return [place for place in range(total) if place not in refused]


def routes(gate: Gate, watch: Watch) -> list[Route]:
    """Each format with and without a source, with and without a final slash; then all others."""
    found = []
    for name, format_ in FORMATS.items():
        webhook = Webhook(format_, gate, watch)
        for path in (f"/webhooks/{name}", f"/webhooks/{name}/{{source}}"):
            found += [Route(path, webhook), Route(f"{path}/", webhook)]
    unknown = UnknownFormat()
    return [
        *found,
        Route("/webhooks/{format}", unknown, include_in_schema=False),
        Route("/webhooks/{format}/{source:path}", unknown, include_in_schema=False),
    ]
