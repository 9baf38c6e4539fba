"""The judge is judged: a flawless run is acquitted, and each fault that is put into it is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.evidence import Attempt, Evidence, Usage
from tests.chaos.histories import history
from tests.chaos.poster import Posted, Try
from tests.chaos.reconciler import reconcile, report
from tests.chaos.traffic import MAPPINGS, METRICS, Message, message

MESSAGES = [
    message("identify", 0, 1),
    message("track", 1, 1),
    message("identify", 2, 1),
    message("order", 3, 2),
    message("enter", 4, 2),
    message("subscribe", 5, 2),
    message("track", 6, 1),
    message("leave", 7, 2),
    message("unsubscribe", 8, 1),
    message("enter", 9, 1),
]
"""A little of everything, about two people."""


def event(each: Message, line: int | None = None) -> dict[str, Any]:
    """What Klaviyo holds of it."""
    properties = dict(each.body["properties"])
    metric, unique = METRICS[each.kind], each.id
    if line is not None:
        product = properties.pop("products")[line]
        properties, metric, unique = (
            {**properties, **product},
            METRICS["product"],
            f"{unique}:{line}",
        )
    return {
        "metric": metric,
        "unique_id": unique,
        "profile": f"id-{each.person}",
        "properties": properties,
        "time": each.body["timestamp"].replace(".000Z", "+00:00"),
    }


def create(seq: int, held: dict[str, Any], person: int, **more: Any) -> Attempt:
    """The request that created an event."""
    attributes = {
        "metric": {"data": {"attributes": {"name": held["metric"]}}},
        "unique_id": held["unique_id"],
        "properties": held["properties"],
        "profile": {"data": {"attributes": {"email": f"person{person}@acme.io"}}},
    }
    made = Attempt(
        seq, 100.0 + seq, "create_event", 202, True, "", 0, {"data": {"attributes": attributes}}
    )
    return replace(made, **more)


def flawless() -> Evidence:
    """A run without a fault."""
    posted = {each.id: Posted(each, [Try(1.0, 0.1, 200, 1)], 1.1) for each in MESSAGES}
    events = [event(MESSAGES[1]), event(MESSAGES[3]), event(MESSAGES[3], 0), event(MESSAGES[3], 1)]
    events.append(event(MESSAGES[6]))
    people = [1, 2, 2, 2, 1]
    counts: dict[str, Any] = {}
    for each in MESSAGES:
        states = counts.setdefault(MAPPINGS[each.kind], dict.fromkeys(STATES, 0) | {"reasons": {}})
        states["accepted"] += 1
        states["delivered"] += 1
    traits = {**MESSAGES[0].body["traits"], **MESSAGES[2].body["traits"]}
    del traits["email"]
    consents = {1: {"email.marketing": "UNSUBSCRIBED"}, 2: {"email.marketing": "SUBSCRIBED"}}
    return Evidence(
        posted=posted,
        trips=[Try(1.0, 0.1, 200, len(MESSAGES))],
        attempts=[
            create(seq, held, person)
            for seq, (held, person) in enumerate(zip(events, people, strict=True))
        ],
        state={
            "events": events,
            "profiles": [
                {
                    "id": f"id-{person}",
                    "email": f"person{person}@acme.io",
                    "properties": traits if person == 1 else {},
                    "consent": consents[person],
                }
                for person in (1, 2)
            ],
            "lists": [{"id": "LIST01", "members": ["id-1"]}],
            "mails": [],
        },
        counts={
            "sources": {
                "default": {
                    "received": len(MESSAGES),
                    "accepted": len(MESSAGES),
                    "duplicate": 0,
                    "unmatched": 0,
                    "refused": 0,
                }
            },
            "connections": {"default": {"pending": 0, "mappings": counts}},
            "imbalance": [],
        },
        dead=[],
        deliveries=[
            {"id": each.id, "outcome": "delivered", "code": "", "time": "2026-01-01T00:00:00Z"}
            for each in MESSAGES
        ],
        lifted=10.0,
        drained=11.0,
    )


STATES = ("accepted", "delivered", "dropped", "dead", "pending")


def wrong(evidence: Evidence) -> set[str]:
    """The invariants that do not hold."""
    return {finding.name for finding in reconcile(evidence) if not finding.holds}


def test_a_flawless_run_is_acquitted() -> None:
    """Nothing is wrong, and something was looked at."""
    findings = reconcile(flawless())
    assert wrong(flawless()) == set()
    checked = {finding.name for finding in findings if finding.checked}
    assert {"I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I16"} <= checked


def lost_event(found: Evidence) -> None:
    """Accepted, and nowhere."""
    found.state["events"].pop(0)


def lost_profile(found: Evidence) -> None:
    """An identify without an end."""
    found.deliveries.pop(0)


def miscounted(found: Evidence) -> None:
    """A delivery that is not counted."""
    found.counts["connections"]["default"]["mappings"]["segment/subscribe"]["delivered"] = 0


def accepted_twice(found: Evidence) -> None:
    """A duplicate that was taken for new."""
    found.counts["sources"]["default"]["accepted"] += 1
    found.counts["sources"]["default"]["received"] += 1


def recorded_twice(found: Evidence) -> None:
    """The same message under another id."""
    found.state["events"].append({**found.state["events"][0], "unique_id": "other"})


def sent_with_two_ids(found: Evidence) -> None:
    """Another ``unique_id`` at the second attempt, although only one was recorded."""
    held = {**found.state["events"][0], "unique_id": "other"}
    found.attempts.append(create(9, held, 1, applied=False, status=0, fault="reset"))


def invented(found: Evidence) -> None:
    """An event that nobody posted."""
    found.state["events"].append(event(message("track", 99, 1)))


def altered(found: Evidence) -> None:
    """A property has changed on the way."""
    first = found.state["events"][0]
    found.state["events"][0] = {**first, "properties": {**first["properties"], "n": 7}}


def older_value(found: Evidence) -> None:
    """The profile has the first identify's value."""
    found.state["profiles"][0]["properties"]["last"] = 0


