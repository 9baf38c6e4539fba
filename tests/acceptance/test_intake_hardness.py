"""Hostile and clumsy callers at the real server: each loses its own request and nothing else."""

from __future__ import annotations

import gzip
import json
import re
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.crooked import (
    AUTH,
    BODY,
    GREEDY,
    HOST,
    LENGTH,
    MALFORMED,
    ODD,
    SMUGGLED,
    TRACK,
    head,
)
from tests.acceptance.stack import KEY, Stack, until


@pytest.fixture(scope="module")
def server() -> Iterator[Stack]:
    """One installation for all tests here; none of them may do it any harm."""
    with tempfile.TemporaryDirectory(prefix="dst") as folder:
        stack = Stack(Path(folder))
        try:
            stack.up()
            yield stack
            log = (stack.folder / "serve.log").read_text()
            assert "Traceback" not in log
            assert "internal_error" not in log
        finally:
            stack.down()


def connection(stack: Stack) -> socket.socket:
    """A fresh connection to the server."""
    port = int(stack.server.rpartition(":")[2])
    found = socket.create_connection(("127.0.0.1", port), timeout=20)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def heard(talking: socket.socket, *, answers: int = 0) -> bytes:
    """What the server says until it closes, or until it has given so many answers."""
    said = b""
    try:
        while part := talking.recv(65_536):
            said += part
            if answers and len(statuses(said)) >= answers and said.endswith(b"}"):
                break
    except ConnectionResetError:
        pass
    return said


def statuses(said: bytes) -> list[int]:
    """The statuses of all answers."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", said)]


def received(stack: Stack) -> int:
    """How many events the server says it was sent."""
    sources = stack.counts()["sources"]
    return int(sources["default"]["received"]) if sources else 0


@pytest.mark.parametrize("what", MALFORMED)
def test_a_request_that_two_parsers_could_read_in_two_ways_is_refused(
    server: Stack, what: str
) -> None:
    """One 400, the connection ends, and nothing that came with it was taken."""
    before = received(server)
    with connection(server) as talking:
        talking.sendall(MALFORMED[what])
        said = heard(talking)
    assert statuses(said) == [400]
    assert b'"code":"bad_request"' in said
    assert received(server) == before


@pytest.mark.parametrize("what", GREEDY)
def test_a_head_out_of_bounds_is_refused_before_it_is_whole(server: Stack, what: str) -> None:
    """431, and the connection ends."""
    with connection(server) as talking:
        talking.sendall(GREEDY[what])
        assert statuses(heard(talking)) == [431]


@pytest.mark.parametrize("what", ODD)
def test_an_odd_request_gets_its_one_answer(server: Stack, what: str) -> None:
    """As HTTP has it; nothing is upgraded to."""
    data, expected = ODD[what]
    with connection(server) as talking:
        talking.sendall(data)
        said = heard(talking, answers=2 if "expectation" in what else 1)
    assert [status for status in statuses(said) if status != 100] == [expected]


def test_pipelined_requests_are_all_answered_in_order(server: Stack) -> None:
    """A hundred at once; what follows a broken one is not looked at."""
    with connection(server) as talking:
        talking.sendall(SMUGGLED * 100)
        assert statuses(heard(talking, answers=100)) == [200] * 100
    before = received(server)
    with connection(server) as talking:
        talking.sendall(SMUGGLED * 3 + head(TRACK, AUTH, LENGTH) + BODY + SMUGGLED)
        assert statuses(heard(talking)) == [200] * 3
    assert received(server) == before + 3


SLOW = {
    "nothing": (b"", b""),
    "half a request line": (b"POST /v1/pa", b""),
    "trickling headers": (TRACK + b"\r\nX: ", b"a"),
    "empty lines": (b"\r\n", b"\r\n"),
    "a trickling body": (head(TRACK, HOST, AUTH, LENGTH), b" "),
    "a body that never comes": (head(TRACK, HOST, AUTH, LENGTH), b""),
    "a trickling upload": (
        head(
            b"POST /rows/profile/upload HTTP/1.1",
            HOST,
            AUTH,
            b"Content-Type: text/csv",
            b"Content-Length: 99999",
        )
        + b"email\n",
        b"a",
    ),
    "the rest of an answered body": (
        head(b"POST /nowhere HTTP/1.1", HOST, b"Content-Length: 999999"),
        b"a",
    ),
    "a second request that trickles": (SMUGGLED + b"POST", b" "),
}


def test_slow_connections_are_closed_and_hold_up_nobody(server: Stack) -> None:
    """Nine kinds, twenty of each; heads within 5 s, bodies within 10 s; others go on as before."""
    before = latency(server)
    open_, closed = [], 0
    for first, rest in list(SLOW.values()) * 20:
        talking = connection(server)
        talking.sendall(first)
        talking.setblocking(False)
        open_.append((talking, rest))
    during = latency(server)
    end = time.monotonic() + 12.5
    while open_ and time.monotonic() < end:
        time.sleep(0.5)
        for pair in list(open_):
            if ended(*pair):
                open_.remove(pair)
                closed += 1
    assert (closed, len(open_)) == (20 * len(SLOW), 0)
    assert during < max(2 * before, 0.05)


def latency(stack: Stack) -> float:
    """The 95th percentile of 40 requests, in seconds."""
    times = []
    for _ in range(40):
        started = time.perf_counter()
        stack.http.get(f"{stack.server}/health").raise_for_status()
        times.append(time.perf_counter() - started)
    return sorted(times)[37]


def ended(talking: socket.socket, rest: bytes) -> bool:
    """Whether the server has closed the connection; if not, some more of the request is sent."""
    try:
        while part := talking.recv(65_536):
            assert part
        talking.close()
    except BlockingIOError:
        try:
            talking.send(rest)
        except OSError:
            return True
        return False
    except OSError:
        pass
    return True


def post(stack: Stack, body: bytes, **headers: str) -> httpx.Response:
    """Post these bytes as they are."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{stack.server}/v1/track"
    return stack.http.post(url, content=body, headers=named, auth=(KEY, ""))


