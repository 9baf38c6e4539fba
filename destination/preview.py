"""What would happen to an event: the pure function behind ``try``, ``check`` and the console."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from destination.action import Destination, Payload
from destination.delivery import Discard, Outcome
from destination.errors import Ended
from destination.mapping.file import Example, Mapping
from destination.pipeline import Delivery, Route, deliver, plan, route
from destination.sending import Account, Request, Response

NOW = 1_790_000_000.0
"""The instant at which examples are run, so that they give the same tomorrow: 2026-09-21."""


@dataclass(frozen=True, slots=True)
class Preview:
    """One event through one mapping.

    ``payload`` is what would be sent, None when the mapping does not want the event or it is
    refused; ``requests`` are the exact requests, with Klaviyo answering as on a good day;
    ``outcome`` is what they would come to.
    """

    mapping: str
    action: str
    matched: bool
    payload: Payload | None = None
    requests: tuple[Request, ...] = ()
    outcome: Outcome | None = None


def preview(
    body: dict[str, Any], route: Route, destination: Destination, *, now: float, revision: str
) -> Preview:
    """Run one event through one mapping without sending anything."""
    mapping = route.mapping
    if not mapping.matches(body):
        return Preview(mapping.name, mapping.action, matched=False)
    try:
        payload = plan(body, route, now)
    except Ended as ended:
        return Preview(mapping.name, mapping.action, matched=True, outcome=ended.outcome)
    requests: list[Request] = []

    def send(request: Request) -> Response:
        requests.append(request)
        return destination.rehearse(request)

    account = Account(send, lambda _key, find: find(), now, revision)
    (outcome,) = deliver(
        [Delivery("", payload)],
        route.action,
        lambda _numbers: account,
        batched=mapping.batch.enabled,
    )
    return Preview(mapping.name, mapping.action, True, payload, tuple(requests), outcome)


def request_json(request: Request) -> dict[str, Any]:
    """A request as examples write it: ``method``, ``path``, and ``query`` and ``json`` if any."""
    said: dict[str, Any] = {"method": request.method, "path": request.path}
    if request.query:
        said["query"] = dict(request.query)
    if request.json is not None:
        said["json"] = request.json
    return said


@dataclass(frozen=True, slots=True)
class Failure:
    """An example that does not hold: what it expects, and what is."""

    mapping: str
    example: str
    what: str
    expected: Any
    found: Any


@dataclass(slots=True)
class Report:
    """The examples of some mappings, run."""

    passed: int = 0
    failures: list[Failure] = field(default_factory=list)


def run_examples(mappings: Iterable[Mapping], destination: Destination, *, revision: str) -> Report:
    """Run every example of every mapping, enabled or not."""
    report = Report()
    for mapping in mappings:
        ready = route(mapping, destination.actions)
        for example in mapping.examples:
            failure = _failure(example, ready, destination, revision)
            if failure:
                report.failures.append(failure)
            else:
                report.passed += 1
    return report


def _failure(
    example: Example, route: Route, destination: Destination, revision: str
) -> Failure | None:
    found = preview(example.event, route, destination, now=NOW, revision=revision)
    for what, expected, is_ in _claims(example, found):
        if expected != is_:
            return Failure(route.mapping.name, example.name, what, expected, is_)
    return None


def _claims(example: Example, found: Preview) -> list[tuple[str, Any, Any]]:
    """What an example says: (of what, expected, found), the first that differs is its failure."""
    if example.skipped:
        return [("skipped", True, not found.matched)]
    refused = found.outcome.code if isinstance(found.outcome, Discard) else None
    claims: list[tuple[str, Any, Any]] = [
        ("skipped", False, not found.matched),
        ("refused", example.refused, refused),
    ]
    if example.payload is not None:
        claims.append(("payload", example.payload, found.payload))
    if example.requests is not None:
        claims.append(("requests", example.requests, [request_json(r) for r in found.requests]))
    return claims