def overtaken(found: Evidence) -> None:
    """The later of two events of a person is applied first."""
    found.attempts[0], found.attempts[4] = found.attempts[4], found.attempts[0]


def still_on_the_list(found: Evidence) -> None:
    """Somebody who left."""
    found.state["lists"][0]["members"].append("id-2")


def consent_undone(found: Evidence) -> None:
    """An older subscription after the unsubscription."""
    found.state["profiles"][0]["consent"] = {"email.marketing": "SUBSCRIBED"}


def suppressed(found: Evidence) -> None:
    """Somebody who said nothing may not be written to any more."""
    del found.posted["m-8"]  # type: ignore[attr-defined]  # a dict in these tests
    found.state["profiles"][0]["consent"] = {"suppressions": ["UNSUBSCRIBE"]}


def impolite(found: Evidence) -> None:
    """A request in the middle of a pause."""
    held = found.state["events"][0]
    found.attempts.append(create(10, held, 1, status=429, applied=False, fault="429:5"))
    found.attempts.append(create(11, held, 1, t=112.0))


def over_the_limit(found: Evidence) -> None:
    """A 429 that nobody ordered."""
    found.attempts.append(create(10, found.state["events"][0], 1, status=429, applied=False))


def sent_again(found: Evidence) -> None:
    """After it was answered."""
    found.attempts.append(create(10, found.state["events"][4], 1))


def test_what_was_disturbed_may_be_sent_again() -> None:
    """Its answer may have been lost, whether at a moment or for as long as the weather was bad."""
    for trouble in (
        [(105.0, "SIGKILL work-1")],
        [(90.0, "resets"), (107.0, "end of resets")],
        [(90.0, "SIGSTOP sandbox"), (107.0, "SIGCONT sandbox")],
    ):
        evidence = flawless()
        sent_again(evidence)
        evidence.disturbances += trouble
        assert "I10" not in wrong(evidence)


def test_what_was_disturbed_at_another_time_may_not() -> None:
    """Nor does it matter to a worker that the server was."""
    evidence = flawless()
    sent_again(evidence)
    evidence.disturbances += [(80.0, "resets"), (90.0, "end of resets"), (104.0, "SIGKILL serve")]
    assert "I10" in wrong(evidence)


