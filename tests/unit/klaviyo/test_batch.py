"""Bulk requests in which one bad row makes Klaviyo refuse them all."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from destination.delivery import Delivered, Discard, Halt, Outcome, Retry
from destination.errors import NoRoom, Unanswered
from destination.klaviyo.batch import BAD_ROWS_PER_CALL, send_rows
from destination.klaviyo.limits import Bulk
from destination.sending import Request, Response
from tests.unit.klaviyo.klaviyo_script import Script, account, answer, refusal

WIDE = Bulk(1000, 1_000_000, 1_000_000)


def build(rows: Sequence[int]) -> Request:
    """A request whose body is its rows."""
    return Request("POST", "/api/rows", "bulk_create_events", list(rows))


class Strict:
    """A Klaviyo that takes a request whole or not at all.

    ``points`` says how it names the bad rows: ``right``, ``first`` (only one of them), ``none``,
    ``wrong`` (always row 0) or ``outside`` (a row that is not there).
    """

    def __init__(self, bad: set[int], points: str = "right") -> None:
        self.bad = bad
        self.points = points
        self.applied: list[int] = []
        self.requests = 0

    def __call__(self, request: Request) -> Response:
        """Take the rows or name the bad ones."""
        self.requests += 1
        places = [place for place, row in enumerate(request.json) if row in self.bad]
        if not places:
            self.applied += request.json
            return answer(202)
        named = {"right": places, "first": places[:1], "none": [], "wrong": [0], "outside": [9999]}
        pointers = [f"/data/attributes/profiles/data/{place}/x" for place in named[self.points]]
        return refusal(400, *pointers)


def send(rows: Sequence[int], klaviyo: Strict, limit: Bulk = WIDE) -> list[Outcome]:
    """The outcomes of rows."""
    return send_rows(rows, build, account(klaviyo), limit)


@settings(max_examples=400)
@given(
    st.sampled_from(["right", "first", "none", "wrong", "outside"]),
    st.integers(1, 1000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))),
)
def test_one_bad_row_costs_few_requests_and_no_neighbour(
    points: str, rows: tuple[int, int]
) -> None:
    """All but the bad one are delivered once, with at most ceil(log2 n) + 2 further requests.

    One more where Klaviyo names a row that is good: it is tried before the search.
    """
    count, bad = rows
    klaviyo = Strict({bad}, points)
    outcomes = send(range(count), klaviyo)
    assert isinstance(outcomes[bad], Discard)
    assert sorted(klaviyo.applied) == [row for row in range(count) if row != bad]
    assert klaviyo.requests - 1 <= ceil(log2(count)) + 2 + (points == "wrong")


def test_named_rows_cost_two_requests_however_many_they_are() -> None:
    """One that tries them apart, one with the others."""
    klaviyo = Strict({3, 500, 999})
    outcomes = send(range(1000), klaviyo)
    assert [row for row in range(1000) if isinstance(outcomes[row], Discard)] == [3, 500, 999]
    assert klaviyo.requests == 3


def test_all_rows_named_end_at_once() -> None:
    """There is nothing left to send."""
    klaviyo = Strict(set(range(50)))
    assert all(isinstance(each, Discard) for each in send(range(50), klaviyo))
    assert klaviyo.requests == 1


def test_each_row_gets_its_own_reason() -> None:
    """The errors that point at a row are its reasons."""
    body = {
        "errors": [
            {
                "detail": "no such phone",
                "source": {"pointer": "/data/attributes/profiles/data/0/attributes/phone_number"},
            },
            {
                "detail": "no such mail",
                "source": {"pointer": "/data/attributes/profiles/data/1/attributes/email"},
            },
        ]
    }
    first, second = send_rows([0, 1], build, account(Script(answer(400, body))), WIDE)
    assert first == Discard(
        "rejected_by_klaviyo", "Klaviyo answered 400: no such phone", "phone_number", 400
    )
    assert second == Discard(
        "rejected_by_klaviyo", "Klaviyo answered 400: no such mail", "email", 400
    )


def test_many_bad_rows_without_names_wait_for_the_next_attempt() -> None:
    """The requests of one call are bounded; rows it has no verdict on are neither lost nor ended."""
    klaviyo = Strict(set(range(0, 1000, 2)), "none")
    outcomes = send(range(1000), klaviyo)
    assert klaviyo.requests <= 1 + (BAD_ROWS_PER_CALL + 1) * (ceil(log2(1000)) + 2)
    kinds = {type(each) for each in outcomes}
    assert Retry in kinds
    assert all(isinstance(outcomes[row], Discard | Retry) for row in klaviyo.bad)
    assert not set(klaviyo.applied) & klaviyo.bad


def test_repeated_attempts_end_every_row() -> None:
    """What one call leaves, the next ones find."""
    klaviyo = Strict(set(range(0, 64, 3)), "none")
    waiting = list(range(64))
    ended: dict[int, Outcome] = {}
    for _ in range(20):
        outcomes = dict(zip(waiting, send(waiting, klaviyo), strict=True)) if waiting else {}
        ended |= {row: each for row, each in outcomes.items() if not isinstance(each, Retry)}
        waiting = [row for row, each in outcomes.items() if isinstance(each, Retry)]
    assert not waiting
    assert {row for row, each in ended.items() if isinstance(each, Discard)} == klaviyo.bad


def test_a_refusal_about_the_list_is_about_every_row() -> None:
    """Searching for a bad row would find only bad ones."""
    script = Script(refusal(400, "/data/relationships/lists/data/0/id"))
    assert all(
        isinstance(each, Discard) for each in send_rows(range(9), build, account(script), WIDE)
    )
    assert len(script.requests) == 1


def test_a_request_is_split_by_rows_and_by_bytes() -> None:
    """Both bounds hold for every request."""
    klaviyo = Strict(set())
    assert send(range(25), klaviyo, Bulk(10, 1000, 1000)) == [Delivered("accepted_by_klaviyo")] * 25
    assert klaviyo.requests == 3
    klaviyo = Strict(set())
    send([10**9] * 8, klaviyo, Bulk(1000, 24, 24))
    assert klaviyo.requests == 4


def test_the_text_of_a_body_is_the_body() -> None:
    """It was written down to know its size, and goes with the request."""
    requests: list[Request] = []

    def klaviyo(request: Request) -> Response:
        requests.append(request)
        return answer(202)

    send_rows([1, 2, 3], build, account(klaviyo), WIDE)
    assert [request.text for request in requests] == [b"[1,2,3]"]


def test_a_body_that_klaviyo_finds_too_large_is_halved() -> None:
    """Down to a single row, which is a dead letter."""

    def klaviyo(request: Request) -> Response:
        return answer(202 if sum(request.json) < 10 else 413)

    outcomes = send_rows([1, 2, 3, 11, 4], build, account(klaviyo), WIDE)
    assert [type(each) for each in outcomes] == [
        Delivered,
        Delivered,
        Delivered,
        Discard,
        Delivered,
    ]
    assert getattr(outcomes[3], "code", "") == "too_large"


@pytest.mark.parametrize(
    ("response", "kind"),
    [(answer(429, retry_after="3"), Retry), (answer(500), Retry), (refusal(401), Halt)],
)
def test_what_is_not_about_rows_stops_the_sending(response: Response, kind: type) -> None:
    """Rows that ended keep their end; the others get what the answer says, without more requests."""
    bad_first = refusal(400, "/data/attributes/profiles/data/0/x")
    script = Script(bad_first, bad_first, response)
    outcomes = send_rows(range(4), build, account(script), WIDE)
    assert [type(each) for each in outcomes] == [Discard, kind, kind, kind]
    assert len(script.requests) == 3


@pytest.mark.parametrize(
    ("error", "code"), [(Unanswered("reset"), "unanswered"), (NoRoom(2.5, "x"), "no_room")]
)
def test_without_an_answer_ended_rows_keep_their_end(error: Exception, code: str) -> None:
    """The others wait."""
    bad_first = refusal(400, "/data/attributes/profiles/data/0/x")
    outcomes = send_rows(range(3), build, account(Script(bad_first, bad_first, error)), WIDE)
    assert [getattr(each, "code", "") for each in outcomes] == ["rejected_by_klaviyo", code, code]


@pytest.mark.parametrize("error", [Unanswered("reset"), NoRoom(2.5, "x")])
def test_without_any_answer_the_error_goes_on(error: Exception) -> None:
    """Whoever called knows better how long to wait."""
    with pytest.raises(type(error)):
        send_rows(range(3), build, account(Script(error)), WIDE)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 40),
    st.sets(st.integers(0, 39)),
    st.sampled_from(["right", "first", "none", "wrong", "outside"]),
    st.integers(1, 40),
)
def test_no_good_row_ends_badly_and_none_is_applied_twice(
    count: int, bad: set[int], points: str, per_request: int
) -> None:
    """Whatever rows are bad and however they are named."""
    klaviyo = Strict(bad, points)
    outcomes = send(range(count), klaviyo, Bulk(per_request, 1_000_000, 1_000_000))
    assert len(outcomes) == count
    assert len(klaviyo.applied) == len(set(klaviyo.applied))
    for row, outcome in enumerate(outcomes):
        assert isinstance(outcome, Delivered) == (row in klaviyo.applied)
        assert row in bad or not isinstance(outcome, Discard)
