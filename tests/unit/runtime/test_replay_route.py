"""``POST /admin/replay``: at a rate, with a draft, in parts that can be gone on with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from destination.event import encode
from destination.runtime.routes.handling import replayed
from destination.runtime.store import PREFIX, DeadLetter, Row, Scripts
from destination.settings import load_settings
from tests.unit.runtime.serving import EVENT, PROFILE, TOKEN, Server, serving
from tests.unit.runtime.test_letters import buried, counted

EVENTS, PROFILES = "test/events", "test/profiles"
ADMIN = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}


def letter(number: int, mapping: str = EVENTS) -> DeadLetter:
    """A dead letter of a mapping that is in force."""
    body: dict[str, Any] = {"type": "track", "event": "Paid", "userId": "u-1", "properties": {}}
    row = Row(msgspec.Raw(encode(body)), f"m-{number}", "web", "p", mapping=mapping)
    name = f"web:m-{number}:{mapping}"
    return DeadLetter(name, mapping, mapping, "trackEvent", "v", "rejected", "why", 100.0, row)


@pytest.fixture
def server(tmp_path: Path, redis_url: str, client: redis.Redis) -> Iterator[Server]:
    """A server on an empty Redis."""
    with serving(tmp_path, redis_url, DESTINATION_WRITE_KEY="k") as found:
        yield found


def replay(server: Server, status: int = 200, **wanted: Any) -> dict[str, Any]:
    """Ask for a replay."""
    answer = server.post("/admin/replay", wanted, headers=ADMIN)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def draft(**fields: Any) -> dict[str, Any]:
    """A mapping file with another version of one mapping."""
    return {"name": "test", "mappings": [{**EVENT, "fields": {**EVENT["fields"], **fields}}]}  # type: ignore[dict-item]  # its fields are an object


def waiting(client: redis.Redis, lane: str) -> list[Any]:
    """The rows in a lane, as they are written."""
    rows: Any = client.lrange(f"{PREFIX}default:lane:{lane}", 0, -1)
    return [msgspec.json.decode(row.partition(b"\n")[2]) for row in rows]


def test_a_replay_keeps_to_the_rate_that_is_asked_for(
    server: Server, redis_url: str, scripts: Scripts
) -> None:
    """Thirty letters at fifty a second take more than two of its pauses."""
    buried(scripts, redis_url, *(letter(number) for number in range(30)))
    started = time.monotonic()
    assert replay(server, all=True, rate=50) == {"moved": 30, "left": 0}
    assert time.monotonic() - started >= 0.4
    counted(scripts)


def test_a_replay_answers_in_time_and_goes_on_when_asked_again(
    tmp_path: Path, redis_url: str, scripts: Scripts
) -> None:
    """What it had no time for is left; nothing is moved twice."""
    (tmp_path / "mappings").mkdir()
    file = {"name": "test", "mappings": [EVENT]}
    (tmp_path / "mappings" / "test.json").write_bytes(encode(file))
    settings = load_settings(folder=tmp_path, environ={}, mappings=tmp_path / "mappings")
    buried(scripts, redis_url, *(letter(number) for number in range(6)))

    def put_back(**wanted: Any) -> dict[str, Any]:
        return replayed(scripts, settings, "default", {"all": True, **wanted}, seconds=0)

    assert put_back(rate=10) == {"moved": 2, "left": 4}
    assert put_back(rate=10, limit=3) == {"moved": 2, "left": 2}
    assert put_back(rate=10_000) == {"moved": 2, "left": 0}
    assert len(waiting(scripts.client, EVENTS)) == 6


def test_a_draft_is_shown_and_used_for_the_letters_of_its_mappings(
    server: Server, redis_url: str, scripts: Scripts
) -> None:
    """The others stay where they are, and new events use what is in force."""
    buried(scripts, redis_url, letter(1), letter(2), letter(3, PROFILES))
    changed = draft(value=5)
    dry = replay(server, draft=changed, dry_run=True)
    assert (dry["moved"], len(dry["sketches"])) == (0, 2)
    sent = dry["sketches"][0]["requests"][0]["json"]["data"]["attributes"]
    assert sent["value"] == 5
    assert replay(server, draft=changed, ids=["web:m-1:test/events"]) == {"moved": 1, "left": 0}
    assert replay(server, draft=changed) == {"moved": 1, "left": 0}
    rows = waiting(scripts.client, EVENTS)
    assert [row["version"] for row in rows] == [dry["sketches"][0]["version"]] * 2
    assert waiting(scripts.client, PROFILES) == []


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (422, {"draft": {"name": "test", "mappings": [{**EVENT, "trigger": "type ="}]}}),
        (422, {"draft": {"name": "test", "mappings": [{**EVENT, "enabled": False}]}}),
        (422, {"draft": []}),
        (400, {"draft": draft(), "mapping": PROFILES}),
        (400, {"draft": draft(), "as_it_was": True}),
        (400, {"draft": draft(), "all": False}),
        (400, {"all": True, "rate": 0}),
        (400, {"all": True, "rate": "fast"}),
        (400, {"all": True, "rate": True}),
    ],
)
def test_what_cannot_be_replayed_with_is_refused(
    server: Server, redis_url: str, scripts: Scripts, status: int, wanted: dict[str, Any]
) -> None:
    """Before anything moves."""
    letters = buried(scripts, redis_url, letter(1))
    assert replay(server, status, **wanted)["message"]
    assert len(letters) == 1


def test_a_draft_says_which_letters_are_meant_only_in_a_replay(
    server: Server, redis_url: str, scripts: Scripts
) -> None:
    """A discard with one must not mean all."""
    letters = buried(scripts, redis_url, letter(1))
    answer = server.post("/admin/discard", {"draft": {"mappings": [PROFILE]}}, headers=ADMIN)
    assert answer.status_code == 400
    assert len(letters) == 1
