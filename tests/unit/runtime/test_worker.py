"""The worker on a real Redis, with Klaviyo played by a script."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from destination.action import Action, Batch
from destination.delivery import Delivered, Discard, Halt, Outcome, Retry, Submitted
from destination.ingress.sent import Sent
from destination.mapping.file import BatchOptions, Mapping
from destination.pipeline import Route
from destination.runtime.alerts.vitals import look
from destination.runtime.counts import imbalance, read_counts
from destination.runtime.delivery.lanes import Lane
from destination.runtime.delivery.worker import Worker
from destination.runtime.letters.dead_letters import DeadLetters
from destination.runtime.store import PREFIX, Row, Scripts, encode_item, encode_row
from destination.sending import Account, Request, Response
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
    waiting: Any = worker.redis.zrange(parked, 0, -1, withscores=True)
    for person, due in waiting:
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
    held = int(worker.redis.pttl(f"{PREFIX}default:hold:a"))
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
    assert (letter.id, letter.field, letter.status, letter.version) == (
        "web:e1:a",
        "email",
        400,
        "v1",
    )
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


def test_later_rows_of_a_person_wait_for_one_whose_mapping_is_away(
    redis_url: str, worker: Worker, klaviyo: Klaviyo
) -> None:
    """A removal must not overtake an addition whose mapping is missing for a moment."""
    routes = worker.working["default"].mappings.routes()
    add = routes.pop("add")
    accept(redis_url, ("r1", "ann", "add", "lists"), ("r2", "ann", "remove", "lists"))
    run(worker, "lists")
    routes["add"] = add
    run(worker, "lists")
    assert klaviyo.sent == ["r1", "r2"]


def test_a_row_put_back_stays_before_a_parked_one_of_its_person(
    redis_url: str, worker: Worker, klaviyo: Klaviyo
) -> None:
    """A throttled addition, then a removal whose mapping is away."""
    routes = worker.working["default"].mappings.routes()
    remove = routes.pop("remove")
    klaviyo.answers["r1"] = [Retry("throttled", "", 0.01, spends=False, whole=True)]
    accept(redis_url, ("r1", "ann", "add", "lists"), ("r2", "ann", "remove", "lists"))
    run(worker, "lists")
    run(worker, "lists")
    routes["remove"] = remove
    run(worker, "lists")
    run(worker, "lists")
    assert klaviyo.sent[1:] == ["r1", "r2"]


def test_equal_ids_leave_a_dead_letter_each(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """Ids are unique within a source, and within the dedupe window, only."""
    klaviyo.answers["e1"] = [Discard("payload_invalid", "no")] * 3
    for source in ("web", "app", "web"):
        item = encode_item(Row(msgspec.Raw(b'{"messageId":"e1"}'), "e1", source, source))
        worker.redis.delete(*(worker.redis.keys(f"{PREFIX}default:seen:*") or ["none"]))
        accept(redis_url, ("e1", source, "a"), item=item)
        run(worker)
    assert counts(scripts)["dead"] == len(DeadLetters(scripts, "default")) == 3


def submitting(
    routes: dict[str, Route], ends: Callable[[list[Any]], list[Outcome] | Retry]
) -> None:
    """Make the mapping ``add``, and a second one ``more`` of its action, submit jobs."""

    def perform(payloads: Any, _account: Any) -> list[Outcome]:
        return [Submitted("J1", number) for number in range(len(payloads))]

    batch = Batch(100, 10**6, 10**5, perform, poll=lambda _job, keys, _account: ends(list(keys)))
    action = dataclasses.replace(routes["add"].action, batch=batch)
    routes["add"] = dataclasses.replace(routes["add"], action=action)
    routes["more"] = dataclasses.replace(routes["add"], mapping=mapping("more", "add"))


def poll_now(worker: Worker) -> None:
    """Let every job of the lane be due, and work on it."""
    jobs: Any = worker.redis.zrange(f"{PREFIX}default:jobs:lists", 0, -1)
    for job in jobs:
        worker.redis.zadd(f"{PREFIX}default:jobs:lists", {job: 0})
    worker.send("default", "lists")


def test_a_job_of_two_mappings_ends_when_one_of_them_is_gone(
    redis_url: str, worker: Worker, scripts: Scripts
) -> None:
    """Its lane must not stand still for it."""
    routes = worker.working["default"].mappings.routes()
    submitting(routes, lambda keys: [Delivered()] * len(keys))
    accept(redis_url, ("r1", "ann", "add", "lists"), ("r2", "bob", "more", "lists"))
    run(worker, "lists")
    del routes["more"]
    poll_now(worker)
    assert counts(scripts, "add")["delivered"] == counts(scripts, "more")["delivered"] == 1


def test_a_job_whose_mappings_are_all_gone_is_asked_about_again_later(
    redis_url: str, worker: Worker, scripts: Scripts
) -> None:
    """Not at once, and not never."""
    routes = worker.working["default"].mappings.routes()
    submitting(routes, lambda keys: [Delivered()] * len(keys))
    accept(redis_url, ("r1", "ann", "add", "lists"), ("r2", "bob", "add", "lists"))
    run(worker, "lists")
    del routes["add"], routes["more"]
    poll_now(worker)
    due: Any = worker.redis.zscore(f"{PREFIX}due", "default\tlists")
    seconds, _micros = worker.redis.time()
    assert due > (seconds + 5) * 1000


def test_a_fault_in_a_poll_does_not_stop_the_lane(
    redis_url: str, worker: Worker, klaviyo: Klaviyo
) -> None:
    """Other rows of the lane go on."""

    def broken(_keys: list[Any]) -> list[Outcome]:
        raise KeyError("unexpected answer")

    submitting(worker.working["default"].mappings.routes(), broken)
    accept(redis_url, ("r1", "ann", "add", "lists"), ("r2", "bob", "add", "lists"))
    run(worker, "lists")
    accept(redis_url, ("r3", "cid", "remove", "lists"))
    poll_now(worker)
    assert klaviyo.sent == ["r3"]


def test_no_request_runs_on_behind_the_commit(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """A fault in one row leaves its neighbours their time and their outcome."""
    routes = worker.working["default"].mappings.routes()
    failed, finished = threading.Event(), threading.Event()

    def perform(payload: dict[str, Any], _account: Any) -> Outcome:
        if payload["id"] == "bad":
            failed.set()
            raise TypeError("a fault")
        assert failed.wait(5)
        finished.set()
        return Delivered()

    action = dataclasses.replace(routes["a"].action, perform=perform)
    routes["a"] = dataclasses.replace(routes["a"], action=action)
    accept(redis_url, ("bad", "ann", "a"), ("slow", "bob", "a"))
    run(worker)
    assert finished.is_set()
    assert (counts(scripts)["delivered"], counts(scripts)["pending"]) == (1, 1)


def test_events_for_a_halted_connection_do_not_wake_it(
    redis_url: str, worker: Worker, klaviyo: Klaviyo
) -> None:
    """It is due when it may ask again, not with each event."""
    klaviyo.answers["e1"] = [Halt("authentication_failed", "revoked")]
    accept(redis_url, ("e1", "ann", "a"))
    run(worker)
    worker.send("default", "a")
    accept(redis_url, ("e2", "ann", "a"))
    due: Any = worker.redis.zscore(f"{PREFIX}due", "default\ta")
    seconds, _micros = worker.redis.time()
    assert due > (seconds + 5) * 1000


def test_a_worker_that_lost_its_lease_asks_nothing_more(
    redis_url: str, worker: Worker, settings: Settings
) -> None:
    """Frozen for longer than its lease in the first row; another has sent all by then."""
    sent: list[str] = []
    second = Worker(settings, redis_url)

    def perform(payload: dict[str, Any], account: Account) -> Outcome:
        account.send(Request("GET", "/api/accounts", "get_accounts"))
        sent.append(payload["id"])
        if len(sent) == 1:
            worker.redis.delete(f"{PREFIX}default:lease:a")
            second.send("default", "a")
        return Delivered()

    route = worker.working["default"].mappings.routes()["a"]
    action = dataclasses.replace(route.action, perform=perform)
    fixed = Fixed({"a": dataclasses.replace(route, action=action)})
    for each in (worker, second):
        each.working["default"].mappings = fixed  # type: ignore[assignment]  # a fake
        each.working["default"].sender = lambda _request: Response(200, {}, b"")
    accept(redis_url, *((f"e{number}", "ann", "a") for number in (1, 2, 3)))
    worker.send("default", "a")
    second.close()
    assert sent == ["e1", "e1", "e2", "e3"]


def test_a_worker_that_is_asked_to_stop_asks_nothing_more_and_loses_nothing(
    worker: Worker, redis_url: str
) -> None:
    """The row under way is recorded, the rest stays, and the lane is free for somebody else."""
    sent: list[str] = []

    def perform(payload: dict[str, Any], account: Account) -> Outcome:
        account.send(Request("GET", "/api/accounts", "get_accounts"))
        sent.append(payload["id"])
        worker.stop()
        return Delivered()

    route = worker.working["default"].mappings.routes()["a"]
    action = dataclasses.replace(route.action, perform=perform)
    fixed = Fixed({"a": dataclasses.replace(route, action=action)})
    worker.working["default"].mappings = fixed  # type: ignore[assignment]  # a fake
    worker.working["default"].sender = lambda _request: Response(200, {}, b"")
    accept(redis_url, *((f"e{number}", "ann", "a") for number in (1, 2, 3)))
    worker.send("default", "a")
    assert sent == ["e1"]
    assert worker.redis.llen(f"{PREFIX}default:lane:a") == 2
    assert not worker.redis.exists(f"{PREFIX}default:lease:a")


def test_a_row_that_workers_die_with_is_alone_in_the_end_and_buried(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """Its neighbours are delivered."""
    accept(redis_url, ("poison", "ann", "a"), ("good", "bob", "a"))
    worker.redis.hset(f"{PREFIX}default:begun", "a", 25)
    run(worker)
    (letter,) = DeadLetters(scripts, "default")
    assert (letter.code, letter.row.id) == ("worker_died", "poison")
    assert klaviyo.sent == ["good"]


def test_an_event_with_a_number_beyond_all_doubles_is_buried(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """It was taken as it was sent; its text stays in the letter, its neighbour is delivered."""
    accept(redis_url, ("e1", "ann", "a"), ("e2", "ann", "a"))
    text = b'{"type":"track","messageId":"e1","userId":"ann","event":"A","properties":{"n":1e999}}'
    row = Row(msgspec.Raw(text), "e1", "default", "ann", sent=Sent(0), mapping="a")
    worker.redis.lset(f"{PREFIX}default:lane:a", 0, encode_row(row).decode())
    run(worker)
    (letter,) = DeadLetters(scripts, "default")
    assert (letter.code, bytes(letter.row.event)) == ("event_unreadable", text)
    assert klaviyo.sent == ["e2"]


def test_a_row_that_cannot_be_read_is_buried(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """Whatever wrote it; the lane goes on."""
    accept(redis_url, ("e1", "ann", "a"), ("e2", "ann", "a"))
    worker.redis.lset(f"{PREFIX}default:lane:a", 0, "a\n{no json")
    run(worker)
    (letter,) = DeadLetters(scripts, "default")
    assert letter.code == "row_unreadable"
    assert klaviyo.sent == ["e2"]
    assert counts(scripts)["pending"] == 0


def test_a_row_set_aside_holds_up_nothing_else_of_its_person(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """A missing list delays what is for that list, in order, and nothing else."""
    missing = Retry("list_not_found", after=1800, spends=False, aside="list:gone")
    klaviyo.answers |= {"r1": [missing], "r3": [missing]}
    accept(redis_url, *((f"r{number}", "ann", "a") for number in (1, 2, 3, 4)))
    for _ in range(3):
        worker.send("default", "a")
    assert klaviyo.sent == ["r1", "r2", "r3", "r4"]
    assert (counts(scripts)["delivered"], counts(scripts)["pending"]) == (2, 2)
    run(worker)
    assert klaviyo.sent[4:] == ["r1", "r3"]
    assert counts(scripts)["delivered"] == 4


def test_a_list_that_is_not_there_is_told_once_and_is_an_alert_while_rows_meet_it(
    redis_url: str,
    worker: Worker,
    scripts: Scripts,
    klaviyo: Klaviyo,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """However many rows wait for it and however often they look."""
    name = "list:gone" + "!" * 200
    missing = Retry("list_not_found", after=1800, spends=False, aside=name)
    klaviyo.answers |= {"r1": [missing, missing], "r2": [missing]}
    accept(redis_url, ("r1", "ann", "a"), ("r2", "ben", "a"))
    for _ in range(3):
        run(worker)
    assert capsys.readouterr().out.count("waiting_for") == 1
    assert counts(scripts)["delivered"] == 2
    now = time.time()
    (soon,) = look(scripts, settings, now + 1800)[0].connections
    (later,) = look(scripts, settings, now + 2 * 1800)[0].connections
    assert (soon.missing, later.missing) == ((name[:100],), ())


def test_a_fault_of_ours_outside_any_row_neither_spins_nor_loses(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """The lane waits, what it holds stays, and it counts like a worker's death."""
    klaviyo.answers["e1"] = ["done"]  # type: ignore[list-item]  # no action may answer that
    accept(redis_url, ("e1", "ann", "a"))
    worker.send("default", "a")
    assert int(worker.redis.pttl(f"{PREFIX}default:hold:a")) > 3000
    assert int(worker.redis.hget(f"{PREFIX}default:begun", "a") or 0) == 1
    assert counts(scripts)["pending"] == 1
    run(worker)
    assert counts(scripts)["delivered"] == 1