def post_to(stack: Stack, call: str, body: bytes) -> httpx.Response:
    """Post to one of the calls."""
    return stack.http.post(f"{stack.server}/v1/{call}", content=body, auth=(KEY, ""))


def dead_letters(stack: Stack) -> list[dict[str, Any]]:
    """What lies dead."""
    found: list[dict[str, Any]] = stack.http.get(f"{stack.server}/admin/dead").json()["dead"]
    return found


def track(message: str, value: str) -> bytes:
    """A track call with this JSON text as a property."""
    text = '{"type":"track","event":"Odd","userId":"u-odd","messageId":"%s","properties":{"v":%s}}'
    return (text % (message, value)).encode("utf-8", "surrogatepass")


UNSENDABLE = {
    "NaN": "NaN",
    "infinity": "-Infinity",
    "beyond a double": "1e400",
    "a lone surrogate": '"\\ud800"',
    "a raw surrogate": '"\ud800"',
    "overlong": '"\\uD83D"',
    "depth 101": "[" * 101 + "]" * 101,
    "depth 100,000": "[" * 100_000 + "]" * 100_000,
    "a million unclosed": "[" * 1_000_000,
    "5,000 digits": "9" * 5_000,
    "a comment": "1 /* */",
    "a trailing comma": "[1,]",
    "a leading zero": "01",
    "single quotes": "'a'",
}


@pytest.mark.parametrize("what", UNSENDABLE)
def test_what_could_never_be_sent_is_refused_at_once(server: Stack, what: str) -> None:
    """400 with the reason, in a moment, and nothing is stored."""
    started = time.monotonic()
    answer = post(server, track("never", UNSENDABLE[what]))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert time.monotonic() - started < 0.5


def test_a_number_beyond_a_double_ends_without_its_neighbours(server: Stack) -> None:
    """In a batch: clients would drop them all if it was refused. It is dead, and says why."""
    texts = (track("never-1", "1e400"), track("beside-1", "1"))
    assert post_to(server, "batch", b'{"batch":[%b]}' % b",".join(texts)).status_code == 200
    server.settle()
    (letter,) = [each for each in dead_letters(server) if ":never-1:" in each["id"]]
    assert letter["code"] == "event_unreadable"
    assert "beside-1" in {event["unique_id"] for event in server.held()["events"]}


SENDABLE = {
    "wide": json.dumps({f"k{number}": number for number in range(1000)}),
    "a consent that is none": '{"$consent":["email"],"$consent_method":"API"}',
    "minus zero": "-0",
    "2^53 + 1": "9007199254740993",
    "2^63 - 1": "9223372036854775807",
    "a NUL": '"a\\u0000b"',
    "right to left": '"\\u202egnp.exe"',
    "an emoji": '"\\ud83d\\ude00"',
    "odd keys": '{"":1,"__proto__":2,"a.b":3,"$x":4,"constructor":{"a":1}}',
    "depth 8": "[" * 8 + "]" * 8,
}


