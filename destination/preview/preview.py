"""One event through one mapping, without sending anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from destination.action import Destination, Payload
from destination.delivery import Discard, Outcome
from destination.errors import Ended
from destination.pipeline import Delivery, Route, deliver, plan
from destination.sending import Account, Request, Response


@dataclass(frozen=True, slots=True)
class Preview:
    """One event through one mapping.

    ``payload`` is what would be sent, None when the mapping does not want the event or it is
    refused; ``requests`` are the exact requests, with Klaviyo answering as on a good day;
    ``made_up`` the ids that its answers were given; ``outcome`` is what they would come to.
    """

    mapping: str
    action: str
    matched: bool
    payload: Payload | None = None
    requests: tuple[Request, ...] = ()
    outcome: Outcome | None = None
    made_up: tuple[str, ...] = ()

    @property
    def refused(self) -> Discard | None:
        """Why the event would become a dead letter; None where it would not."""
        return self.outcome if isinstance(self.outcome, Discard) else None


def preview(
    body: dict[str, Any],
    route: Route,
    destination: Destination,
    *,
    now: float,
    revision: str,
    replayed: bool = False,
) -> Preview:
    """Run one event through one mapping without sending anything.

    ``now`` is in unix seconds, ``revision`` the destination's API revision, ``replayed`` whether the
    event was a dead letter before.
    """
    mapping = route.mapping
    if not mapping.matches(body):
        return Preview(mapping.name, mapping.action, matched=False)
    try:
        payload = plan(body, route, now, replayed=replayed)
    except Ended as ended:
        return Preview(mapping.name, mapping.action, matched=True, outcome=ended.outcome)
    requests: list[Request] = []
    made_up: list[str] = []

    def send(request: Request) -> Response:
        requests.append(request)
        response = destination.rehearse(request)
        made_up.extend(_ids(response.json()))
        return response

    account = Account(send, lambda _key, find: find(), now, revision)
    (outcome,) = deliver(
        [Delivery("", payload)],
        route.action,
        lambda _numbers: account,
        batched=mapping.batch.enabled,
    )
    return Preview(
        mapping.name, mapping.action, True, payload, tuple(requests), outcome, tuple(made_up)
    )


def request_json(request: Request) -> dict[str, Any]:
    """A request as examples write it: ``method``, ``path``, and ``query`` and ``json`` if any."""
    said: dict[str, Any] = {"method": request.method, "path": request.path}
    if request.query:
        said["query"] = dict(request.query)
    if request.json is not None:
        said["json"] = request.json
    return said


def preview_json(found: Preview) -> dict[str, Any]:
    """A preview for programs: ``mapping action matched payload requests outcome``."""
    outcome = None
    if found.outcome is not None:
        outcome = {"end": type(found.outcome).__name__, **msgspec.to_builtins(found.outcome)}
    return {
        "mapping": found.mapping,
        "action": found.action,
        "matched": found.matched,
        "payload": found.payload,
        "requests": [request_json(request) for request in found.requests],
        "outcome": outcome,
    }


def _ids(answer: Any) -> list[str]:
    """The ids of the resources in an answer."""
    data = answer.get("data") if isinstance(answer, dict) else None
    resources = data if isinstance(data, list) else [data]
    return [each["id"] for each in resources if isinstance(each, dict) and each.get("id")]
