"""From the HTTP post to the row at Klaviyo: server, Redis and one worker side by side."""

from __future__ import annotations

from benchmarks.checks import check_accepted, check_arrived
from benchmarks.installation import Installation, Plan, mappings
from benchmarks.load import Generator, Load
from benchmarks.report import Report, Run

SHAPES: dict[str, tuple[str, int, int, int]] = {
    "single": ("track", 1, 32, 60_000),
    "batch": ("track", 100, 8, 200_000),
    "identify": ("identify", 100, 8, 100_000),
    "mixed": ("mixed", 100, 8, 100_000),
    "rows": ("row", 10_000, 2, 100_000),
}
"""Kind of event, events a request, connections, events."""

PEOPLE = {"row": 1.0, "identify": 0.7}
"""Persons per event; a quarter of all others: a shop's customer is seen four times."""

TITLES = {
    "single": "single posts, tracks",
    "batch": "SDK batches of 100, tracks",
    "identify": "SDK batches of 100, identifies",
    "mixed": "SDK batches of 100, all kinds",
    "rows": "rows of 10,000, profiles",
}


def measure(report: Report) -> None:
    """Every shape at every latency of Klaviyo."""
    for latency in report.only("latency", (0, 50, 200)):
        for shape in report.only("shape", list(SHAPES)):
            kind, size, connections, events = SHAPES[shape]
            name = f"{TITLES[shape]}, {latency} ms at Klaviyo"
            files = mappings("presets/rows.json" if kind == "row" else "segment.json")
            plan = Plan(latency=latency / 1000, mappings=files, workers=report.workers)
            with Installation(plan) as installed:
                report.machine["redis"] = installed.redis_version
                for _ in report.runs(name):
                    run = one(installed, kind, size, connections, report.scaled(events), report)
                    report.add(name, run)


def one(
    installed: Installation, kind: str, size: int, connections: int, events: int, report: Report
) -> Run:
    """One run, from nothing."""
    installed.clear()
    people = max(1, int(events * PEOPLE.get(kind, 0.25)))
    load = Load(installed.port, kind, events, size, connections, "e2e", people, file=report.file)
    generator = Generator(load)
    before = installed.cpu()
    answered = generator.post()
    installed.settle()
    used = {name: by - before[name] for name, by in installed.cpu().items()}
    seen = installed.seen()
    strange = bool(report.file)
    check_accepted(installed, answered, events, strange=strange)
    check_arrived(installed, exact=kind == "track" and not strange, strange=strange)
    figures = {
        "accepted events/s": events / (answered.ended - answered.began),
        "rows a request": seen.rows / max(1, sum(seen.requests.values())),
        **{f"rss {name} MB": by for name, by in installed.memory().items() if name != "klaviyo"},
    }
    cpu = used | {"generator": answered.cpu}
    return Run(events, seen.last - answered.began, figures, cpu)