def test_what_is_taken_arrives_as_it_was(server: Stack) -> None:
    """Numbers keep their digits and texts their characters, all the way to Klaviyo."""
    for number, text in enumerate(SENDABLE.values()):
        assert post(server, track(f"odd-{number}", text)).status_code == 200
    server.settle()
    held = {
        event["unique_id"]: event["properties"]["v"]
        for event in server.held()["events"]
        if event["metric"] == "Odd" and "v" in event["properties"]
    }
    sent = {f"odd-{n}": json.loads(text) for n, text in enumerate(SENDABLE.values())}
    assert {name: held.get(name, "dead") for name in sent} == sent


def test_a_word_in_the_traits_gives_no_consent(server: Stack) -> None:
    """Not in any spelling that Klaviyo once took for one."""
    traits = {"email": "word@acme.io", "$consent": ["email", "sms"], "subscribed": True}
    body = {"type": "identify", "userId": "u-word", "messageId": "word", "traits": traits}
    assert post_to(server, "identify", json.dumps(body).encode()).status_code == 200
    server.settle()
    (person,) = [each for each in server.held()["profiles"] if each.get("email") == "word@acme.io"]
    assert "SUBSCRIBED" not in json.dumps(person)


def test_a_key_of_a_megabyte_is_taken_or_told(server: Stack) -> None:
    """And ten thousand keys: as an event that is sent, or as a dead letter that says why."""
    huge = json.dumps({"a" * 1_000_000: 1})
    many = json.dumps({f"k{number}": 1 for number in range(10_000)})
    for name, text in (("huge", huge), ("many", many)):
        assert post(server, track(name, text)).status_code == 200
    server.settle()
    held = {event["unique_id"] for event in server.held()["events"]}
    dead = {each["id"]: each["message"] for each in dead_letters(server)}
    for name in ("huge", "many"):
        letters = [message for id_, message in dead.items() if f":{name}:" in id_]
        assert (name in held) is not bool(letters)
        assert all(letters)


def test_the_last_event_that_was_accepted_has_the_last_word(server: Stack) -> None:
    """Whatever times events give themselves: order is that of acceptance."""
    for number, day in enumerate((20, 10, 15)):
        body = {
            "type": "identify",
            "userId": "u-last",
            "messageId": f"last-{number}",
            "timestamp": f"2026-11-{day}T00:00:00Z",
            "traits": {"email": "last@acme.io", "firstName": f"number {number}"},
        }
        assert post_to(server, "identify", json.dumps(body).encode()).status_code == 200
    server.settle()
    (person,) = [each for each in server.held()["profiles"] if each.get("email") == "last@acme.io"]
    assert person["first_name"] == "number 2"


def test_an_id_is_known_a_thousand_times_and_after_a_restart(server: Stack) -> None:
    """Of the server and of Redis; every repetition hears 200."""
    event = {"type": "track", "event": "Odd", "userId": "u", "messageId": "thousand"}
    body = json.dumps({"batch": [event] * 1000}).encode()
    before = server.counts()["sources"]["default"]
    assert post_to(server, "batch", body).status_code == 200
    server.settle()
    server.kill("redis")
    server.kill("serve")
    server.start("serve")
    server.wait_ready()
    assert post_to(server, "batch", body).status_code == 200
    after = server.settle()["sources"]["default"]
    assert after["accepted"] - before["accepted"] == 1
    assert after["duplicate"] - before["duplicate"] == 1999


def test_a_number_that_only_klaviyo_refuses_is_a_dead_letter_that_says_so(server: Stack) -> None:
    """An integer beyond 64 bits keeps its digits to the end; Klaviyo has the last word."""
    assert post(server, track("wide", "18446744073709551616")).status_code == 200
    server.settle()
    (letter,) = [each for each in dead_letters(server) if ":wide:" in each["id"]]
    assert "64 bits" in letter["message"]
    shown = server.http.get(f"{server.server}/admin/dead/{letter['id']}").json()
    assert shown["event"]["properties"]["v"] == 2**64


