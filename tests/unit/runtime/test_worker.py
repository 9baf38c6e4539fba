"""The worker on a real Redis, with Klaviyo played by a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from destination.mapping.file import BatchOptions, Mapping

from destination.action import Action
from destination.delivery import Delivered, Discard, Halt, Outcome, Retry, Submitted
from destination.pipeline import Route
from destination.runtime.counts import imbalance, read_counts
from destination.runtime.lanes import Lane
from destination.runtime.letters import DeadLetters
from destination.runtime.store import PREFIX, Row, Scripts, encode_item
from destination.runtime.worker import Worker
from destination.settings import Settings, load_settings
from tests.unit.runtime.accepting import accept

Answer = Callable[[dict[str, Any]], Outcome]


class Klaviyo:
    """Actions that answer as told and note what they were given."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.answers: dict[str, list[Outcome]] = {}
        self._lock = threading.Lock()

    def perform(self, payload: dict[str, Any], _account: Any) -> Outcome:
        """The next scripted answer for this row, else delivered."""
        with self._lock:
            self.sent.append(payload["id"])
            script = self.answers.get(payload["id"])
            return script.pop(0) if script else Delivered()

    def action(self, name: str, order: str = "") -> Action:
        """An action of one request a row."""
        return Action(
            name, "", "", "", (), lambda p, _now: p, self.perform, order=lambda _fields: order
        )


def mapping(name: str, action: str) -> Mapping:
    """A mapping that takes the whole event for its payload."""
    return Mapping(
        name=name,
        description="",
        action=action,
        trigger="",
        enabled=True,
        fields={},
        batch=BatchOptions(),
        examples=(),
        matches=lambda _body: True,
        resolve=lambda body: body,
        version="v1",
        source="test",
    )


class Fixed:
    """Mappings that never change."""

    def __init__(self, routes: dict[str, Route]) -> None:
        self._routes = routes

    def routes(self) -> dict[str, Route]:
        """All of them."""
        return self._routes


def whole(body: Any) -> dict[str, Any]:
    """The payload of a row is its event's id."""
    return {"id": body["messageId"]}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose one connection is called default."""
    return load_settings(
        folder=tmp_path,
        environ={},
        sandbox_url="http://127.0.0.1:9",
        retry_attempts=3,
        retry_hours=0.001,
    )


@pytest.fixture
def klaviyo() -> Klaviyo:
    """A Klaviyo to script."""
    return Klaviyo()


@pytest.fixture
def worker(
    redis_url: str, scripts: Scripts, settings: Settings, klaviyo: Klaviyo
) -> Iterator[Worker]:
    """A worker whose mappings ``a`` and ``b`` have lanes of their own and whose ``add`` and
    ``remove`` share one.
    """
    found = Worker(settings, redis_url)
    routes = {
        "a": Route(mapping("a", "a"), klaviyo.action("a"), whole),
        "b": Route(mapping("b", "b"), klaviyo.action("b"), whole),
        "add": Route(mapping("add", "add"), klaviyo.action("add", "lists"), whole),
        "remove": Route(mapping("remove", "remove"), klaviyo.action("remove", "lists"), whole),
    }
    found.working["default"].mappings = Fixed(routes)  # type: ignore[assignment]  # a fake
    yield found
    found.close()


def counts(scripts: Scripts, name: str = "a") -> dict[str, int]:
    """The counts of a mapping; all must add up."""
    found = read_counts(scripts, ["default"])
    assert imbalance(found) == []
    values: dict[str, int] = found["connections"]["default"]["mappings"][name]
    return values


def run(worker: Worker, lane: str = "a") -> None:
    """One ``send`` job for a lane that is not made to wait."""
    worker.redis.delete(f"{PREFIX}default:hold:{lane}")
    parked = f"{PREFIX}default:parked:{lane}"
    for person, due in worker.redis.zrange(parked, 0, -1, withscores=True):  # type: ignore[misc,union-attr]  # sync client
        if due != float("inf"):
            worker.redis.zadd(parked, {person: 0})
    worker.send("default", lane)


def test_every_row_is_sent_once_and_in_order(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """Of one person, as accepted."""
    accept(redis_url, *((f"e{i}", "ann", "a") for i in range(5)))
    run(worker)
    assert klaviyo.sent == [f"e{i}" for i in range(5)]
    assert (counts(scripts)["delivered"], counts(scripts)["pending"]) == (5, 0)


def test_a_row_that_must_wait_holds_up_its_person_only(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """Bob goes on; ann's second row comes after her first."""
    klaviyo.answers["a1"] = [Retry("later")]
    accept(redis_url, ("a1", "ann", "a"), ("b1", "bob", "a"), ("a2", "ann", "a"))
    worker.send("default", "a")
    assert sorted(klaviyo.sent) == ["a1", "b1"]
    assert counts(scripts)["pending"] == 2
    run(worker)
    assert [each for each in klaviyo.sent if each != "b1"] == ["a1", "a1", "a2"]
    assert counts(scripts)["delivered"] == 3


