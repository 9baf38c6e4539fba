"""``POST /rows/{object}``: rows of reverse-ETL tools and scripts, each with its own result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.routing import Route
from starlette.types import Receive, Scope

from destination.errors import Rejected
from destination.event import encode
from destination.ingress.format import Inbound, Parsed
from destination.ingress.rows import answer_rows, is_strict, parse_rows
from destination.pipeline import matching
from destination.runtime.http.answers import Answer
from destination.runtime.http.endpoint import Endpoint
from destination.runtime.http.inbound import read_inbound
from destination.runtime.intake.gate import Gate
from destination.runtime.intake.proof import by_credential, credential_of
from destination.runtime.intake.trial import trial
from destination.runtime.routes.endings import Endings, Key
from destination.runtime.routes.webhooks import places, tallies, wants_results
from destination.runtime.watch import Watch
from destination.settings import Source

WAIT_ROWS = 200
"""Rows of a request that is waited for: well inside what the log of recent deliveries holds."""

WAIT_SECONDS = 10.0
LONGEST_WAIT = 25.0
"""Seconds that ``?wait=true`` waits, and that may be asked for: proxies give up after 30."""

STATES = {"A": "accepted", "D": "duplicate", "U": "unmatched"}


class Rows(Endpoint):
    """The rows of one kind of object; the kind stands in the path."""

    methods = ("POST", "PUT", "PATCH")

    def __init__(self, gate: Gate, watch: Watch, endings: Endings) -> None:
        self._gate = gate
        self._watch = watch
        self._endings = endings

    async def take(self, scope: Scope, receive: Receive) -> Answer:
        """Answer 200 when the rows are stored, 422 for refused ones with ``?strict=1``.

        ``?results=1`` adds what became of each row, ``?wait=`` waits for its deliveries first.
        """
        self._watch.check()
        gate = self._gate
        target = scope["path_params"]["object"].rstrip("/")
        inbound = await read_inbound(scope, receive, target, gate.limits)
        source = by_credential(gate, [credential_of(inbound)])
        parsed = await run_in_threadpool(self._parse, inbound, target, source)
        wait = _wait(inbound.query, len(parsed.events))
        letters = await gate.take(source, parsed.events, parsed.refused, from_client=False)
        status, body = answer_rows(parsed, strict=is_strict(inbound.query))
        body |= tallies(letters)
        if wait or wants_results(inbound):
            ends = await self._ends(source, parsed, letters, wait) if wait else None
            body["results"] = _results(parsed, letters, ends)
        return Answer(status, encode(body))

    def _parse(self, inbound: Inbound, target: str, source: Source) -> Parsed:
        check = None
        if is_strict(inbound.query):
            check = trial(self._gate.usable(source), inbound.received_at.timestamp())
        return parse_rows(inbound, target, limits=self._gate.limits, check=check)

    async def _ends(
        self, source: Source, parsed: Parsed, letters: str, wait: float
    ) -> dict[str, list[dict[str, Any]]]:
        """The deliveries of each accepted event, by its id; those not seen to end are pending."""
        mappings = self._gate.usable(source).mappings
        keys: list[Key] = [
            (event.id, mapping.name)
            for event, letter in zip(parsed.events, letters, strict=True)
            if letter == "A"
            for mapping in matching(event.body, mappings)
        ]
        found = await self._endings.wait(source.connection, keys, wait)
        ends: dict[str, list[dict[str, Any]]] = {}
        for key in keys:
            told = found.get(key, {"outcome": "pending"})
            ends.setdefault(key[0], []).append({"mapping": key[1], **told})
        return ends


def _results(
    parsed: Parsed, letters: str, ends: Mapping[str, list[dict[str, Any]]] | None
) -> list[dict[str, Any]]:
    """One entry per row, in the order of the request."""
    results: dict[int, dict[str, Any]] = {
        bad.index: {
            "index": bad.index,
            "state": "rejected",
            "code": bad.code,
            "message": bad.message,
        }
        for bad in parsed.refused
    }
    for place, event, letter in zip(places(parsed), parsed.events, letters, strict=True):
        result = {"index": place, "state": STATES[letter], "id": event.id}
        if ends and event.id in ends and letter == "A":
            result["deliveries"] = ends[event.id]
        results[place] = result
    return [results[place] for place in sorted(results)]


def _wait(query: Mapping[str, str], rows: int) -> float:
    """The seconds to wait, 0 for not at all. Raises ``Rejected`` 400, before anything is stored."""
    text = query.get("wait", "0").lower()
    if text in ("true", "yes"):
        seconds = WAIT_SECONDS
    else:
        if not text.isdecimal() or int(text[:6]) > LONGEST_WAIT:
            raise Rejected(
                400,
                "bad_request",
                f"wait={text[:20]!r} must be true or seconds, at most {LONGEST_WAIT:g}",
            )
        seconds = float(text)
    if seconds and rows > WAIT_ROWS:
        raise Rejected(
            400,
            "bad_request",
            f"{rows:,} rows are too many to wait for, at most {WAIT_ROWS} are: post fewer at a time"
            " or leave out wait",
        )
    return seconds


def routes(gate: Gate, watch: Watch, endings: Endings) -> list[Route]:
    """One route; what stands behind ``/rows/`` is the object, such as ``list/XyZ123``."""
    return [Route("/rows/{object:path}", Rows(gate, watch, endings))]
