"""Alerts: when one begins and is over, that it is told once, how, and to whom it gets."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from destination.event import decode, encode
from destination.ingress.format import Inbound, Options
from destination.ingress.webhooks import standard
from destination.runtime.alerts.alerting import GIVE_UP, TURN, Alerting, Board, firing
from destination.runtime.alerts.beats import BEATS, silence
from destination.runtime.alerts.conditions import (
    Alert,
    Snapshot,
    Thresholds,
    Vitals,
    changes,
    conditions,
    not_accepting,
)
from destination.runtime.alerts.notices import Notice, body_of, form_of, headers_of, post
from destination.runtime.alerts.vitals import look
from destination.runtime.delivery.client import Client
from destination.runtime.delivery.connections import address_of
from destination.runtime.store import PREFIX, Row, Scripts, account_of, encode_row, missing_key
from destination.sending import Request
from destination.settings import Settings, load_settings
from tests.unit.runtime.accepting import accept

SECRET = "whsec_c29tZXRoaW5nLXNlY3JldC1hbmQtbG9uZw=="
THRESHOLDS = Thresholds()
NOW = 1_790_000_000.0


def names(vitals: Vitals, firing: frozenset[Alert] = frozenset()) -> set[str]:
    """What is wrong with one connection."""
    return {each.name for each in conditions(Snapshot("", (vitals,)), THRESHOLDS, firing)}


QUIET = Vitals("shop")

WRONG = [
    ("connection_halted", {"halted": "invalid_key"}, {"halted": ""}),
    ("pending_age", {"oldest": 900.0}, {"oldest": 899.0}),
    ("failure_rate", {"delivered": 90, "died": 10}, {"delivered": 91, "died": 9}),
    ("failure_rate", {"delivered": 0, "died": 20}, {"delivered": 0, "died": 19}),
    ("dead_letters", {"new_dead": 100}, {"new_dead": 99}),
    ("waiting_for", {"missing": ("list:AbC123",)}, {"missing": ()}),
    ("operation_paused", {"pauses": {"create_list": 601.0}}, {"pauses": {"create_list": 600.0}}),
]


@pytest.mark.parametrize(("name", "wrong", "well"), WRONG)
def test_an_alert_begins_at_its_bound(name: str, wrong: dict[str, Any], well: Any) -> None:
    """And not a step before; what is well raises nothing."""
    assert names(QUIET) == set()
    assert names(dataclasses.replace(QUIET, **well)) == set()
    assert names(dataclasses.replace(QUIET, **wrong)) == {name}


def test_refusing_events_is_an_alert_of_the_whole() -> None:
    """Of no connection."""
    (alert,) = conditions(Snapshot("queue_full"), THRESHOLDS)
    assert (alert.name, alert.connection) == ("not_accepting", "")
    assert "queue_full" in alert.message


@pytest.mark.parametrize(
    ("silence", "name"),
    [
        ({"server": 60.0, "worker": 5.0}, {"no_server"}),
        ({"worker": 60.0}, {"no_worker"}),
        ({"server": 59.0, "worker": 59.0}, set()),
        ({}, set()),
    ],
)
def test_a_part_that_was_there_and_is_silent_is_an_alert(
    silence: dict[str, float], name: set[str]
) -> None:
    """One that never was is not missed."""
    found = conditions(Snapshot("", (Vitals("shop", pending=7),), silence), THRESHOLDS)
    assert {each.name for each in found} == name
    assert all("7 deliveries" in each.message for each in found if each.name == "no_worker")


def test_what_fires_must_get_clearly_better_to_be_over() -> None:
    """A value at its bound does not fire and resolve by turns; a pause is over when it is over."""
    late = Vitals("shop", oldest=1000.0, pauses={"create_list": 700.0})
    fires = conditions(Snapshot("", (late,)), THRESHOLDS)
    assert len(fires) == 2
    better = Vitals("shop", oldest=800.0, pauses={"create_list": 5.0})
    assert names(better) == set()
    assert names(better, fires) == {"pending_age", "operation_paused"}
    assert names(Vitals("shop", oldest=700.0), fires) == set()


@given(st.lists(st.frozensets(st.sampled_from([Alert("a"), Alert("b", "shop"), Alert("b")]))))
def test_every_alert_is_told_and_taken_back_by_turns(looks: list[frozenset[Alert]]) -> None:
    """Never twice the same, and in the end exactly what fires has been told."""
    firing: frozenset[Alert] = frozenset()
    told: set[Alert] = set()
    for now in looks:
        fire, resolve = changes(firing, now)
        assert not told & set(fire)
        assert set(resolve) <= told
        told = (told | set(fire)) - set(resolve)
        firing = now
    assert told == firing


def test_the_same_alert_with_another_value_is_no_news() -> None:
    """Only name, connection and subject tell alerts apart."""
    old, new = Alert("pending_age", "shop", value=900), Alert("pending_age", "shop", value=950)
    assert changes({old}, {new}) == ([], [])


NOTICE = Notice("firing", Alert("pending_age", "shop", "", 950, 900, "It waits."), NOW - 5, NOW)


def test_an_alert_is_signed_as_standard_webhooks_say() -> None:
    """Our own verifier of that format takes it, and nothing that was changed."""
    body = encode(body_of(NOTICE, "standard"))
    headers = dict(headers_of(NOTICE.id, body, SECRET, NOW))
    arrived = dt.datetime.fromtimestamp(NOW, dt.UTC)
    asked = Inbound("standard", body, arrived, headers)
    assert standard.verify(asked, [SECRET], NOW, Options()).code == "verified"
    changed = msgspec.structs.replace(asked, body=body + b" ")
    assert not standard.verify(changed, [SECRET], NOW, Options()).accepted
    assert "webhook-signature" not in headers_of(NOTICE.id, body, None, NOW)


def test_an_alert_says_what_was_seen_and_what_is_allowed() -> None:
    """In the form of its receiver."""
    assert body_of(NOTICE, "slack") == {"text": "*Alert*: It waits."}
    told = body_of(NOTICE, "standard")
    assert (told["type"], told["data"]["value"], told["data"]["bound"]) == (
        "alert.firing",
        950,
        900,
    )


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("https://hooks.slack.com/services/T/B/x", "slack"),
        ("https://discord.com/api/webhooks/1/x/slack", "slack"),
        ("https://notslack.com/x", "standard"),
        ("https://alerts.example/x", "standard"),
    ],
)
def test_the_address_tells_the_form(url: str, form: str) -> None:
    """Slack's is told by its host, or by the path where others take it."""
    assert form_of(url) == form