def test_a_row_that_breaks_every_request_it_is_in_delays_nobody_for_long(
    redis_url: str, worker: Worker, scripts: Scripts
) -> None:
    """It is alone after a few halvings, waits alone, and its neighbours are delivered."""
    sent: list[int] = []

    def perform(payloads: Sequence[Any], _account: Account) -> list[Outcome]:
        sent.append(len(payloads))
        if any(payload["id"] == "bad" for payload in payloads):
            return [Retry("klaviyo_failed", "500", whole=True)] * len(payloads)
        return [Delivered()] * len(payloads)

    route = worker.working["default"].mappings.routes()["a"]
    action = dataclasses.replace(
        route.action,
        perform=lambda payload, account: perform([payload], account)[0],
        batch=Batch(1000, 10**6, 10**5, perform),
    )
    fixed = Fixed({"a": dataclasses.replace(route, action=action)})
    worker.working["default"].mappings = fixed  # type: ignore[assignment]  # a fake
    names = ["bad" if number == 50 else f"e{number}" for number in range(80)]
    accept(redis_url, *((name, name, "a") for name in names))
    for _ in range(20):
        worker.redis.delete(f"{PREFIX}default:hold:a")
        worker.send("default", "a")
    assert (counts(scripts)["delivered"], counts(scripts)["pending"]) == (79, 1)
    assert len(sent) < 30


