"""Rows over HTTP: envelopes, results, strictness, waiting for their ends."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from destination.event import encode
from destination.runtime.store import decode_row
from tests.unit.runtime.serving import KEY, Server, serving

LANE = "destination:default:lane:test/rows"
RECENT = "destination:default:deliveries"
BEARER = {"authorization": f"Bearer {KEY}"}
ANN, BEN = {"email": "ann@acme.io"}, {"email": "ben@acme.io"}
TOML = f"""
[sources.warehouse]
write_keys = "{KEY}"
signing_secrets = "secret-of-the-warehouse"
[sources.page]
write_keys = "key-of-page"
kind = "browser"
"""


@pytest.fixture
def server(tmp_path: Path, redis_url: str, client: redis.Redis) -> Iterator[Server]:
    """One source of rows, and a page that is not to be one."""
    with serving(tmp_path, redis_url, TOML) as found:
        yield found


def stored(client: redis.Redis) -> list[dict[str, Any]]:
    """The events that stand in the lane of rows."""
    rows: Any = client.lrange(LANE, 0, -1)
    return [json.loads(bytes(decode_row(row).event)) for row in rows]


NDJSON = {"content-type": "application/x-ndjson"}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"email":"ann@acme.io"}', {}),
        (b'[{"email":"ann@acme.io"}]', {}),
        (b'{"rows":[{"email":"ann@acme.io"}]}', {}),
        (b'{"records":[{"email":"ann@acme.io"},]}', {}),
        (b'{"operation":"added","data":[{"email":"ann@acme.io"}]}', {}),
        (b'{"object":{"records":[{"fields":{"email":"ann@acme.io"}}]}}', {}),
        (b'{"email":"ann@acme.io"}\n', NDJSON),
        (gzip.compress(b'[{"email":"ann@acme.io"}]'), {"content-encoding": "gzip"}),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_row_is_taken_in_every_envelope(
    server: Server, client: redis.Redis, body: bytes, headers: dict[str, str], method: str
) -> None:
    """As each tool wraps it; it becomes the event of a changed row."""
    answer = server.ask(method, "/rows/profile", content=body, headers=BEARER | headers)
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "received": 1,
        "accepted": 1,
        "duplicate": 0,
        "unmatched": 0,
    }
    (event,) = stored(client)
    assert (event["event"], event["properties"]) == ("new", ANN)
    assert event["context"]["source"]["object"] == "profile"


def test_the_list_is_part_of_the_address(server: Server, client: redis.Redis) -> None:
    """A mapping finds it in the context."""
    assert server.post("/rows/list/XyZ123/", ANN, headers=BEARER).status_code == 200
    (event,) = stored(client)
    assert event["context"]["source"]["object"] == "list"
    assert event["context"]["source"]["id"] == "XyZ123"


@pytest.mark.parametrize(
    ("about", "status", "code"),
    [
        ({"headers": BEARER}, 200, None),
        ({"headers": {"x-write-key": KEY}}, 200, None),
        ({"params": {"writeKey": KEY}}, 200, None),
        ({"headers": {"authorization": "Bearer secret-of-the-warehouse"}}, 200, None),
        ({}, 401, "unknown_source"),
        ({"headers": {"x-write-key": "stranger"}}, 401, "unknown_source"),
        ({"headers": {"x-write-key": "key-of-page"}}, 403, "public_key"),
    ],
)
def test_whose_rows_they_are(
    server: Server, about: dict[str, Any], status: int, code: str | None
) -> None:
    """A key or secret in a header or the address; the key of a page opens nothing here."""
    answer = server.post("/rows/profile", [ANN], **about)
    assert (answer.status_code, answer.json().get("code")) == (status, code)


def test_addresses_can_be_probed(server: Server) -> None:
    """HEAD, then an empty POST, as Census does."""
    assert server.ask("HEAD", "/rows/profile").status_code == 200
    assert server.ask("OPTIONS", "/rows/profile").status_code == 200
    assert server.post("/rows/profile", headers=BEARER).json()["received"] == 0
    assert server.ask("GET", "/rows/profile").status_code == 405


def test_bad_rows_are_named_and_good_ones_taken(server: Server) -> None:
    """A result for each, in the order of the request."""
    rows = [ANN, 5, ANN, {**BEN, "_op": "sideways"}, {**BEN, "_op": "deleted"}]
    answer = server.post("/rows/profile?results=1", rows, headers=BEARER)
    said = answer.json()
    assert answer.status_code == 200
    assert (said["received"], said["accepted"], said["unmatched"]) == (5, 3, 1)
    assert [bad["code"] for bad in said["rejected"]] == ["row_not_object", "unknown_operation"]
    states = [(each["index"], each["state"]) for each in said["results"]]
    assert states == [
        (0, "accepted"),
        (1, "rejected"),
        (2, "accepted"),
        (3, "rejected"),
        (4, "unmatched"),
    ]
    assert said["results"][1]["message"]
    assert said["results"][0]["id"] != said["results"][2]["id"]


def test_strict_checks_rows_against_the_mappings(server: Server, client: redis.Redis) -> None:
    """What would be a dead letter is an error in the caller's own tool; good rows are taken."""
    signup = {"email": "no address", "_op": "new"}
    rows = [ANN, signup, {"name": "nobody"}, {**BEN, "_op": "deleted"}]
    answer = server.post("/rows/profile?strict=1", rows, headers=BEARER)
    said = answer.json()
    assert (answer.status_code, said["success"], said["code"]) == (422, False, "rows_refused")
    assert [bad["index"] for bad in said["rejected"]] == [1, 2, 3]
    assert said["rejected"][1]["code"] == "missing_identifier"
    assert said["rejected"][2]["code"] == "unmatched"
    assert "test/rows" in said["rejected"][1]["message"]
    assert [event["properties"] for event in stored(client)] == [ANN]
    assert server.post("/rows/profile?strict=1", [BEN], headers=BEARER).status_code == 200


