"""A backlog: what a queued event takes in Redis, and how fast, how steadily it is worked off."""

from __future__ import annotations

import time
from itertools import pairwise

from benchmarks.checks import check_accepted, check_arrived
from benchmarks.installation import Installation, Plan
from benchmarks.load import Generator, Load
from benchmarks.report import Report, Run

EVENTS = 1_000_000
PARTS = 10
"""The drain is cut into so many parts, each with its own rate and memory."""


def measure(report: Report) -> None:
    """Fill while no worker runs, then start one."""
    events = report.scaled(EVENTS)
    name = f"backlog of {events:,} tracks"
    for _ in report.runs(name):
        with Installation(Plan(workers=0)) as installed:
            report.machine["redis"] = installed.redis_version
            report.add(name, one(installed, events))


def fill(installed: Installation, events: int, size: int) -> tuple[dict[str, float], float]:
    """Queue that many events, ``size`` a request; CPU seconds by process and bytes of Redis, both for all of them."""
    before, held = installed.cpu(), installed.used_memory()
    load = Load(installed.port, "track", events, size, 4, "drain", events // 4)
    load.built, load.patient = False, True
    answered = Generator(load).post()
    check_accepted(installed, answered, events)
    used = {name: by - before[name] for name, by in installed.cpu().items()}
    return used, installed.used_memory() - held


def one(installed: Installation, events: int) -> Run:
    """One backlog."""
    _used, held = fill(installed, events, 500)
    before, began = installed.cpu(), time.monotonic()
    installed.start_workers(1)
    marks: list[tuple[float, int, dict[str, float]]] = []
    while True:
        rows = installed.seen().rows
        if rows >= events * (len(marks) + 1) // (PARTS + 1) and rows:
            marks.append((time.monotonic(), rows, installed.memory()))
        if rows >= events:
            break
        assert time.monotonic() < began + 600, installed.logs()
        time.sleep(0.05)
    installed.settle()
    check_arrived(installed, exact=True)
    used = {name: by - before.get(name, 0.0) for name, by in installed.cpu().items()}
    seen = installed.seen()
    rates = [
        (rows - earlier) / (at - since) for (since, earlier, _), (at, rows, _) in pairwise(marks)
    ]
    early, late = marks[1][2], marks[-1][2]
    figures = {
        "redis bytes/event": held / events,
        "first part, events/s": rates[0],
        "last part, events/s": rates[-1],
        "slowest part, events/s": min(rates),
        "fastest part, events/s": max(rates),
        "rss worker early MB": early["worker"],
        "rss worker late MB": late["worker"],
        "rss server early MB": early["server"],
        "rss server late MB": late["server"],
        "rss redis peak MB": installed.peaks()["redis"],
    }
    return Run(events, seen.last - seen.first, figures, used)