def test_a_lane_whose_every_request_fails_is_tried_every_few_seconds(
    redis_url: str, worker: Worker, klaviyo: Klaviyo
) -> None:
    """Klaviyo may be down: it is neither hammered nor left alone for minutes."""
    down = Retry("klaviyo_failed", "503", whole=True)
    for number in range(3):
        klaviyo.answers[f"e{number}"] = [down] * 50
    accept(redis_url, *((f"e{number}", f"p{number}", "a") for number in range(3)))
    for _ in range(12):
        worker.send("default", "a")
        held = int(worker.redis.pttl(f"{PREFIX}default:hold:a"))
        assert held <= 6000
        worker.redis.delete(f"{PREFIX}default:hold:a")


def test_rows_of_one_person_that_fail_in_one_request_keep_their_order(
    redis_url: str, worker: Worker
) -> None:
    """When they wait by themselves, since others of the pass were answered."""
    sent: list[list[str]] = []

    def perform(payloads: Sequence[Any], _account: Account) -> list[Outcome]:
        sent.append([payload["id"] for payload in payloads])
        if len(sent) == 1:
            return [Retry("batch_refused"), Delivered(), Retry("batch_refused"), Retry("x")]
        return [Delivered()] * len(payloads)

    route = worker.working["default"].mappings.routes()["a"]
    batch = Batch(1000, 10**6, 10**5, perform)
    action = dataclasses.replace(route.action, batch=batch)
    fixed = Fixed({"a": dataclasses.replace(route, action=action)})
    worker.working["default"].mappings = fixed  # type: ignore[assignment]  # a fake
    events = [("e1", "ann"), ("e2", "bob"), ("e3", "ann"), ("e4", "ann")]
    accept(redis_url, *((name, person, "a") for name, person in events))
    worker.send("default", "a")
    accept(redis_url, ("e5", "ann", "a"))
    worker.send("default", "a")
    run(worker)
    assert [name for names in sent[1:] for name in names] == ["e1", "e3", "e4", "e5"]


