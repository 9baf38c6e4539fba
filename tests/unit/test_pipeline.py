"""Planning and delivering: which rows travel together, and what a failure means for the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.action import Action, Batch, Payload
from destination.delivery import Delivered, Discard, Halt, Outcome, Retry, Submitted
from destination.errors import NoRoom, Unanswered
from destination.pipeline import LATER, Delivery, backoff, deliver, exhausted
from destination.sending import Account, Request, Response

OK = Delivered()
Answer = Callable[[list[Payload]], Outcome]


class Recorder:
    """An action that notes what travelled together and answers as told."""

    def __init__(self, answer: Answer = lambda _rows: OK, rows: int = 100) -> None:
        self.sent: list[tuple[str, list[Any]]] = []
        self._answer = answer
        batch = Batch(
            rows,
            10_000,
            10_000,
            self._bulk,
            group=lambda payload: payload.get("list"),
            fits=lambda payload: not payload.get("alone"),
        )
        self.action = Action("a", "", "", "", (), lambda p, _now: p, self._single, batch)

    def _bulk(self, payloads: Sequence[Payload], _account: Account) -> list[Outcome]:
        self.sent.append(("bulk", [payload["n"] for payload in payloads]))
        return [self._answer(list(payloads))] * len(payloads)

    def _single(self, payload: Payload, _account: Account) -> Outcome:
        self.sent.append(("single", [payload["n"]]))
        return self._answer([payload])

    def deliver(self, *rows: tuple[str, Payload], batched: bool = True) -> list[Outcome]:
        """Deliver rows given as (person, payload); their numbers are added."""
        planned = [Delivery(who, {**what, "n": n}) for n, (who, what) in enumerate(rows)]
        return deliver(planned, self.action, lambda _numbers: ACCOUNT, batched=batched)


def _nothing(_request: Request) -> Response:
    raise AssertionError("these actions send nothing")


ACCOUNT = Account(_nothing, lambda _key, find: find(), 0, "2026-07-15")


def test_rows_of_one_request_go_together() -> None:
    """Rows with another list go in another request."""
    action = Recorder()
    lists = ["x", "y", "x", "y", "x"]
    ends = action.deliver(*((f"p{i}", {"list": each}) for i, each in enumerate(lists)))
    assert ends == [OK] * 5
    assert action.sent == [("bulk", [0, 2, 4]), ("bulk", [1, 3])]


def test_a_row_alone_goes_through_the_single_record_endpoint() -> None:
    """So does every row when the mapping does not batch, and one that bulk cannot express."""
    action = Recorder()
    action.deliver(("p", {}))
    action.deliver(("p", {}), ("q", {}), batched=False)
    action.deliver(("p", {"alone": True}), ("q", {}), ("r", {}))
    assert action.sent == [
        ("single", [0]),
        ("single", [0]),
        ("single", [1]),
        ("single", [0]),
        ("bulk", [1, 2]),
    ]


def test_requests_are_bounded_by_rows() -> None:
    """What does not fit starts the next request."""
    action = Recorder(rows=2)
    action.deliver(*((f"p{i}", {}) for i in range(4)))
    assert action.sent == [("bulk", [0, 1]), ("bulk", [2, 3])]


def test_a_later_row_of_a_person_does_not_overtake_an_earlier_one() -> None:
    """When the two cannot go in one request the later one waits for the next pass."""
    action = Recorder()
    ends = action.deliver(
        ("ann", {"alone": True}), ("ann", {}), ("bob", {}), ("cyd", {}), ("bob", {"alone": True})
    )
    assert ends == [OK, LATER, OK, OK, LATER]
    assert action.sent == [("single", [0]), ("bulk", [2, 3])]


def test_rows_of_one_person_stay_in_order_one_by_one() -> None:
    """The second waits when the first has not ended."""
    wait = Retry("unanswered")
    action = Recorder(lambda rows: wait if rows[0]["n"] == 0 else OK)
    ends = action.deliver(("ann", {}), ("ann", {}), ("bob", {}), batched=False)
    assert ends == [wait, LATER, OK]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Unanswered("reset"), Retry("unanswered", "reset", whole=True)),
        (NoRoom(7, "x"), Retry("no_room", str(NoRoom(7, "x")), 7, spends=False, whole=True)),
    ],
)
def test_what_concerns_all_stops_the_pass(error: Exception, expected: Retry) -> None:
    """Rows that were not tried wait for the same, and have spent nothing."""

    def fail(_rows: list[Payload]) -> Outcome:
        raise error

    action = Recorder(fail)
    ends = action.deliver(("ann", {}), ("bob", {}), batched=False)
    assert ends[0] == expected
    assert isinstance(ends[1], Retry)
    assert (ends[1].spends, ends[1].whole, ends[1].after) == (False, True, expected.after)
    assert len(action.sent) == 1


def test_a_halt_keeps_everything() -> None:
    """No row is tried after it and none is lost."""
    halt = Halt("authentication_failed", "")
    action = Recorder(lambda _rows: halt)
    assert action.deliver(("ann", {}), ("bob", {}), batched=False) == [halt, halt]
    assert len(action.sent) == 1


OUTCOMES = st.sampled_from(
    [
        OK,
        Discard("invalid", ""),
        Retry("unanswered"),
        Retry("x", whole=True),
        Halt("y", ""),
        Submitted("job", 1),
    ]
)
ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.fixed_dictionaries({"list": st.sampled_from("xy"), "alone": st.booleans()}),
    ),
    max_size=12,
)


@given(ROWS, st.lists(OUTCOMES, min_size=12, max_size=12), st.booleans())
def test_every_row_has_one_outcome_and_nobody_is_overtaken(
    rows: list[tuple[str, Payload]], answers: list[Outcome], batched: bool
) -> None:
    """Whatever Klaviyo answers."""
    action = Recorder(lambda sent: answers[sent[0]["n"]])
    ends = action.deliver(*rows, batched=batched)
    assert len(ends) == len(rows)
    order = [n for _how, numbers in action.sent for n in numbers]
    assert len(order) == len(set(order))
    for person in "abc":
        mine = [n for n in range(len(rows)) if rows[n][0] == person]
        tried = [n for n in order if rows[n][0] == person]
        assert tried == mine[: len(tried)]
        unfinished = [n for n in tried if not isinstance(ends[n], Delivered | Discard)]
        together = [numbers for _how, numbers in action.sent if set(unfinished) & set(numbers)]
        assert all(set(tried[tried.index(unfinished[0]) :]) <= set(g) for g in together[:1])


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_backoff_is_bounded(attempts: int, chance: float) -> None:
    """Never an instant, never more than five minutes."""
    assert 0.5 <= backoff(attempts, chance) <= 300


def test_the_budget_is_attempts_and_hours() -> None:
    """Neither alone ends a delivery."""
    assert not exhausted(9, 0, 3600, most=9, hours=4)
    assert not exhausted(8, 0, 5 * 3600, most=9, hours=4)
    assert exhausted(9, 0, 4 * 3600, most=9, hours=4)
