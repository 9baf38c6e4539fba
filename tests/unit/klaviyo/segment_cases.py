"""Running the recorded cases of Segment's Klaviyo destination through ours.

Cases that are tagged as a fault of Segment's are run, but not compared; where else we do otherwise
on purpose, ``segment_rules`` says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from destination.action import Action
from destination.delivery import Delivered, Discard, Dropped, Halt, Outcome, Retry, Submitted
from destination.errors import Ended, MappingError, Unanswered
from destination.fields import PayloadError, compile_fields
from destination.klaviyo import KLAVIYO
from destination.klaviyo.people import SAME_PERSON
from destination.mapping import MISSING, compile_mapping
from destination.sending import Account, Request, Response
from tests.unit.klaviyo.klaviyo_script import NOW, remembering

Json = dict[str, Any]

MOST_ROUNDS = 100
"""More requests than any group of a case may need, one after the other."""


def comparable(case: Json) -> bool:
    """Whether we mean to do what the case records."""
    tags = case.get("tags") or []
    fault = any(tag.startswith("weakness:") or tag == "js-quirk" for tag in tags)
    return not fault and bool(case["settings"].get("api_key"))


class Recorded:
    """Klaviyo as a case has it: answers in order, the last one again and again.

    Membership look-ups, which Segment never makes, are answered beside the script: everybody asked
    for is on the list.
    """

    def __init__(self, responses: Sequence[Json]) -> None:
        self.responses = list(responses)
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        """The next answer."""
        if request.operation == "get_profiles_for_list":
            return members(request)
        self.requests.append(request)
        given = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        if "network_error" in given:
            raise Unanswered(given["network_error"])
        body = json.dumps(given["json"]) if "json" in given else given.get("text", "")
        return Response(given["status"], given.get("headers", {}), body.encode())


def members(request: Request) -> Response:
    """Everybody that a look-up of list members asks for."""
    field, _, values = request.query["filter"].removeprefix("any(").removesuffix(")").partition(",")
    found = [
        {"type": "profile", "id": value, "attributes": {field: value}}
        for value in json.loads(values)
    ]
    return Response(200, {}, json.dumps({"data": found}).encode())


@dataclass(frozen=True)
class Done:
    """What we did with a case: the requests, and an outcome for each event."""

    requests: list[Request]
    outcomes: list[Outcome]


def run(case: Json) -> Done:
    """Run a case the way the pipeline does: resolve, check, prepare, group, send."""
    action = KLAVIYO.actions[case["action"]]
    send = Recorded(case["responses"])
    account = Account(send, remembering(), NOW, "2026-07-15")
    outcomes: dict[int, Outcome] = {}
    payloads: dict[int, Json] = {}
    for place, body in enumerate(case["events"]):
        try:
            payloads[place] = planned(action, mapping_of(case), body)
        except Ended as ended:
            outcomes[place] = ended.outcome
    if case["mode"] == "batch":
        outcomes |= in_batches(action, payloads, account)
    else:
        outcomes |= {place: alone(action, each, account) for place, each in payloads.items()}
    return Done(send.requests, [outcomes[place] for place in range(len(case["events"]))])


def mapping_of(case: Json) -> Json:
    """The case's mapping; a list chosen in Segment's hook comes as the list it stands for."""
    mapping = dict(case["mapping"])
    hook = mapping.pop("retlOnMappingSave", None)
    if hook:
        mapping["override_list_id"] = hook["outputs"]["id"]
    return mapping


def planned(action: Action, mapping: Json, body: Json) -> Json:
    """The prepared payload of an event. Raises ``Ended``."""
    try:
        value = compile_mapping(mapping)(body)
        payload = compile_fields(action.fields)({} if value is MISSING else value)
    except (MappingError, PayloadError) as error:
        raise Ended(Discard("payload_invalid", str(error))) from error
    return action.prepare(payload, NOW)


def alone(action: Action, payload: Json, account: Account) -> Outcome:
    """The outcome of the single form."""
    try:
        return action.perform(payload, account)
    except Ended as ended:
        return ended.outcome
    except Unanswered as error:
        return Retry("unanswered", str(error))


def in_batches(action: Action, payloads: dict[int, Json], account: Account) -> dict[int, Outcome]:
    """The outcomes of the bulk form, group by group, until no row waits for the next request."""
    assert action.batch
    groups: dict[Any, list[int]] = {}
    for place, payload in payloads.items():
        groups.setdefault(action.batch.group(payload), []).append(place)
    outcomes: dict[int, Outcome] = {}
    for members_of_group in groups.values():
        waiting = members_of_group
        rounds = 0
        while waiting:
            rounds += 1
            assert rounds <= MOST_ROUNDS, f"rows {waiting} ask for the next request without end"
            rows = [payloads[place] for place in waiting]
            try:
                ends = action.batch.perform(rows, account)
            except Unanswered as error:
                ends = [Retry("unanswered", str(error))] * len(rows)
            outcomes |= dict(zip(waiting, ends, strict=True))
            waiting = [place for place in waiting if outcomes[place] is SAME_PERSON]
    return outcomes


def ours_in_short(outcome: Outcome) -> str:
    """``done``, ``wait`` or ``refused``."""
    match outcome:
        case Delivered() | Submitted() | Dropped():
            return "done"
        case Retry() | Halt():
            return "wait"
        case Discard():
            return "refused"


def theirs_in_short(case: Json) -> list[str]:
    """The same of what Segment reports, event by event."""
    result = case["result"]
    if result["kind"] == "multistatus":
        return [node_in_short(each) for each in result["multistatus"]]
    if result["kind"] == "error":
        return [error_in_short(result["error"])] * len(case["events"])
    return ["done"] * len(case["events"])


def node_in_short(node: Json) -> str:
    """One entry of Segment's list; a refused key makes us wait for a better one."""
    if node["status"] < 300:
        return "done"
    waits = node["status"] in (401, 403, 408, 423, 429) or node["status"] >= 500
    return "wait" if waits else "refused"


def error_in_short(error: Json) -> str:
    """One error for all events. What Segment knows no status of, its queue repeats."""
    if "status" not in error:
        return "refused" if error.get("reason") == "mapping" else "wait"
    return node_in_short(error)
