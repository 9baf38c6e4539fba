"""Every class of answer, from what is seen at Klaviyo to what happens next: one row, one test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from destination.delivery import Delivered, Discard, Halt, Outcome, Retry, Submitted
from destination.errors import Ended, NoRoom, Unanswered
from destination.klaviyo import KLAVIYO
from destination.pipeline import Delivery, deliver
from destination.sending import Response
from tests.unit.klaviyo.klaviyo_script import NOW, Script, account, answer, refusal

DONE = answer(200, {"data": {"type": "profile", "id": "ID"}})
MADE = answer(201, {"data": {"type": "profile", "id": "ID"}})
TAKEN = answer(202)
JOB = answer(202, {"data": {"type": "profile-bulk-import-job", "id": "J"}})
NAMED = refusal(409, code="duplicate_profile", duplicate_profile_id="OLD")
NAMELESS = refusal(409, code="duplicate_profile")
SECOND = "/data/attributes/events-bulk-create/data/1/attributes"


def people(*ids: str) -> Response:
    """A page of profiles."""
    return answer(200, {"data": [{"type": "profile", "id": id_, "attributes": {}} for id_ in ids]})


@dataclass(frozen=True)
class Seen:
    """One row: what Klaviyo answers to ``rows`` deliveries, in order, and what that comes to.

    ``ends`` are what the rows end with, each as ``told`` says it; ``requests`` is how many were
    made for that.
    """

    kind: str
    answers: tuple[Response | Exception, ...]
    ends: tuple[str, ...]
    requests: int = 1
    action: str = "upsertProfile"
    list_id: str = ""


def told(outcome: Outcome) -> str:
    """What happens next, in a word or two."""
    match outcome:
        case Delivered():
            return "delivered"
        case Submitted():
            return "submitted"
        case Discard(code=code):
            return f"dead: {code}"
        case Halt(code=code):
            return f"halt: {code}"
        case Retry(code=code, spends=spends, after=after, aside=aside):
            where = f" aside {aside}" if aside else ""
            when = " in the usual time" if after is None else f" in {after:g} s"
            return f"again: {code}{where}{when}{', budget' if spends else ''}"
    return "dropped"


ROWS: dict[str, Seen] = {
    "200": Seen("ok", (DONE,), ("delivered",)),
    "201": Seen("ok", (MADE,), ("delivered",)),
    "204": Seen("ok", (MADE, answer(204)), ("delivered",), 2, list_id="L"),
    "202 in bulk is only submitted": Seen("ok", (JOB,), ("submitted", "submitted")),
    "2xx without a readable id": Seen(
        "transient",
        (answer(200, "<html>"),),
        ("again: unreadable_answer in the usual time, budget",),
        list_id="L",
    ),
    "400 that points at a row": Seen(
        "data",
        (refusal(400, SECOND), refusal(400), TAKEN),
        ("delivered", "dead: rejected_by_klaviyo", "delivered"),
        3,
        "trackEvent",
    ),
    "422 that points at a row": Seen(
        "data",
        (refusal(422, SECOND), refusal(422), TAKEN),
        ("delivered", "dead: rejected_by_klaviyo", "delivered"),
        3,
        "trackEvent",
    ),
    "400 that points at none": Seen(
        "data",
        (refusal(400), refusal(400), TAKEN),
        ("dead: rejected_by_klaviyo", "delivered"),
        3,
        "trackEvent",
    ),
    "400 of a single row": Seen("data", (refusal(400),), ("dead: rejected_by_klaviyo",)),
    "401": Seen("setup", (refusal(401),), ("halt: key_refused",)),
    "403 of Klaviyo": Seen("setup", (refusal(403),), ("halt: scope_missing",)),
    "403 of the edge": Seen(
        "transient",
        (answer(403, "<html>checking your browser</html>"),),
        ("again: blocked_at_edge in the usual time, budget",),
    ),
    "404 of a list": Seen(
        "setup",
        (MADE, refusal(404)),
        ("again: list_not_found aside list:L in 1800 s",),
        2,
        list_id="L",
    ),
    "404 of a profile that was named": Seen(
        "transient",
        (NAMED, refusal(404)),
        ("again: profile_gone in the usual time, budget",),
        2,
    ),
    "409 that names the profile": Seen("ok", (NAMED, DONE), ("delivered",), 2),
    "409 that names none, one found": Seen(
        "lookup", (NAMELESS, people("A"), DONE), ("delivered",), 3
    ),
    "409 that names none, none found": Seen(
        "lookup",
        (NAMELESS, people()),
        ("again: conflict_unresolved in the usual time, budget",),
        2,
    ),
    "409 that names none, two found": Seen(
        "lookup", (NAMELESS, people("A", "B")), ("dead: identity_conflict",), 2
    ),
    "408": Seen("throttle", (answer(408),), ("again: throttled in 5 s",)),
    "425": Seen("throttle", (answer(425),), ("again: throttled in 5 s",)),
    "429 with a time": Seen(
        "throttle", (answer(429, retry_after="7"),), ("again: throttled in 7 s",)
    ),
    "429 with no time left": Seen(
        "throttle", (answer(429, retry_after="0"),), ("again: throttled in 1 s",)
    ),
    "429 for hours": Seen(
        "throttle-long",
        (answer(429, retry_after="43200"),),
        ("again: daily_limit in 43200 s",),
    ),
    "our own limit": Seen("throttle", (NoRoom(3, "create_event"),), ("again: no_room in 3 s",)),
    "413 of many": Seen(
        "data", (answer(413), TAKEN, TAKEN), ("delivered", "delivered"), 3, "trackEvent"
    ),
    "413 of one": Seen("data", (answer(413),), ("dead: too_large",)),
    **{
        f"{status}": Seen(
            "transient",
            (answer(status, "<html>"),),
            ("again: klaviyo_unavailable in the usual time, budget",),
        )
        for status in (500, 501, 502, 503, 504, 520, 521, 522, 523, 524)
    },
    "no answer": Seen(
        "transient",
        (Unanswered("ConnectError"),),
        ("again: unanswered in the usual time, budget",),
    ),
    **{
        f"{status}": Seen("setup", (answer(status),), ("halt: redirected",))
        for status in (301, 302, 307, 308)
    },
    **{
        f"{status}": Seen("data", (answer(status),), (end,))
        for status, end in (
            (402, "dead: refused_by_klaviyo"),
            (405, "dead: refused_by_klaviyo"),
            (415, "dead: refused_by_klaviyo"),
            (418, "dead: refused_by_klaviyo"),
        )
    },
    "410": Seen("setup", (answer(410),), ("halt: revision_retired",)),
}


@pytest.mark.parametrize("what", ROWS)
def test_what_is_seen_decides_what_happens_next(what: str) -> None:
    """For each row of the request, with as many requests as that takes and none more."""
    seen = ROWS[what]
    action, script = KLAVIYO.actions[seen.action], Script(*seen.answers)
    rows = [Delivery(f"p{n}", action.prepare(payload(seen, n), NOW)) for n in range(len(seen.ends))]
    outcomes = deliver(rows, action, lambda _numbers: account(script), batched=True)
    assert tuple(map(told, outcomes)) == seen.ends
    assert len(script.requests) == seen.requests


def payload(seen: Seen, number: int) -> dict[str, Any]:
    """What one row sends."""
    person = {"email": f"p{number}@acme.io"}
    if seen.action == "trackEvent":
        return {
            "metric_name": "Done",
            "profile": person,
            "properties": {},
            "unique_id": f"{number}",
        }
    return {**person, "list_id": seen.list_id} if seen.list_id else person


KINDS = {
    "ok": ("delivered", "submitted"),
    "data": ("delivered", "dead: "),
    "setup": ("halt: ", "again: list_not_found"),
    "throttle": ("again: ",),
    "throttle-long": ("again: daily_limit",),
    "transient": ("again: ",),
    "lookup": ("delivered", "again: conflict_unresolved", "dead: identity_conflict"),
}


def test_each_class_has_its_own_ends() -> None:
    """A class that nothing falls into, or an end that is not of its class, is a mistake here."""
    assert {seen.kind for seen in ROWS.values()} == KINDS.keys()
    for seen in ROWS.values():
        assert all(end.startswith(KINDS[seen.kind]) for end in seen.ends)


def test_throttling_spends_no_budget_and_trouble_does() -> None:
    """What waits for Klaviyo's limits or ours may wait for any time, and for a person for its own."""
    for seen in ROWS.values():
        waits = [end for end in seen.ends if end.startswith("again: ")]
        spends = not seen.kind.startswith(("throttle", "setup"))
        assert all(end.endswith(", budget") is spends for end in waits)


def test_an_answer_to_a_search_that_fails_is_what_it_is() -> None:
    """A lookup that is throttled waits as long as it was told, and spends nothing."""
    action = KLAVIYO.actions["upsertProfile"]
    script = Script(NAMELESS, answer(429, retry_after="9"))
    with pytest.raises(Ended) as ended:
        action.perform({"email": "a@acme.io"}, account(script))
    assert told(ended.value.outcome) == "again: throttled in 9 s"