def test_a_spent_budget_is_a_dead_letter_with_the_last_reason(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo, settings: Settings
) -> None:
    """Enough attempts and enough time."""
    klaviyo.answers["e1"] = [Retry("unanswered", "reset by peer")] * 3
    row = Row(msgspec.Raw(b'{"messageId":"e1"}'), "e1", "web", "ann", since=1.0)
    accept(redis_url, ("e1", "ann", "a"), item=encode_item(row))
    for _ in range(3):
        run(worker)
    (letter,) = DeadLetters(scripts, "default")
    assert (letter.code, letter.attempts) == ("exhausted", 3)
    assert "reset by peer" in letter.message
    assert counts(scripts)["dead"] == 1


def test_waiting_for_room_spends_nothing(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """However often; the lane is held meanwhile."""
    wait = Retry("throttled", after=30, spends=False, whole=True)
    klaviyo.answers["e1"] = [wait] * 10
    accept(redis_url, ("e1", "ann", "a"))
    for _ in range(10):
        run(worker)
    held = int(worker.redis.pttl(f"{PREFIX}default:hold:a"))  # type: ignore[arg-type]  # sync client
    assert 29_000 < held < 35_000
    lane = Lane(scripts, "default", "a", lease=5)
    assert lane.begin().state == "held"
    assert lane.read(1)[0].attempts == 0


def test_what_undoes_each_other_keeps_its_order_across_mappings(
    redis_url: str, worker: Worker, klaviyo: Klaviyo
) -> None:
    """Added, removed, added: the person is on the list in the end."""
    accept(
        redis_url,
        ("in1", "ann", "add", "lists"),
        ("out", "ann", "remove", "lists"),
        ("in2", "ann", "add", "lists"),
        ("in3", "bob", "add", "lists"),
    )
    for _ in range(3):
        run(worker, "lists")
    assert [each for each in klaviyo.sent if each != "in3"] == ["in1", "out", "in2"]
    assert "in3" in klaviyo.sent


def test_a_halt_keeps_everything_and_waits(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """Nothing is sent until a probe succeeds."""
    klaviyo.answers["e1"] = [Halt("authentication_failed", "revoked")]
    accept(redis_url, ("e1", "ann", "a"), ("e2", "bob", "a"))
    run(worker)
    assert counts(scripts)["pending"] == 2
    sent = len(klaviyo.sent)
    run(worker)
    assert len(klaviyo.sent) == sent


def test_a_missing_mapping_delays_nobody_else(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """Its rows wait for its return."""
    accept(redis_url, ("g1", "ann", "gone", "lists"), ("in", "bob", "add", "lists"))
    run(worker, "lists")
    assert klaviyo.sent == ["in"]
    assert counts(scripts, "gone")["pending"] == 1


def test_a_fault_of_ours_is_tried_again_and_not_lost(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """An exception in an action is no end."""
    route = worker.working["default"].mappings.routes()["a"]

    def broken(_payload: Any, _account: Any) -> Outcome:
        raise RuntimeError("a bug")

    routes = worker.working["default"].mappings.routes()
    action = Action("a", "", "", "", (), lambda p, _now: p, broken)
    routes["a"] = Route(route.mapping, action, whole)
    accept(redis_url, ("e1", "ann", "a"))
    run(worker)
    routes["a"] = route
    run(worker)
    assert klaviyo.sent == ["e1"]
    assert counts(scripts)["delivered"] == 1


def test_a_refused_row_is_buried_and_the_next_goes_on(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """Also for the same person."""
    klaviyo.answers["e1"] = [Discard("rejected_by_klaviyo", "no", "email", 400)]
    accept(redis_url, ("e1", "ann", "a"), ("e2", "ann", "a"))
    run(worker)
    (letter,) = DeadLetters(scripts, "default")
    assert (letter.id, letter.field, letter.status, letter.version) == ("web:e1:a", "email", 400, "v1")
    assert counts(scripts)["delivered"] == 1


def test_a_submitted_row_waits_for_its_job(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """It is pending, and what follows of its person waits behind it."""
    klaviyo.answers["e1"] = [Submitted("job-1", {"row": 0})]
    accept(redis_url, ("e1", "ann", "a"), ("e2", "ann", "a"), ("e3", "bob", "a"))
    run(worker)
    assert sorted(klaviyo.sent) == ["e1", "e3"]
    assert counts(scripts)["pending"] == 2
