"""Whatever Klaviyo, or something in its place, answers: every event gets an outcome, and soon."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from destination.delivery import Delivered, Discard, Dropped, Halt, Retry, Submitted
from destination.klaviyo import KLAVIYO
from destination.klaviyo.verdict import LONGEST_WAIT
from tests.unit.klaviyo.klaviyo_script import NOW, Script, account, answer
from tests.unit.klaviyo.segment_cases import run

OUTCOMES = (Delivered, Dropped, Discard, Halt, Retry, Submitted)

NASTY: list[Any] = [
    {"errors": []},
    {"errors": {}},
    {"errors": [5, None, {"source": "x"}, {"source": {"pointer": 7}, "meta": []}]},
    {"errors": [{"source": {"pointer": "/data/attributes/profiles/data/0"}}]},
    {"errors": [{"source": {"pointer": "/data/attributes/events-bulk-create/data/99999"}}]},
    {"errors": [{"meta": {"duplicate_profile_id": "P1"}}]},
    {"errors": [{"meta": {"duplicate_profile_id": 7}}]},
    {"data": None},
    {"data": []},
    {"data": {}},
    {"data": {"id": "P1", "attributes": None}},
    {"data": {"id": 7}},
    {
        "data": [{"id": "P1"}, 5, {"id": None}],
        "links": {"next": "https://evil.example/?page%5Bcursor%5D=a"},
    },
    {"data": [{"id": "P1", "attributes": {"email": 5}}], "links": []},
    [],
    "text",
    7,
    None,
]
STATUSES = [
    200,
    201,
    202,
    204,
    301,
    400,
    401,
    403,
    404,
    408,
    409,
    413,
    415,
    422,
    429,
    500,
    503,
    524,
]
responses = st.lists(
    st.builds(
        lambda status, body, after: {"status": status, "json": body, "headers": after},
        st.sampled_from(STATUSES),
        st.sampled_from(NASTY),
        st.sampled_from(
            [{}, {"retry-after": "0"}, {"retry-after": "soon"}, {"retry-after": "999999"}]
        ),
    )
    | st.just({"network_error": "ECONNRESET"})
    | st.just({"status": 200, "text": "<html>"}),
    min_size=1,
    max_size=5,
)


@cache
def cases(folder: Path) -> list[dict[str, Any]]:
    """The recorded cases, for their events and mappings."""
    found: list[dict[str, Any]] = json.loads((folder / "klaviyo-actions.json").read_text())
    return found


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 10_000), responses)
def test_every_event_gets_an_outcome(
    vectors: Path, number: int, given_responses: list[Any]
) -> None:
    """In a bounded number of requests, with waits of at most a day."""
    case = cases(vectors)[number % len(cases(vectors))]
    done = run({**case, "responses": given_responses})
    assert len(done.outcomes) == len(case["events"])
    assert len(done.requests) <= 5 + 8 * (len(case["events"]) + 4)
    for outcome in done.outcomes:
        assert isinstance(outcome, OUTCOMES)
        assert not isinstance(outcome, Retry) or 0 <= (outcome.after or 0) <= LONGEST_WAIT


@settings(max_examples=200, deadline=None)
@given(responses, st.lists(st.integers(0, 3), max_size=4))
def test_every_row_of_a_job_gets_an_outcome(given_responses: list[Any], places: list[int]) -> None:
    """Or the job is asked after again."""
    upsert = KLAVIYO.actions["upsertProfile"]
    assert upsert.batch
    assert upsert.batch.poll
    answers = [
        answer(each.get("status", 500), each.get("json"), **each.get("headers", {}))
        for each in given_responses
    ]
    keys = [{"row": place, "who": [f"{place}"], "at": NOW - 10} for place in places]
    found = upsert.batch.poll("JOB", keys, account(Script(*answers)))
    assert isinstance(found, Retry) or len(found) == len(keys)


@pytest.mark.parametrize("body", NASTY)
@pytest.mark.parametrize("status", STATUSES)
def test_the_probe_always_answers(status: int, body: Any) -> None:
    """A broken answer is no working key, but no crash either."""
    outcome = KLAVIYO.probe(account(Script(answer(status, body))))
    assert isinstance(outcome, Delivered | Discard | Halt | Retry)
