"""Bulk imports: who is in a job, and what became of each row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from destination.delivery import Delivered, Discard, Halt, Outcome, Retry, Submitted
from destination.klaviyo.imports import fits, import_profiles, poll
from destination.klaviyo.jobs import STUCK
from destination.klaviyo.people import SAME_PERSON
from destination.sending import Request, Response
from tests.unit.klaviyo.klaviyo_script import NOW, Script, account, answer, refusal, rows_of

JOB = answer(202, {"data": {"type": "profile-bulk-import-job", "id": "JOB"}})


def sent(payloads: Sequence[dict[str, Any]]) -> tuple[list[Any], list[Outcome]]:
    """The attributes that were imported, and the outcomes."""
    script = Script(JOB)
    outcomes = import_profiles(payloads, account(script))
    rows = [row["attributes"] for request in script.requests for row in rows_of(request)]
    return rows, outcomes


def keys(*emails: str, at: float = NOW) -> list[Any]:
    """The keys of a submitted job with these people."""
    script = Script(JOB)
    outcomes = import_profiles([{"email": each} for each in emails], account(script, now=at))
    return [each.key for each in outcomes if isinstance(each, Submitted)]


class Job:
    """A Klaviyo that answers for one job: its state and its import errors, some to a page."""

    def __init__(self, status: str, errors: Sequence[Any] = (), page: int = 2, **more: Any) -> None:
        self.attributes = {"status": status, **more}
        self.errors = list(errors)
        self.page = page
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        """The job, or a page of its errors."""
        self.requests.append(request)
        if request.operation == "get_bulk_import_profiles_job":
            return answer(200, {"data": {"id": "JOB", "attributes": self.attributes}})
        start = int(request.query.get("page[cursor]", "0"))
        found = [
            {"type": "import-error", "id": str(place), "attributes": each}
            for place, each in enumerate(self.errors)
        ][start : start + self.page]
        after = start + self.page
        link = f"https://elsewhere.example/api?page%5Bcursor%5D={after}"
        return answer(
            200, {"data": found, "links": {"next": link if after < len(self.errors) else None}}
        )


def failed(*, row: int | None = None, email: str = "", field: str = "email") -> dict[str, Any]:
    """An import error that names its row, its person, both or neither."""
    error: dict[str, Any] = {"code": "invalid", "detail": "bad value", "source": {}}
    if row is not None:
        error["source"] = {"pointer": f"/data/attributes/profiles/data/{row}/attributes/{field}"}
    if email:
        error["original_payload"] = {"type": "profile", "attributes": {"email": email}}
    return error


def test_rows_go_in_one_job_with_their_list() -> None:
    """Each row knows its job and its place."""
    script = Script(JOB)
    rows = [{"email": "a@acme.io", "list_id": "L"}, {"email": "b@acme.io", "list_id": "L"}]
    outcomes = import_profiles(rows, account(script))
    assert [each.job for each in outcomes if isinstance(each, Submitted)] == ["JOB", "JOB"]
    (request,) = script.requests
    assert request.json["data"]["relationships"] == {
        "lists": {"data": [{"type": "list", "id": "L"}]}
    }


def test_one_person_twice_is_imported_once_with_the_later_values() -> None:
    """Klaviyo states no order inside a job; properties and location are merged by key."""
    rows, outcomes = sent(
        [
            {
                "email": "A@acme.io",
                "first_name": "Old",
                "properties": {"a": 1, "b": 1},
                "location": {"city": "Ulm"},
            },
            {"email": "b@acme.io"},
            {
                "email": "a@acme.io",
                "first_name": "New",
                "properties": {"b": 2},
                "location": {"zip": "8"},
            },
        ]
    )
    assert rows == [
        {
            "email": "a@acme.io",
            "first_name": "New",
            "properties": {"a": 1, "b": 2},
            "location": {"city": "Ulm", "zip": "8"},
        },
        {"email": "b@acme.io"},
    ]
    assert outcomes[0] == outcomes[2] != outcomes[1]


def test_rows_that_share_only_some_identifiers_wait_for_the_next_request() -> None:
    """As does every later row that shares one with a waiting row."""
    rows, outcomes = sent(
        [
            {"email": "a@acme.io"},
            {"email": "a@acme.io", "external_id": "7"},
            {"external_id": "7"},
            {"email": "a@acme.io"},
            {"external_id": "8"},
        ]
    )
    assert rows == [{"email": "a@acme.io"}, {"external_id": "8"}]
    assert [each is SAME_PERSON for each in outcomes] == [False, True, True, True, False]


def test_a_profile_that_is_too_large_is_refused_before_sending() -> None:
    """Klaviyo takes 100 KB; its neighbours go."""
    rows, outcomes = sent([{"email": "a@acme.io", "title": "x" * 100_001}, {"email": "b@acme.io"}])
    assert rows == [{"email": "b@acme.io"}]
    assert isinstance(outcomes[0], Discard)
    assert outcomes[0].code == "too_large"


def test_an_accepted_job_without_an_id_is_sent_again() -> None:
    """Without it nobody could ask what became of the rows."""
    outcomes = import_profiles([{"email": "a@acme.io"}], account(Script(answer(202))))
    assert [getattr(each, "code", "") for each in outcomes] == ["unreadable_answer"]


@pytest.mark.parametrize(
    "refused",
    [
        refusal(404),
        refusal(400, "/data/relationships/lists/data"),
        refusal(400, detail="List not found: X"),
        refusal(400, detail="A list with id X does not exist."),
    ],
)
def test_an_unknown_list_makes_its_rows_wait_aside(refused: Response) -> None:
    """However Klaviyo says it; no row is blamed, and nothing but that list's rows waits."""
    rows = [{"email": f"{n}@acme.io", "list_id": "X"} for n in range(3)]
    script = Script(refused)
    outcomes = import_profiles(rows, account(script))
    assert [
        (each.code, each.aside, each.whole) for each in outcomes if isinstance(each, Retry)
    ] == [("list_not_found", "list:X", False)] * 3


