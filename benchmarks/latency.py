"""How long a single event takes from its post to Klaviyo while little is going on."""

from __future__ import annotations

import json

from benchmarks.checks import check_accepted, check_arrived
from benchmarks.installation import Installation, Plan, mappings
from benchmarks.load import Generator, Load
from benchmarks.machine import quantile
from benchmarks.report import Report, Run

EVENTS, EVERY = 600, 0.05
"""Twenty events a second for half a minute."""


def measure(report: Report) -> None:
    """With the mappings as they are shipped, with batches that wait for nobody, and one by one.

    Klaviyo's rate limits hold where a mapping keeps to them at this rate: for single requests, and
    for batches that wait for company.
    """
    shipped = mappings("segment.json")
    plans = {
        "shipped": Plan(limits=True),
        "no wait": Plan(mappings=batched(shipped, wait_seconds=0)),
        "one by one": Plan(mappings=batched(shipped, enabled=False, wait_seconds=0), limits=True),
    }
    for title in report.only("latency", list(plans)):
        name = f"single tracks at {1 / EVERY:g}/s, {title}"
        with Installation(plans[title]) as installed:
            report.machine["redis"] = installed.redis_version
            for _ in report.runs(name):
                report.add(name, one(installed, report.scaled(EVENTS, least=200)))


def batched(files: dict[str, bytes], **options: float) -> dict[str, bytes]:
    """The same mappings with these options of their batches."""
    found = {}
    for name, text in files.items():
        document = json.loads(text)
        for mapping in document["mappings"]:
            mapping["batch"] = mapping.get("batch", {}) | options
        found[name] = json.dumps(document).encode()
    return found


def one(installed: Installation, events: int) -> Run:
    """One stretch of low load."""
    installed.clear()
    load = Load(installed.port, "track", events, 1, 4, "low", events, every=EVERY)
    generator = Generator(load)
    before = installed.cpu()
    answered = generator.post()
    installed.settle()
    used = {name: by - before[name] for name, by in installed.cpu().items()}
    check_accepted(installed, answered, events)
    check_arrived(installed, exact=True)
    came = {mark: arrival.at for arrival in installed.arrivals() for mark in arrival.marks}
    took = [came[f"low-{number:08d}"] - began for number, began in enumerate(answered.starts)]
    figures = {
        "applied p50 ms": quantile(took, 0.5) * 1e3,
        "applied p99 ms": quantile(took, 0.99) * 1e3,
        "applied most ms": max(took) * 1e3,
        "answered p50 ms": answered.p50 * 1e3,
        "answered p99 ms": answered.p99 * 1e3,
    }
    return Run(events, 0.0, figures, used)
