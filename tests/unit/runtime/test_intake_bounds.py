"""Bounds of what is taken in, to the byte and to the second."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from destination.runtime.store import PREFIX
from tests.unit.runtime.serving import KEY, Server, serving

EVENT = {"type": "page", "userId": "u-1", "messageId": "m"}


@pytest.fixture
def server(tmp_path: Path, redis_url: str, client: redis.Redis) -> Iterator[Server]:
    """A server with Segment's bounds."""
    with serving(
        tmp_path, redis_url, DESTINATION_WRITE_KEY=KEY, DESTINATION_LIMITS="segment"
    ) as found:
        yield found


def post(server: Server, call: str, body: bytes, **headers: str) -> httpx.Response:
    """Post these bytes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.post(f"/v1/{call}", body, auth=(KEY, ""), headers=named)


def sized(size: int, **members: Any) -> bytes:
    """A JSON object of exactly so many bytes."""
    bare = json.dumps({**members, "pad": ""})
    return json.dumps({**members, "pad": "a" * (size - len(bare))}).encode()


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 413)])
def test_a_request_is_taken_up_to_500_kb(server: Server, more: int, status: int) -> None:
    """One byte more is not."""
    body = sized(500 * 1024 + more, batch=[EVENT])
    answer = post(server, "batch", body)
    assert answer.status_code == status
    assert ("code" in answer.json()) is (status == 413)


@pytest.mark.parametrize(("more", "refused"), [(0, False), (1, True)])
def test_an_event_is_taken_up_to_32_kb(server: Server, more: int, refused: bool) -> None:
    """One byte more is refused alone; its neighbour is taken."""
    event = json.loads(sized(32 * 1024 + more, **EVENT))
    compact = json.dumps(event, separators=(",", ":"))
    event["pad"] += "a" * (32 * 1024 + more - len(compact))
    body = json.dumps({"batch": [event, {**EVENT, "messageId": "n"}]}, separators=(",", ":"))
    answer = post(server, "batch", body.encode())
    assert answer.status_code == 200
    codes = [each["code"] for each in answer.json().get("rejected", [])]
    assert codes == (["event_too_large"] if refused else [])
    assert server.source()["received"] == 2


@pytest.mark.parametrize(("count", "status"), [(2500, 200), (2501, 413)])
def test_a_batch_is_taken_up_to_2500_events(server: Server, count: int, status: int) -> None:
    """One more is not, and none of them is."""
    events = [{"type": "page", "userId": "u", "messageId": f"{n}"} for n in range(count)]
    assert post(server, "batch", json.dumps({"batch": events}).encode()).status_code == status
    assert server.source()["received"] == (count if status == 200 else 0)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", json.dumps(EVENT).encode(), 200),
        ("application/x-www-form-urlencoded", json.dumps(EVENT).encode(), 200),
        ("application/x-www-form-urlencoded", b"event=Order&userId=u", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n1\r\n--x--", 400),
        ("application/json; charset=utf-16", json.dumps(EVENT).encode("utf-16"), 400),
        ("", json.dumps(EVENT).encode(), 200),
    ],
)
def test_the_body_says_what_it_is_and_not_its_type(
    server: Server, content_type: str, body: bytes, status: int
) -> None:
    """Beacons call JSON plain text; a form is none, whatever it is called."""
    assert post(server, "page", body, content_type=content_type).status_code == status


def test_an_id_is_known_for_one_to_two_windows(server: Server, client: redis.Redis) -> None:
    """Across the turn of a window, and not for ever."""
    body = json.dumps({**EVENT, "type": "identify", "traits": {"email": "a@b.io"}}).encode()

    def accepted() -> int:
        assert post(server, "identify", body).status_code == 200
        return server.source()["accepted"]

    assert [accepted(), accepted()] == [1, 1]
    turn(client)
    assert accepted() == 1
    turn(client)
    assert accepted() == 2


def turn(client: redis.Redis) -> None:
    """Let the ids of each window become those of the window before it."""
    for key in sorted(client.scan_iter(f"{PREFIX}default:seen:*")):
        head, window, bucket = key.decode().rsplit(":", 2)
        assert 0 < int(client.ttl(key)) <= 2 * 86_400
        client.rename(key, f"{head}:{int(window) - 1}:{bucket}")