@pytest.mark.parametrize(
    ("payload", "bulk"),
    [
        ({"email": "a@acme.io", "properties": {"a": 0}}, True),
        ({"email": "a@acme.io", "properties": {"a": None}}, False),
        ({"email": "a@acme.io", "location": {"city": None}}, False),
        ({"email": "a@acme.io", "first_name": None}, False),
        ({"email": "a@acme.io", "unset_properties": ["a"]}, False),
        ({"email": "a@acme.io", "append_properties": {"a": 1}}, False),
        ({"email": "a@acme.io", "append_properties": {}}, True),
    ],
)
def test_what_an_import_cannot_do_goes_alone(payload: dict[str, Any], bulk: bool) -> None:
    """An import ignores nulls and knows no property operations."""
    assert fits(payload) is bulk


def test_a_finished_job_ends_each_row_with_its_own_end() -> None:
    """Errors are read to the last page and found by place or by person; the links are not followed."""
    people = ["a@acme.io", "b@acme.io", "c@acme.io", "d@acme.io", "e@acme.io"]
    job = Job(
        "complete", [failed(row=0), failed(email="C@acme.io"), failed(row=9, email="d@acme.io")]
    )
    outcomes = poll("JOB", keys(*people), account(job))
    assert isinstance(outcomes, list)
    assert [type(each) for each in outcomes] == [Discard, Delivered, Discard, Discard, Delivered]
    assert outcomes[0] == Discard(
        "import_rejected", "Klaviyo's import refused the row: invalid bad value", "email"
    )
    assert [each.path for each in job.requests] == [
        "/api/profile-bulk-import-jobs/JOB",
        *["/api/profile-bulk-import-jobs/JOB/import-errors"] * 2,
    ]


