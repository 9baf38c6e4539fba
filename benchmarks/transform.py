"""Trigger and mapping alone, on one core, beside the same work written by hand."""

from __future__ import annotations

from pathlib import Path

from benchmarks.mapping import (
    Work,
    both,
    built,
    checked,
    each,
    fresh_cost,
    made_events,
    read_events,
    route_of,
)
from benchmarks.report import Report, Run
from benchmarks.segment_mappings import DEFAULTS, profile_by_hand
from destination.event import decode, encode

COUNT = 10_000
ROUNDS = 3
"""Rounds of a run, of which the quickest counts: what a neighbour takes is not the mapping's."""


def measure(report: Report) -> None:
    """Every action with Segment's default mapping, on the events that it wants."""
    count = report.scaled(COUNT)
    source = read_events(Path(report.file)) if report.file else made_events(count)
    lines = [encode(event) for event in source]
    works = _works(lines)
    for _ in report.runs(*works):
        for name, (work, wanted) in works.items():
            seconds = fresh_cost(work, wanted, ROUNDS) * len(wanted) / 1e6
            report.add(name, Run(len(wanted), seconds))


def _works(lines: list[bytes]) -> dict[str, tuple[Work, list[bytes]]]:
    """What is to be measured, by name, with its events."""
    works: dict[str, tuple[Work, list[bytes]]] = {}
    for action, fields in DEFAULTS.items():
        route = route_of(action, fields)
        mapping = route.mapping
        wanted = [line for line in lines if mapping.matches(decode(line))]
        works[f"{action}: trigger and mapping"] = (
            each(both(mapping.matches, mapping.resolve)),
            wanted,
        )
        works[f"{action}: and the check of its fields"] = each(checked(route)), wanted
        if route.action.batch:
            works[f"{action}: batches of 1,000, to the body"] = built(route), wanted
    people = works["upsertProfile: trigger and mapping"][1]
    works["upsertProfile written by hand"] = each(profile_by_hand), people
    return works
