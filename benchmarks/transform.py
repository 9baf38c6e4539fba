"""Trigger and mapping alone, on one core, beside the same work written by hand."""

from __future__ import annotations

from pathlib import Path

from benchmarks.events import Event
from benchmarks.mapping import (
    DEFAULTS,
    TRIGGERS,
    both,
    cost,
    made_events,
    profile_by_hand,
    read_events,
)
from benchmarks.report import Report, Run
from destination.mapping import compile_mapping
from destination.mapping.trigger import compile_trigger

COUNT = 10_000


def measure(report: Report) -> None:
    """Every action with Segment's default mapping, on the events that it wants."""
    count = report.scaled(COUNT)
    events = read_events(Path(report.file)) if report.file else list(made_events(count))
    by_hand = "upsertProfile written by hand"
    wanted = {
        action: [event for event in events if compile_trigger(trigger)(event)]
        for action, trigger in TRIGGERS.items()
    }
    for _ in report.runs(*DEFAULTS, by_hand):
        for action, found in wanted.items():
            report.add(action, _mapped(action, found))
        people = wanted["upsertProfile"]
        report.add(by_hand, _run(cost(profile_by_hand, people, 1), len(people)))


def _mapped(action: str, events: list[Event]) -> Run:
    matches, resolve = compile_trigger(TRIGGERS[action]), compile_mapping(DEFAULTS[action])
    return _run(cost(both(matches, resolve), events, 1), len(events))


def _run(microseconds: float, events: int) -> Run:
    return Run(events, events * microseconds / 1e6)