def test_rows_of_one_person_share_their_end() -> None:
    """They were one profile of the job."""
    job = Job("complete", [failed(row=0)])
    outcomes = poll("JOB", keys("a@acme.io", "a@acme.io", "b@acme.io"), account(job))
    assert isinstance(outcomes, list)
    assert [type(each) for each in outcomes] == [Discard, Discard, Delivered]


@pytest.mark.parametrize(
    "job",
    [
        Job("complete", [failed()]),
        Job("complete", [failed(row=77)]),
        Job("complete", [failed(email="nobody@acme.io")]),
        Job("complete", [], failed_count=1),
    ],
)
def test_an_error_of_no_known_row_is_no_success(job: Job) -> None:
    """Rows without a known end are sent again; importing twice changes nothing."""
    outcomes = poll("JOB", keys("a@acme.io", "b@acme.io"), account(job))
    assert isinstance(outcomes, list)
    assert {getattr(each, "code", "") for each in outcomes} == {"import_result_unknown"}


@pytest.mark.parametrize(
    ("klaviyo", "code"),
    [
        (Script(refusal(404)), "import_lost"),
        (Job("cancelled"), "import_cancelled"),
    ],
)
def test_a_job_that_will_not_finish_makes_its_rows_go_again(klaviyo: Any, code: str) -> None:
    """Spending an attempt, so that it ends some time."""
    outcomes = poll("JOB", keys("a@acme.io"), account(klaviyo))
    assert isinstance(outcomes, list)
    (outcome,) = outcomes
    assert isinstance(outcome, Retry)
    assert (outcome.code, outcome.spends) == (code, True)


@pytest.mark.parametrize("status", ["queued", "processing", "Processing", "", "new_word"])
def test_an_unfinished_job_is_asked_again_ever_less_often(status: str) -> None:
    """Until an hour has passed; then its rows go again."""
    job = Job(status)
    waits = [poll("JOB", keys("a@acme.io", at=NOW - age), account(job)) for age in (0, 20, 600)]
    assert [each.after for each in waits if isinstance(each, Retry)] == [2, 10, 60]
    assert not any(each.spends for each in waits if isinstance(each, Retry))
    stuck = poll("JOB", keys("a@acme.io", at=NOW - STUCK - 1), account(job))
    assert isinstance(stuck, list)
    assert getattr(stuck[0], "code", "") == "import_stuck"


@pytest.mark.parametrize("response", [answer(503), answer(429, retry_after="3")])
def test_a_poll_that_is_refused_is_asked_again(response: Response) -> None:
    """It says nothing about the rows."""
    assert isinstance(poll("JOB", keys("a@acme.io"), account(Script(response))), Retry)
    job = answer(200, {"data": {"id": "JOB", "attributes": {"status": "complete"}}})
    assert isinstance(poll("JOB", keys("a@acme.io"), account(Script(job, response))), Retry)


def test_a_refused_key_makes_the_rows_wait() -> None:
    """They go again once there is a good key."""
    outcomes = poll("JOB", keys("a@acme.io"), account(Script(refusal(401))))
    assert isinstance(outcomes, list)
    assert isinstance(outcomes[0], Halt)


def test_pages_that_go_in_circles_are_left() -> None:
    """The same cursor again is no next page."""
    job = answer(200, {"data": {"id": "JOB", "attributes": {"status": "complete"}}})
    page = answer(200, {"data": [], "links": {"next": "https://x.example/?page%5Bcursor%5D=a"}})
    script = Script(job, page)
    assert isinstance(poll("JOB", keys("a@acme.io"), account(script)), Retry)
    assert len(script.requests) == 3


def test_the_keys_of_rows_hold_nobodys_identity() -> None:
    """They lie in the store while the job runs; who it is about stands there as a digest."""
    assert "acme" not in json.dumps(keys("a@acme.io"))