def died(found: Evidence) -> None:
    """A dead letter of what could be delivered."""
    found.dead.append(
        {
            "id": "default:m-1:segment/track-to-event",
            "source": "default",
            "mapping": "segment/track-to-event",
            "code": "exhausted",
            "message": "",
            "time": 3.0,
        }
    )


def greedy(found: Evidence) -> None:
    """Memory without bound."""
    found.usage.append(Usage(1.0, "serve", 10**10, 10, 10))


def slow(found: Evidence) -> None:
    """An answer that took too long."""
    found.trips.append(Try(2.0, 6.0, 503, 0))


def talkative(found: Evidence) -> None:
    """A key in a log."""
    found.canaries = ("pk_secret",)
    found.texts["work.log"] = "sent with pk_secret"


def open_door(found: Evidence) -> None:
    """A stranger sees the counts."""
    found.doors["GET /admin/counts"] = 200


def stuck(found: Evidence) -> None:
    """Pending for ever."""
    found.drained = None


def dishonest(found: Evidence) -> None:
    """Ready, while it refuses."""
    found.trips += [Try(float(t), 0.1, 503, 0) for t in range(2, 20)] + [Try(20.0, 0.1, 200, 0)]
    found.readiness += [(t / 2, 200) for t in range(10, 30)]


def idle_fault(found: Evidence) -> None:
    """A fault that met nothing."""
    found.fired["reset"] = 0


FAULTS: dict[Callable[[Evidence], None], str] = {
    lost_event: "I1",
    lost_profile: "I1",
    miscounted: "I2",
    accepted_twice: "I2",
    invented: "I3",
    altered: "I3",
    recorded_twice: "I4",
    sent_with_two_ids: "I4",
    older_value: "I5",
    overtaken: "I6",
    still_on_the_list: "I7",
    consent_undone: "I8",
    suppressed: "I8",
    impolite: "I9",
    over_the_limit: "I9",
    sent_again: "I10",
    died: "I10",
    greedy: "I13",
    slow: "I13",
    talkative: "I14",
    open_door: "I15",
    stuck: "I16",
    dishonest: "I17",
    idle_fault: "I18",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_each_fault_is_found(fault: Callable[[Evidence], None]) -> None:
    """By the invariant that is about it."""
    evidence = flawless()
    fault(evidence)
    assert FAULTS[fault] in wrong(evidence)


def test_a_bad_row_may_cost_a_few_requests_only() -> None:
    """I12: the search for it is a binary one."""
    evidence = flawless()
    evidence.doomed = frozenset({"m-1"})
    held = evidence.state["events"][0]
    attributes = {
        "events-bulk-create": {
            "data": [
                {
                    "attributes": {
                        "profile": {"data": {"attributes": {}}},
                        "events": {
                            "data": [
                                {
                                    "attributes": {
                                        "metric": {"data": {"attributes": {"name": "Done"}}},
                                        "unique_id": "m-1",
                                        "properties": held["properties"],
                                    }
                                }
                            ]
                        },
                    }
                }
            ]
        }
    }
    refused = Attempt(
        0, 1.0, "bulk_create_events", 400, False, "bad", 0, {"data": {"attributes": attributes}}
    )
    evidence.attempts += [replace(refused, seq=20 + n, t=200.0 + n) for n in range(3)]
    assert "I12" not in wrong(evidence)
    evidence.attempts.append(replace(refused, seq=30, t=300.0))
    assert "I12" in wrong(evidence)
    evidence.disturbances.append((250.0, "SIGKILL work-1"))
    assert "I12" not in wrong(evidence)


def test_the_report_tells_the_history_of_what_failed() -> None:
    """Post, acceptance, attempts, effect."""
    evidence = flawless()
    lost_event(evidence)
    text = report(reconcile(evidence), evidence)
    assert "I1   WRONG" in text
    assert "m-1 was answered 2xx and has no end" in text
    told = "\n".join(history(evidence, "m-1"))
    assert told in text.replace("\n    ", "\n")
    for step in ("posted, status 200", "ACCEPTED", "request 0 create_event: 202", "as nothing"):
        assert step in told