def test_a_request_holds_no_more_rows_than_its_mapping_says(
    worker: Worker, redis_url: str, scripts: Scripts
) -> None:
    """However many passes went well before."""
    sizes: list[int] = []

    def perform(payloads: Sequence[dict[str, Any]], _account: Any) -> list[Outcome]:
        sizes.append(len(payloads))
        return [Delivered()] * len(payloads)

    route = worker.working["default"].mappings.routes()["a"]
    action = dataclasses.replace(route.action, batch=Batch(1000, 10**6, 10**5, perform))
    small = dataclasses.replace(route.mapping, batch=BatchOptions(size=5))
    fixed = Fixed({"a": dataclasses.replace(route, action=action, mapping=small)})
    worker.working["default"].mappings = fixed  # type: ignore[assignment]  # a fake
    accept(redis_url, *((f"e{number}", f"p{number}", "a") for number in range(200)))
    worker.send("default", "a")
    assert counts(scripts)["delivered"] == 200
    assert max(sizes) == 5


@pytest.mark.parametrize(
    ("scarce", "wait", "spent", "rows", "requests"),
    [
        (True, 1, 0, 2, 0),
        (True, 1, 0, 8, 0),
        (True, 1, 0, 9, 1),
        (True, 1, 60, 2, 1),
        (True, 0, 0, 2, 1),
        (True, 60, 0, 2, 1),
        (False, 1, 0, 2, 1),
    ],
)
def test_few_rows_that_need_not_wait_for_company_go_alone(
    worker: Worker,
    redis_url: str,
    klaviyo: Klaviyo,
    scarce: bool,
    wait: float,
    spent: float,
    rows: int,
    requests: int,
) -> None:
    """Only where bulk calls are the scarcer ones, where a short wait is to save calls, and while
    there are enough of them.
    """
    bulk: list[int] = []

    def perform(payloads: Sequence[dict[str, Any]], _account: Any) -> list[Outcome]:
        bulk.append(len(payloads))
        return [Delivered()] * len(payloads)

    working = worker.working["default"]
    route = working.mappings.routes()["a"]
    action = dataclasses.replace(
        route.action, batch=Batch(1000, 10**6, 10**5, perform, scarce=scarce)
    )
    waiting = dataclasses.replace(route.mapping, batch=BatchOptions(wait_seconds=wait))
    fixed = Fixed({"a": dataclasses.replace(route, action=action, mapping=waiting)})
    working.mappings = fixed  # type: ignore[assignment]  # a fake
    working.limiter._scarce_until = time.monotonic() + spent
    accept(redis_url, *((f"e{number}", f"p{number}", "a") for number in range(rows)))
    worker.send("default", "a")
    assert (len(bulk), len(klaviyo.sent)) == (requests, 0 if requests else rows)