def test_rows_that_no_mapping_wants_are_told_apart(tmp_path: Path, redis_url: str) -> None:
    """The usual mistake of a new sync shows in the answer, and is an error where asked for."""
    toml = f'[sources.till]\nwrite_keys = "{KEY}"\nactions = "orderCompleted"\n'
    with serving(tmp_path, redis_url, toml) as server:
        loose = server.post("/rows/profile", [ANN], headers=BEARER)
        assert (loose.status_code, loose.json()["unmatched"]) == (200, 1)
        strict = server.post("/rows/profile?strict=1", [ANN], headers=BEARER)
        assert strict.status_code == 422
        assert strict.json()["rejected"][0]["code"] == "unmatched"


def test_a_repeated_run_is_a_duplicate(server: Server) -> None:
    """The run names all attempts at one load."""
    for accepted in (True, False):
        said = server.post("/rows/profile?run=7&results=1", [ANN], headers=BEARER).json()
        assert said["duplicate"] == (not accepted)
        assert said["results"][0]["state"] == ("accepted" if accepted else "duplicate")


def test_thousands_of_rows_are_one_request(server: Server, client: redis.Redis) -> None:
    """Each is stored once."""
    rows = [{"email": f"p{n}@acme.io"} for n in range(3000)]
    said = server.post("/rows/profile", rows, headers=BEARER).json()
    assert (said["received"], said["accepted"], said["duplicate"]) == (3000, 3000, 0)
    assert client.llen(LANE) == 3000


def end(client: redis.Redis, outcome: str, **about: Any) -> None:
    """Play a worker: end each row that stands in the lane."""
    rows: Any = client.lpop(LANE, 1000)
    for row in rows or []:
        said = {
            "id": decode_row(row).id,
            "mapping": "test/rows",
            "outcome": outcome,
            "code": outcome,
            "note": "",
        }
        client.lpush(RECENT, b"1\n" + encode(said | about))


class Worker(threading.Thread):
    """Ends rows as soon as they stand in the lane."""

    def __init__(self, client: redis.Redis, outcome: str, **about: Any) -> None:
        super().__init__(daemon=True)
        self._client, self._outcome, self._about = client, outcome, about
        self.stopped = threading.Event()

    def run(self) -> None:
        """Until stopped."""
        while not self.stopped.wait(0.02):
            end(self._client, self._outcome, **self._about)

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.join()


@pytest.mark.parametrize(
    ("outcome", "about"),
    [
        ("delivered", {}),
        ("dead", {"code": "invalid_email", "note": "no such address"}),
        ("dropped", {"code": "unchanged"}),
    ],
)
def test_the_ends_of_rows_can_be_waited_for(
    server: Server, client: redis.Redis, outcome: str, about: dict[str, Any]
) -> None:
    """The answer comes when all have ended, and says how."""
    with Worker(client, outcome, **about):
        answer = server.post("/rows/profile?wait=true", [ANN, 5, BEN], headers=BEARER)
    first, bad, second = answer.json()["results"]
    told = {"mapping": "test/rows", "outcome": outcome, "code": outcome, "note": "", **about}
    assert first["deliveries"] == second["deliveries"] == [told]
    assert bad["state"] == "rejected"


def test_what_has_not_ended_in_time_is_pending(server: Server, client: redis.Redis) -> None:
    """It waits no longer than asked; a retry in the log is no end."""
    client.lpush(RECENT, b"1\n" + encode({"id": "x", "mapping": "test/rows", "outcome": "retry"}))
    answer = server.post("/rows/profile?wait=1", [ANN], headers=BEARER)
    (result,) = answer.json()["results"]
    assert result["deliveries"] == [{"mapping": "test/rows", "outcome": "pending"}]
    assert answer.elapsed.total_seconds() < 3


def test_duplicates_are_not_waited_for(server: Server) -> None:
    """Their deliveries may have ended long ago, where nobody can look."""
    server.post("/rows/profile?run=7", [ANN], headers=BEARER)
    answer = server.post("/rows/profile?run=7&wait=20", [ANN], headers=BEARER)
    assert answer.json()["results"][0]["state"] == "duplicate"
    assert answer.elapsed.total_seconds() < 3


@pytest.mark.parametrize(
    ("query", "rows", "words"),
    [
        ("wait=26", 1, "at most 25"),
        ("wait=soon", 1, "'soon'"),
        ("wait=-1", 1, "'-1'"),
        ("wait=true", 201, "at most 200"),
    ],
)
def test_waiting_is_bounded(
    server: Server, client: redis.Redis, query: str, rows: int, words: str
) -> None:
    """Refused before anything is stored."""
    answer = server.post(f"/rows/profile?{query}", [ANN] * rows, headers=BEARER)
    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert client.llen(LANE) == 0


def test_a_row_without_an_object_is_refused(server: Server) -> None:
    """The message shows an address that is right."""
    answer = server.post("/rows/", [ANN], headers=BEARER)
    assert answer.status_code == 400
    assert "/rows/profile" in answer.json()["message"]
