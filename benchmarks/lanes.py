"""What it costs to keep events in Redis: a lane per mapping against one inbox with outboxes.

``python -m benchmarks.lanes [EVENTS [RUNS]]`` starts its own Redis. Per shape and number of mappings
that want each event, it prints CPU microseconds an event, of this process and of Redis, for accepting
(one client, 100 events a call, dedupe on) and for taking them out again until everything is recorded
as delivered (1,000 rows a pass, nothing sent): medians of runs in which the shapes take turns, and
the ratio of the shapes with its least and most. "lanes" is what the product does. "inbox" accepts
into one list; a pass then reads it and moves each row to an outbox of every mapping before that
outbox is worked off.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.machine import cpu_seconds, described
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


def accept(url: str, events: list[Entry]) -> None:
    """Accept ``events``."""

    async def run() -> None:
        client = accept_client(url)
        intake = Intake(client, dedupe_hours=24)
        await intake.start()
        for at in range(0, len(events), CALL):
            await intake.store(events[at : at + CALL], Counting("s", CALL, 0, 0))
        await intake.stop()
        await client.aclose()

    asyncio.run(run())


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


class Shapes:
    """Both ways on one Redis."""

    def __init__(self, url: str, scripts: Scripts) -> None:
        self._url = url
        self._scripts = scripts
        info: Any = scripts.client.info("server")
        self._redis = int(info["process_id"])

    def lanes(self, number: int, names: list[str]) -> tuple[float, float]:
        """CPU seconds of accepting and of draining, a list per mapping."""
        events = entries(number, names, "a")
        accepting = self._cpu(lambda: accept(self._url, events))
        return accepting, self._cpu(lambda: self._drain(names))

    def inbox(self, number: int, names: list[str]) -> tuple[float, float]:
        """The same through one list."""
        events = entries(number, ["in"], "b")

        def move(record: Record, rows: list[Row]) -> None:
            pipeline = self._scripts.client.pipeline(transaction=False)
            for name in names:
                moved = [encode_row(msgspec.structs.replace(row, mapping=name)) for row in rows]
                pipeline.rpush(f"{PREFIX}c:lane:{name}", *moved)
            pipeline.execute()
            record.end("in", "delivered", len(rows))

        def emptied() -> None:
            drain(self._scripts, "in", move)
            self._drain(names)

        accepting = self._cpu(lambda: accept(self._url, events))
        return accepting, self._cpu(emptied)

    def _drain(self, names: list[str]) -> None:
        for name in names:
            drain(self._scripts, name, delivered(name))

    def _cpu(self, work: Callable[[], None]) -> float:
        before = time.process_time() + cpu_seconds(self._redis)
        work()
        return time.process_time() + cpu_seconds(self._redis) - before

    def clear(self) -> None:
        """Forget everything."""
        self._scripts.client.flushall()


def measure(shapes: Shapes, number: int, wanted: int, runs: int) -> None:
    """Print both shapes and their ratio."""
    names = [f"m{i}" for i in range(wanted)]
    took: dict[str, list[tuple[float, float]]] = {"lanes": [], "inbox": []}
    for _ in range(runs):
        for shape, measured in took.items():
            shapes.clear()
            one = shapes.lanes if shape == "lanes" else shapes.inbox
            measured.append(one(number, names))
    print(f"{wanted} mapping(s)")
    for shape, seconds in took.items():
        accepting, draining = (
            statistics.median(each) / number * 1e6 for each in zip(*seconds, strict=True)
        )
        print(
            f"  {shape}: accept {accepting:6.1f} µs, drain {draining:6.1f} µs,"
            f" both {accepting + draining:6.1f} µs an event"
        )
    ratios = [
        sum(inbox) / sum(lanes) for lanes, inbox in zip(took["lanes"], took["inbox"], strict=True)
    ]
    print(
        f"  inbox costs {statistics.median(ratios):.2f} times as much"
        f" [{min(ratios):.2f} .. {max(ratios):.2f}]"
    )


def main() -> None:
    """Measure both shapes for 1, 2 and 4 mappings."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory(prefix="dst") as folder, EmbeddedRedis(Path(folder)) as server:
        client = connect(server.url)
        shapes = Shapes(server.url, Scripts(client))
        told = described()
        print(f"{told['cpu']}, {told['cores']} cores, Python {told['python']}, {told['commit']}")
        print(f"{number:,} events of {len(BODY)} bytes, median of {runs} runs")
        for wanted in (1, 2, 4):
            measure(shapes, number, wanted, runs)
        client.close()


if __name__ == "__main__":
    main()
