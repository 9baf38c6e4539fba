"""Jobs that put and lift suppressions: taken is not done."""

from __future__ import annotations

from typing import Any

import pytest

from destination.delivery import Delivered, Halt, Outcome, Retry, Submitted
from destination.klaviyo import KLAVIYO
from destination.klaviyo.jobs import STUCK
from destination.sending import Response
from tests.unit.klaviyo.klaviyo_script import NOW, Script, account, answer, refusal
from tests.unit.klaviyo.test_on_sandbox import World

MAIL = "ana@acme.io"
NAMES = ["suppressProfile", "unsuppressProfile"]
KEYS = [{"at": int(NOW)}, {"at": int(NOW)}]


def polled(name: str, *answers: Response, later: float = 0.0) -> list[Outcome] | Retry:
    """What asking about a job of two rows comes to."""
    batch = KLAVIYO.actions[name].batch
    assert batch
    assert batch.poll
    return batch.poll("J", KEYS, account(Script(*answers), now=NOW + later))


def job(status: str) -> Response:
    """A job in that state."""
    return answer(200, {"data": {"id": "J", "attributes": {"status": status}}})


@pytest.mark.parametrize("name", NAMES)
def test_the_rows_of_a_job_are_delivered_when_it_is_complete(name: str) -> None:
    """Not when it was taken; until then it is asked about ever less often."""
    assert polled(name, job("complete")) == [Delivered()] * 2
    waits = [polled(name, job("processing"), later=after) for after in (0, 60, 600)]
    assert [getattr(each, "after", 0) for each in waits] == [2.0, 30.0, 60.0]
    assert not any(getattr(each, "spends", True) for each in waits)


@pytest.mark.parametrize(
    ("response", "code", "later"),
    [
        (job("cancelled"), "job_cancelled", 0),
        (refusal(404), "job_lost", 0),
        (job("queued"), "job_stuck", STUCK + 1),
        (answer(200, "not json"), "job_stuck", STUCK + 1),
    ],
)
def test_a_job_without_an_end_makes_its_rows_go_again(
    response: Response, code: str, later: float
) -> None:
    """Doing it twice changes nothing."""
    ends = polled("suppressProfile", response, later=later)
    assert isinstance(ends, list)
    assert [getattr(each, "code", "") for each in ends] == [code] * 2
    assert all(isinstance(each, Retry) and each.spends for each in ends)


def test_a_key_that_may_not_ask_is_told_what_is_known() -> None:
    """Klaviyo took the job; the connection is not paused for it."""
    body = {"errors": [{"code": "permission_denied", "detail": "no"}]}
    assert polled("suppressProfile", answer(403, body)) == [Delivered("accepted_by_klaviyo")] * 2


@pytest.mark.parametrize("response", [answer(429, retry_after="3"), answer(503)])
def test_a_job_that_cannot_be_asked_about_now_is_asked_later(response: Response) -> None:
    """Its rows go on waiting."""
    assert isinstance(polled("suppressProfile", response), Retry)


def test_a_refused_key_pauses_the_connection() -> None:
    """Until somebody acts."""
    ends = polled("suppressProfile", refusal(401))
    assert isinstance(ends, list)
    assert all(isinstance(each, Halt) for each in ends)


def test_a_job_without_an_id_was_taken() -> None:
    """There is nothing to ask about."""
    action = KLAVIYO.actions["suppressProfile"]
    payload = action.prepare({"email": MAIL}, NOW)
    assert action.perform(payload, account(Script(answer(202)))) == Delivered("accepted_by_klaviyo")


def test_jobs_are_followed_on_the_sandbox() -> None:
    """Alone and many at once, with what was so already."""
    world = World()
    people: list[dict[str, Any]] = [{"email": f"p{n}@acme.io"} for n in range(5)]
    assert world.one("suppressProfile", **people[0]) == Delivered()
    assert world.many("suppressProfile", people) == [Delivered()] * 5
    assert len(world.state["jobs"]) == 2
    assert world.many("unsuppressProfile", people[:4]) == [Delivered()] * 4
    still = [each["email"] for each in world.state["profiles"] if "SUPPRESSED" in str(each)]
    assert still == ["p4@acme.io"]


def test_what_a_job_is_known_by_names_nobody() -> None:
    """The key stands in Redis until the job ends."""
    action = KLAVIYO.actions["suppressProfile"]
    script = Script(answer(202, {"data": {"id": "J"}}))
    outcome = action.perform(action.prepare({"email": MAIL}, NOW), account(script))
    assert outcome == Submitted("J", {"at": int(NOW)})
