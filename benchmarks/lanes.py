"""What it costs to keep events in Redis: a lane per mapping against one inbox with outboxes.

``python benchmarks/lanes.py [EVENTS]`` starts its own Redis. Per shape and number of mappings that
want each event, it prints events/s for accepting (one client, 100 events a call, dedupe on) and for
taking them out again until everything is recorded as delivered (1,000 rows a pass, nothing sent).
"lanes" is what the product does. "inbox" accepts into one list; a pass then reads it and moves
each row to an outbox of every mapping before that outbox is worked off.
"""

from __future__ import annotations

import asyncio
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from destination.runtime.delivery.lanes import Lane, Record
from destination.runtime.intake.accept import Counting, Entry, Intake, Target, accept_client
from destination.runtime.local.embedded import EmbeddedRedis
from destination.runtime.store import PREFIX, Row, Scripts, connect, encode_item, encode_row

BODY = msgspec.json.encode({"type": "track", "event": "Done", "properties": {"x": "y" * 1000}})
CALL, PASS = 100, 1000


def entries(number: int, mappings: list[str], run: str) -> list[Entry]:
    """Events that each of ``mappings`` wants."""
    targets = tuple(Target(name, name, 0, PASS) for name in mappings)
    return [
        Entry(
            "c",
            "s",
            f"{run}{i}",
            encode_item(Row(msgspec.Raw(BODY), f"{run}{i}", "s", f"p{i}")),
            targets,
        )
        for i in range(number)
    ]


def accept(url: str, events: list[Entry]) -> float:
    """Seconds to accept ``events``."""

    async def run() -> float:
        client = accept_client(url)
        intake = Intake(client, dedupe_hours=24)
        await intake.start()
        began = time.perf_counter()
        for at in range(0, len(events), CALL):
            await intake.store(events[at : at + CALL], Counting("s", CALL, 0, 0))
        took = time.perf_counter() - began
        await intake.stop()
        await client.aclose()
        return took

    return asyncio.run(run())


def drain(scripts: Scripts, name: str, each: Callable[[Record, list[Row]], None]) -> None:
    """Work a lane off, ``PASS`` rows at a time."""
    lane = Lane(scripts, "c", name, lease=60)
    assert lane.begin().state == "taken"
    while rows := lane.read(PASS):
        record = Record(taken=len(rows))
        each(record, rows)
        lane.commit(record)
    lane.release()


def delivered(name: str) -> Callable[[Record, list[Row]], None]:
    """Every row ends."""
    return lambda record, rows: record.end(name, "delivered", len(rows))


def measure(url: str, scripts: Scripts, number: int, wanted: int) -> None:
    """Print one line per shape."""
    names = [f"m{i}" for i in range(wanted)]
    scripts.client.flushall()
    took = accept(url, entries(number, names, "a"))
    began = time.perf_counter()
    for name in names:
        drain(scripts, name, delivered(name))
    show("lanes", wanted, number, took, time.perf_counter() - began)

    scripts.client.flushall()
    took = accept(url, entries(number, ["in"], "b"))
    began = time.perf_counter()

    def move(record: Record, rows: list[Row]) -> None:
        pipeline = scripts.client.pipeline(transaction=False)
        for name in names:
            moved = [encode_row(msgspec.structs.replace(row, mapping=name)) for row in rows]
            pipeline.rpush(f"{PREFIX}c:lane:{name}", *moved)
        pipeline.execute()
        record.end("in", "delivered", len(rows))

    drain(scripts, "in", move)
    for name in names:
        drain(scripts, name, delivered(name))
    show("inbox", wanted, number, took, time.perf_counter() - began)


def show(shape: str, wanted: int, number: int, accepting: float, draining: float) -> None:
    """One line of the table."""
    print(
        f"{shape:<6} {wanted} mapping(s): accept {number / accepting:9,.0f} events/s,"
        f" drain {number / draining:9,.0f} events/s, both {number / (accepting + draining):9,.0f}"
    )


def main() -> None:
    """Measure both shapes for 1, 2 and 4 mappings."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    print(
        f"{platform.machine()} {platform.python_version()}, {number:,} events of {len(BODY)} bytes"
    )
    with tempfile.TemporaryDirectory(prefix="dst") as folder, EmbeddedRedis(Path(folder)) as server:
        client = connect(server.url)
        scripts = Scripts(client)
        for wanted in (1, 2, 4):
            measure(server.url, scripts, number, wanted)
        client.close()


if __name__ == "__main__":
    main()
