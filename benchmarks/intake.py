"""Taking events in: requests a second and how long one takes, with the events safely stored."""

from __future__ import annotations

from benchmarks.checks import check_accepted
from benchmarks.installation import Installation, Plan
from benchmarks.load import Answered, Generator, Load
from benchmarks.report import Report, Run

SHAPES = {"single events of 1 KB": ("small", 1), "batches of 100": ("track", 100)}


def measure(report: Report) -> None:
    """Singles and batches, with every fsync, at every number of connections; then two servers."""
    for servers in report.only("servers", (1, 2)):
        for fsync in report.only("fsync", ("always", "everysec")):
            if servers == 1 or fsync == "always":
                with Installation(Plan(fsync=fsync, servers=servers, workers=0)) as installed:
                    _measure(report, installed)


def _measure(report: Report, installed: Installation) -> None:
    report.machine["redis"] = installed.redis_version
    plan = installed.plan
    ports = f", {plan.servers} servers" if plan.servers > 1 else ""
    for title, (kind, size) in SHAPES.items():
        for connections in report.only("connections", (1, 32, 64, 256)):
            events = report.scaled(_events(size, connections))
            name = f"{title}, fsync {plan.fsync}, {connections} connections{ports}"
            for _ in report.runs(name):
                report.add(name, one(installed, kind, size, connections, events))


def _events(size: int, connections: int) -> int:
    if size > 1:
        return 100_000 if connections > 1 else 40_000
    return 40_000 if connections > 1 else 8_000


def one(installed: Installation, kind: str, size: int, connections: int, events: int) -> Run:
    """One run, from nothing."""
    installed.clear()
    load = Load(installed.port, kind, events, size, connections, "in", max(1, events // 4))
    generator = Generator(load)
    before = installed.cpu()
    answered = generator.post()
    used = {name: by - before[name] for name, by in installed.cpu().items()}
    check_accepted(installed, answered, events)
    return Run(events, answered.ended - answered.began, _said(answered), used | _own(answered))


def _said(answered: Answered) -> dict[str, float]:
    seconds = answered.ended - answered.began
    return {
        "requests/s": answered.requests / seconds,
        "p50 ms": answered.p50 * 1e3,
        "p99 ms": answered.p99 * 1e3,
    }


def _own(answered: Answered) -> dict[str, float]:
    return {"generator": answered.cpu}