class Receiver:
    """An HTTP server that notes what it is sent and answers as told."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = receiver.answers.pop(0) if receiver.answers else 204
                named = [(name.lower(), value) for name, value in self.headers.items()]
                assert len(named) == len(dict(named))
                receiver.taken.append((self.path, dict(named), body))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def types(self) -> list[str]:
        """The types of what was sent."""
        return [decode(body)["type"] for _path, _headers, body in self.taken]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of alerts."""
    found = Receiver()
    yield found
    found.close()


def test_posting_says_what_went_wrong_without_the_address(receiver: Receiver) -> None:
    """The address may be a secret; what it holds arrives."""
    url = f"{receiver.base}/hook?key=a%20b"
    receiver.answers = [204, 500, 301]
    told = [post(url, NOTICE, form="standard", secret=SECRET, now=NOW) for _number in range(3)]
    assert told == ["", "the receiver answered 500", "the receiver answered 301"]
    path, headers, body = receiver.taken[0]
    assert path in {"/hook?key=a%20b", "/hook?key=a+b"}
    assert headers["content-type"] == "application/json"
    arrived = dt.datetime.fromtimestamp(NOW, dt.UTC)
    asked = Inbound("standard", body, arrived, headers)
    assert standard.verify(asked, [SECRET], NOW, Options()).code == "verified"
    wrong = post("http://127.0.0.1:9/secret", NOTICE, form="slack", secret=None, now=NOW)
    assert wrong.startswith("no answer")
    assert "secret" not in wrong