COMPRESSED = {
    "a bomb": (gzip.compress(b" " * 100_000_000), 413),
    "a bomb in a bomb": (gzip.compress(gzip.compress(b" " * 100_000_000)), 400),
    "cut short": (gzip.compress(BODY)[:-9], 400),
    "two members": (gzip.compress(BODY[:10]) + gzip.compress(BODY[10:]), 200),
    "rubbish behind it": (gzip.compress(BODY) + b"rubbish", 400),
    "no gzip": (b"{}" + BODY, 400),
}


@pytest.mark.parametrize("what", COMPRESSED)
def test_compressed_bodies_are_inflated_within_bounds(server: Stack, what: str) -> None:
    """A bomb costs a moment and no memory."""
    body, expected = COMPRESSED[what]
    started = time.monotonic()
    answer = server.http.post(
        f"{server.server}/v1/page",
        content=body,
        headers={"content-encoding": "gzip"},
        auth=(KEY, ""),
    )
    assert answer.status_code == expected
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip"])
def test_other_encodings_are_refused(server: Stack, encoding: str) -> None:
    """415 says which are not."""
    answer = post(server, BODY, content_encoding=encoding)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_encoding")


def test_bodies_at_the_bounds(server: Stack) -> None:
    """4 MiB is taken as a whole, one byte more is not, with and without a length."""
    event = {"type": "page", "userId": "u", "messageId": "big"}
    frame = len(json.dumps({"batch": [event], "pad": ""}))
    for more, expected in ((0, 200), (1, 413)):
        size = 4 * 1024 * 1024 + more - frame
        body = json.dumps({"batch": [event], "pad": "a" * size}).encode()
        url = f"{server.server}/v1/batch"
        whole = server.http.post(url, content=body, auth=(KEY, ""))
        parts = server.http.post(url, content=iter([body[:1000], body[1000:]]), auth=(KEY, ""))
        assert (whole.status_code, parts.status_code) == (expected, expected)


def test_an_event_posted_fifty_times_at_once_counts_once(server: Stack) -> None:
    """Every one of them hears 200."""
    before = server.counts()["sources"]["default"]
    body = track("fifty", "1")
    with ThreadPoolExecutor(50) as pool, httpx.Client(trust_env=False, timeout=10) as http:
        url = f"{server.server}/v1/track"
        answers = [
            pool.submit(http.post, url, content=body, auth=(KEY, "")) for _number in range(50)
        ]
        assert {answer.result().status_code for answer in answers} == {200}
    after = server.counts()["sources"]["default"]
    assert after["accepted"] == before["accepted"] + 1
    assert after["duplicate"] == before["duplicate"] + 49


def test_who_leaves_before_the_answer_has_posted_whole_or_not_at_all(server: Stack) -> None:
    """Posted again, each event is there once, whether the first post was taken or not."""
    server.settle()
    for number in range(60):
        body = track(f"left-{number}", "1")
        length = b"Content-Length: %d" % len(body)
        data = head(b"POST /v1/track HTTP/1.1", HOST, AUTH, length) + body
        with connection(server) as talking:
            talking.sendall(data if number % 2 else data[: -number - 1])
    for number in range(60):
        assert post(server, track(f"left-{number}", "1")).status_code == 200
    server.settle()
    held = [event["unique_id"] for event in server.held()["events"]]
    assert sorted(name for name in held if name.startswith("left-")) == sorted(
        f"left-{number}" for number in range(60)
    )


def test_one_lonely_event_is_delivered_without_another_to_push_it(server: Stack) -> None:
    """Within the second for which a batch may wait, and one more."""
    server.settle()
    assert post(server, track("lonely", "1")).status_code == 200
    until(
        lambda: any(event["unique_id"] == "lonely" for event in server.held()["events"]),
        2,
        server.logs(),
    )


def test_sigterm_ends_a_server_with_a_body_that_never_comes(server: Stack) -> None:
    """Within ten seconds, whatever is open; and it starts again."""
    talking = connection(server)
    talking.sendall(head(TRACK, HOST, AUTH, b"Content-Length: 1000") + b"{")
    time.sleep(0.1)
    ending = threading.Thread(target=server.kill, args=("serve", signal.SIGTERM))
    started = time.monotonic()
    ending.start()
    ending.join(12)
    assert time.monotonic() - started < 10
    talking.close()
    server.start("serve")
    server.wait_ready()


def test_nothing_of_this_left_a_wrong_count(server: Stack) -> None:
    """All that was taken is accounted for."""
    counts: dict[str, Any] = server.settle()
    assert counts["imbalance"] == []
