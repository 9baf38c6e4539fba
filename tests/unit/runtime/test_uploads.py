"""Files of rows as one request: read in parts, stored through the gate, told line by line."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from destination.runtime.routes.uploads import LISTED
from destination.runtime.store import decode_row
from tests.unit.runtime.serving import KEY, Server, serving

LANE = "destination:default:lane:test/rows"
BEARER = {"authorization": f"Bearer {KEY}"}
CSV = {**BEARER, "content-type": "text/csv"}
TOML = f"""
[sources.warehouse]
write_keys = "{KEY}"
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
    """The rows that stand in the lane."""
    rows: Any = client.lrange(LANE, 0, -1)
    return [json.loads(bytes(decode_row(row).event)) for row in rows]


async def pieces(raw: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    """A body as a network delivers it."""
    for at in range(0, len(raw), size):
        yield raw[at : at + size]


PEOPLE = b"email,first_name\n" + b"".join(b"p%d@acme.io,P\n" % each for each in range(2500))


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_is_stored_whole_whatever_its_length(
    server: Server, client: redis.Redis, packed: bool
) -> None:
    """In parts of a thousand rows, plain or gzip, of two members as well."""
    body, headers = PEOPLE, CSV
    if packed:
        body = gzip.compress(PEOPLE[:9000]) + gzip.compress(PEOPLE[9000:])
        headers = {**CSV, "content-encoding": "gzip"}
    answer = server.ask("POST", "/rows/profile/upload", content=pieces(body), headers=headers)
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "received": 2500,
        "accepted": 2500,
        "duplicate": 0,
        "unmatched": 0,
        "refused": 0,
        "rejected": [],
    }
    events = stored(client)
    assert [each["properties"]["email"] for each in events] == [
        f"p{each}@acme.io" for each in range(2500)
    ]
    assert events[0]["context"]["source"] == {
        "object": "profile",
        "operation": "upsert",
        "tool": "python-httpx",
    }
    assert server.source("warehouse")["accepted"] == 2500


def test_a_file_sent_again_counts_once(server: Server, client: redis.Redis) -> None:
    """By its run; equal rows on two lines are two rows all the same."""
    body = b"email\na@acme.io\na@acme.io\n"
    for duplicate in (0, 2):
        answer = server.ask("PUT", "/rows/profile/upload?run=7", content=body, headers=CSV)
        assert answer.json()["duplicate"] == duplicate
    assert len(stored(client)) == 2
    again = server.ask("POST", "/rows/profile/upload?run=8", content=body, headers=CSV)
    assert again.json()["duplicate"] == 0


def test_bad_rows_are_told_with_their_lines_and_cost_no_other(server: Server) -> None:
    """By index and by line of the file."""
    body = b'email,name\na@acme.io,A\n\nb@acme.io\nc@acme.io,"C"x\nd@acme.io,\xfc\n,\ne@acme.io,E\n'
    answer = server.ask("POST", "/rows/profile/upload", content=body, headers=CSV).json()
    assert (answer["received"], answer["accepted"], answer["refused"]) == (5, 2, 3)
    assert [(each["index"], each["line"], each["code"]) for each in answer["rejected"]] == [
        (1, 4, "wrong_number_of_cells"),
        (2, 5, "bad_csv"),
        (3, 6, "bad_encoding"),
    ]
    assert server.source("warehouse")["refused"] == 3


def test_the_answer_lists_many_refused_rows_and_counts_all(server: Server) -> None:
    """So that it stays small."""
    body = b"email,name\n" + b"x\n" * (LISTED + 1500)
    answer = server.ask("POST", "/rows/profile/upload", content=pieces(body), headers=CSV).json()
    assert (answer["refused"], len(answer["rejected"])) == (LISTED + 1500, LISTED)


def test_json_lines_and_what_the_address_says(server: Server, client: redis.Redis) -> None:
    """Operation, key, encoding, delimiter and names of columns."""
    body = b'{"id": 7, "email": "a@acme.io"}\n{"id": 8, "_op": "updated", "email": "b@acme.io"}\n'
    address = "/rows/list/XyZ123/upload?op=added&key=id"
    answer = server.ask("POST", address, content=body, headers=BEARER)
    assert answer.json()["accepted"] == 2
    (event,) = stored(client)
    assert (event["event"], event["__segment_id"]) == ("new", "7")
    assert event["context"]["source"]["id"] == "XyZ123"
    client.delete(LANE)
    address = "/rows/profile/upload?columns=email,name&delimiter=;&encoding=latin-1"
    server.ask("POST", address, content=b"a@acme.io;J\xfcrgen", headers=CSV)
    assert stored(client)[0]["properties"] == {"email": "a@acme.io", "name": "Jürgen"}


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", CSV, 400, "bad_file"),
        (b"a,a\n1,2\n", CSV, 400, "bad_file"),
        (b"a\n1\n", {}, 401, "unknown_source"),
        (b"a\n1\n", {"authorization": "Bearer key-of-page"}, 403, "public_key"),
        (b"a\n1\n", {**CSV, "content-encoding": "br"}, 415, "unsupported_encoding"),
        (b"a\n1\n", {**CSV, "content-encoding": "gzip"}, 400, "bad_request"),
        (gzip.compress(b"a\n1\n")[:-9], {**CSV, "content-encoding": "gzip"}, 400, "bad_request"),
    ],
)
def test_what_is_no_such_file_is_refused(
    server: Server, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    """Before or while it is read."""
    answer = server.ask("POST", "/rows/profile/upload", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_failure_half_way_says_how_far_it_came(server: Server, client: redis.Redis) -> None:
    """What is stored stays; the same run goes on from there."""
    whole = b"email\n" + b"".join(b"p%d@acme.io\n" % each for each in range(8000))
    damaged = gzip.compress(whole)[:-8] + b"damaged!"
    headers = {**CSV, "content-encoding": "gzip"}
    answer = server.ask("POST", "/rows/profile/upload?run=1", content=damaged, headers=headers)
    assert answer.status_code == 400
    there = len(stored(client))
    assert there >= 1000
    assert f"up to line {there + 1:,} are stored" in answer.json()["message"]
    again = server.ask("POST", "/rows/profile/upload?run=1", content=whole, headers=CSV).json()
    assert (again["accepted"], again["duplicate"]) == (8000, there)
    assert len(stored(client)) == 8000


def test_a_full_redis_is_told_and_nothing_is_lost(server: Server, client: redis.Redis) -> None:
    """503 with a time to come again."""
    server.ask("GET", "/health")
    client.config_set("maxmemory", "1mb")
    try:
        answer = server.ask("POST", "/rows/profile/upload", content=b"a\n1\n", headers=CSV)
        for _ in range(200):
            if answer.status_code == 503:
                break
            answer = server.ask("POST", "/rows/profile/upload", content=b"a\n1\n", headers=CSV)
    finally:
        client.config_set("maxmemory", "0")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_memory_stays_small_however_long_the_file(server: Server) -> None:
    """Twenty megabytes of refused rows in a few."""

    async def body() -> AsyncIterator[bytes]:
        yield b"a,b\n"
        for _ in range(300):
            yield (b"x" * 999 + b"\n") * 65

    tracemalloc.start()
    try:
        answer = server.ask("POST", "/rows/profile/upload", content=body(), headers=CSV)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.json()["refused"] == 300 * 65
    assert peak < 10_000_000