def test_every_header_is_sent_once(receiver: Receiver) -> None:
    """Also those that a destination gives in other letters; the receiver insists."""
    with Client(receiver.base, {"content-type": "application/vnd.api+json"}, deadline=2) as client:
        assert client.send(Request("POST", "/api/x", "x", body={})).status == 204
    (taken,) = receiver.taken
    assert taken[1]["content-type"] == "application/vnd.api+json"


@pytest.fixture
def settings(tmp_path: Path, receiver: Receiver) -> Settings:
    """Settings whose alerts go to the receiver."""
    return load_settings(
        folder=tmp_path,
        environ={},
        sandbox_url="http://127.0.0.1:9",
        alert_url=f"{receiver.base}/hook",
        alert_secret=SECRET,
        alert_dead_letters=2,
    )


def bury(client: redis.Redis, number: int, now: float) -> None:
    """Put a dead letter of a person there."""
    letter = f"jane{number}@acme.io"
    client.hset(f"{PREFIX}default:dead", letter, "{}")
    client.zadd(f"{PREFIX}default:dead:order", {letter: now * 1000})


def test_an_alert_is_told_once_and_taken_back_once(
    redis_url: str, client: redis.Redis, scripts: Scripts, settings: Settings, receiver: Receiver
) -> None:
    """By several processes that all see the same; nothing personal is told."""
    alerting = [Alerting(settings, redis_url) for _number in range(3)]
    board = Board(scripts)
    for number in range(2):
        bury(client, number, NOW)
    for each in alerting:
        each.look(scripts, board, NOW + 1)
    assert [alert.name for alert in firing(client)] == ["dead_letters"]
    for each in alerting:
        each.look(scripts, board, NOW + 3700)
    assert receiver.types() == ["alert.firing", "alert.resolved"]
    assert firing(client) == {}
    assert not any(b"jane" in body for _path, _headers, body in receiver.taken)


