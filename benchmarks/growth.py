"""What grows with what: the cost of an event with much queued, many mappings, many connections.

Small and large are measured in turn, so that their ratio is of one stretch of time.
"""

from __future__ import annotations

import json

from benchmarks import drain, end_to_end
from benchmarks.installation import Installation, Plan, mappings
from benchmarks.report import Report, Run

EVENTS = 50_000


def measure(report: Report) -> None:
    """Each by itself."""
    growths = {"queued": queued, "mappings": more_mappings, "connections": more_connections}
    for name in report.only("growth", list(growths)):
        growths[name](report)


def queued(report: Report) -> None:
    """From a thousand to a million events that wait."""
    sizes = [1_000, 10_000, 100_000] + [1_000_000] * (not report.quick)
    names = [f"{size:,} queued" for size in sizes]
    for _ in report.runs(*names):
        for size, name in zip(sizes, names, strict=True):
            with Installation(Plan()) as installed:
                report.add(name, deep(installed, size))


def deep(installed: Installation, size: int) -> Run:
    """Fill while the worker stands still, then let it go on; small queues several times."""
    rounds = max(1, 20_000 // size)
    used: dict[str, float] = {}
    held = 0.0
    for _ in range(rounds):
        installed.clear()
        with installed.workers_stopped():
            filling, bytes_held = drain.fill(installed, size, 100)
            held += bytes_held
            before = installed.cpu()
        installed.settle()
        emptying = {name: by - before[name] for name, by in installed.cpu().items()}
        for name in ("server", "redis"):
            used[f"{name} in"] = used.get(f"{name} in", 0.0) + filling[name]
        for name in ("worker", "redis"):
            used[f"{name} out"] = used.get(f"{name} out", 0.0) + emptying[name]
    events = size * rounds
    return Run(events, 0.0, {"redis bytes/event": held / events}, used)


def more_mappings(report: Report) -> None:
    """The one mapping of an event, alone and with 9 and 49 beside it that do not want it."""
    _grow(report, {f"{n} mappings": Plan(mappings=_beside(n - 1)) for n in (1, 10, 50)})


def more_connections(report: Report) -> None:
    """One account at Klaviyo, and 10 and 100 that share the events."""
    _grow(report, {f"{n} connections": Plan(connections=n) for n in (1, 10, 100)})


def _grow(report: Report, plans: dict[str, Plan]) -> None:
    events = report.scaled(EVENTS)
    for _ in report.runs(*plans):
        for name, plan in plans.items():
            with Installation(plan) as installed:
                run = end_to_end.one(installed, "track", 100, 8, events, report)
                report.add(name, run)


def _beside(others: int) -> dict[str, bytes]:
    """``track-to-event`` and so many mappings of the same fields for events that never come."""
    document = json.loads(mappings("segment.json")["segment.json"])
    (wanted,) = [each for each in document["mappings"] if each["name"] == "track-to-event"]
    del wanted["examples"]
    document["mappings"] = [wanted] + [
        {
            **wanted,
            "name": f"other-{number}",
            "trigger": f'type = "track" and event = "Other {number}"',
        }
        for number in range(others)
    ]
    return {"segment.json": json.dumps(document).encode()}