@pytest.mark.usefixtures("client")
def test_processes_that_note_at_the_same_instant_tell_once(redis_url: str) -> None:
    """Eight threads, each with an alert of its own and one that all see."""
    ready, noted = threading.Barrier(8), []

    def note(number: int) -> None:
        mine = redis.Redis.from_url(redis_url)
        board = Board(Scripts(mine))
        ready.wait()
        noted.extend(board.note(frozenset({Alert("shared"), Alert("own", str(number))})))
        mine.close()

    threads = [threading.Thread(target=note, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fired = [each.alert.key for each in noted if each.kind == "firing"]
    assert fired.count("shared||") == 1


def test_only_one_process_looks_at_a_time(scripts: Scripts) -> None:
    """The others wait for their turn."""
    assert [Board(scripts).my_turn() for _number in range(3)] == [True, False, False]


def test_a_redis_that_takes_no_writes_is_told_of(
    redis_url: str, client: redis.Redis, scripts: Scripts, settings: Settings, receiver: Receiver
) -> None:
    """Though it answers: after half a minute, by each process for itself, and taken back."""
    alerting, board = Alerting(settings, redis_url), Board(scripts)
    began = time.time()
    client.config_set("min-replicas-to-write", 1)
    try:
        for seconds in (10, 35):
            with pytest.raises(redis.ResponseError, match="NOREPLICAS"):
                alerting.serve_once(scripts, board, began + seconds)
            alerting.note_silence(began + seconds)
    finally:
        client.config_set("min-replicas-to-write", 0)
    assert receiver.types() == ["alert.firing"]
    alerting.serve_once(scripts, board, began + 40)
    assert receiver.types() == ["alert.firing", "alert.resolved"]


def silent(client: redis.Redis, part: str, seconds: float) -> None:
    """Nothing has been heard of a part for so long."""
    client.hset(BEATS, part, int((time.time() - seconds) * 1000))


def test_each_part_says_that_it_lives_as_long_as_it_does(
    redis_url: str, client: redis.Redis, scripts: Scripts, settings: Settings
) -> None:
    """Also to a full Redis; a server whose loop hangs says nothing."""
    assert silence(client) == {}
    board, now = Board(scripts), time.time()
    client.config_set("maxmemory", 1)
    try:
        Alerting(settings, redis_url, "server").serve_once(scripts, board, now)
    finally:
        client.config_set("maxmemory", 0)
    silent(client, "worker", 50)
    found = silence(client)
    assert (found["server"] < 5, round(found["worker"])) == (True, 50)
    silent(client, "server", 40)
    hanging = Alerting(settings, redis_url, "server", alive=lambda: False)
    hanging.serve_once(scripts, board, now)
    assert silence(client)["server"] > 39


def test_a_server_looks_only_while_no_worker_does(
    redis_url: str, client: redis.Redis, scripts: Scripts, settings: Settings, receiver: Receiver
) -> None:
    """And tells that there is none; the worker that comes takes it back."""
    server = Alerting(settings, redis_url, "server")
    board, now = Board(scripts), time.time()
    silent(client, "worker", 5)
    server.serve_once(scripts, board, now)
    assert not client.exists(TURN)
    silent(client, "worker", 70)
    server.serve_once(scripts, board, now)
    assert [alert.name for alert in firing(client)] == ["no_worker"]
    client.delete(TURN)
    Alerting(settings, redis_url).serve_once(scripts, board, now + 1)
    told = [decode(body) for _path, _headers, body in receiver.taken]
    assert [(each["type"], each["data"]["alert"]) for each in told] == [
        ("alert.firing", "no_worker"),
        ("alert.resolved", "no_worker"),
    ]


def test_a_notice_that_is_not_taken_is_tried_again_with_the_same_id(
    redis_url: str, client: redis.Redis, scripts: Scripts, settings: Settings, receiver: Receiver
) -> None:
    """Ever more seldom, in order, and by another process as well."""
    receiver.answers = [500, 503]
    alerting, board = Alerting(settings, redis_url), Board(scripts)
    for number in range(2):
        bury(client, number, NOW)
    times = [1, 5, 11, 12, 32]
    for seconds in times:
        alerting.look(scripts, board, NOW + seconds)
    assert len(receiver.taken) == 3
    assert len({headers["webhook-id"] for _path, headers, _body in receiver.taken}) == 1
    assert board.first() is None


def test_a_notice_that_nobody_takes_is_dropped_in_the_end(
    redis_url: str, client: redis.Redis, scripts: Scripts, settings: Settings, receiver: Receiver
) -> None:
    """What comes after it is told."""
    receiver.answers = [500] * 2
    board = Board(scripts)
    (told,) = board.note(frozenset({not_accepting("queue_full")}))
    Alerting(settings, redis_url).look(scripts, board, told.time + 1)
    Alerting(settings, redis_url).look(scripts, board, told.time + GIVE_UP + 1)
    assert board.first() is None
    assert receiver.types()[-1] == "alert.resolved"


def vitals(scripts: Scripts, settings: Settings, now: float) -> Vitals:
    """How the one connection is; the next look knows of it."""
    snapshot, sample = look(scripts, settings, now)
    Board(scripts).note(frozenset(), sample)
    return snapshot.connections[0]


def test_of_many_lists_that_are_not_there_the_same_few_are_told_at_each_look(
    client: redis.Redis, scripts: Scripts, settings: Settings
) -> None:
    """Whichever was met last: an alert that comes and goes is heeded by nobody."""
    names = [f"list:{number:02}" for number in range(30)]
    for order in (1, -1):
        ends = {name: NOW + 60 + order * number for number, name in enumerate(names)}
        client.zadd(missing_key("default"), ends)
        assert vitals(scripts, settings, NOW).missing == tuple(names[:20])


def test_a_look_sees_what_stands_in_redis(
    redis_url: str, client: redis.Redis, scripts: Scripts, settings: Settings
) -> None:
    """Age of the oldest row wherever it waits, letters by their age, halts, pauses, deliveries."""
    accept(redis_url, ("e-1", "p", "a"), item=item(NOW - 100))
    accept(redis_url, ("e-2", "p", "a"), item=item(NOW - 50))
    assert vitals(scripts, settings, NOW).oldest == pytest.approx(100)
    row = encode_row(Row(msgspec.Raw(received(NOW - 500)), "e-3", "web", "p", mapping="a"))
    client.rpush(f"{PREFIX}default:chain:a:p", row)
    client.zadd(f"{PREFIX}default:parked:a", {"p": NOW * 1000})
    assert vitals(scripts, settings, NOW).oldest == pytest.approx(500)
    client.rpush(f"{PREFIX}default:job:a:J", row.replace(b"e-3", b"e-4"))
    client.zadd(f"{PREFIX}default:jobs:a", {"J": 1})
    base, key = address_of(settings.connections["default"], settings)
    client.set(f"{PREFIX}{account_of(base + key)}:pause:create_list", "throttled", px=700_000)
    client.hset(f"{PREFIX}default:halt", "reason", '{"code":"invalid_key","message":"jane@x.io"}')
    for number, age in enumerate((10, 400, 4000)):
        bury(client, number, NOW - age)
    client.hincrby(f"{PREFIX}default:counts", "a|delivered", 30)
    found = vitals(scripts, settings, NOW + 10)
    assert (found.pending, found.halted, found.delivered) == (2, "invalid_key", 30)
    assert (found.died, found.new_dead) == (1, 2)
    assert found.pauses == {"create_list": pytest.approx(700, abs=1)}
    told = conditions(Snapshot("", (found,)), THRESHOLDS)
    assert not any("jane" in alert.message for alert in told)
    assert vitals(scripts, settings, NOW + 400).delivered == 0


def test_a_replayed_row_is_as_old_as_its_replay(
    redis_url: str, scripts: Scripts, settings: Settings
) -> None:
    """Its event may be days old; that is no delay."""
    row = Row(msgspec.Raw(received(NOW - 90_000)), "e-1", "web", "p", replayed=1, since=NOW - 20)
    accept(redis_url, ("e-1", "p", "a"), item=msgspec.json.encode(row))
    assert vitals(scripts, settings, NOW).oldest == pytest.approx(20)


def test_a_full_redis_is_an_alert_that_gets_out(
    redis_url: str, client: redis.Redis, scripts: Scripts, settings: Settings, receiver: Receiver
) -> None:
    """Although nothing else can be written there any more; and is over when there is room."""
    client.config_set("maxmemory", 1)
    try:
        assert Board(scripts).my_turn()
        Alerting(settings, redis_url).look(scripts, Board(scripts), NOW)
    finally:
        client.config_set("maxmemory", 0)
    assert [alert.name for alert in firing(client)] == ["not_accepting"]
    Alerting(settings, redis_url).look(scripts, Board(scripts), NOW + 10)
    assert receiver.types() == ["alert.firing", "alert.resolved"]


def received(at: float) -> bytes:
    """An event that came then."""
    when = dt.datetime.fromtimestamp(at, dt.UTC).isoformat()
    return encode({"messageId": "x", "receivedAt": when})


def item(at: float) -> bytes:
    """A row without its mapping, of an event that came then."""
    return encode(Row(msgspec.Raw(received(at)), "x", "web", "p"))
