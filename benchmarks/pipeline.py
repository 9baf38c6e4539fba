"""What one event costs on its way to a request, on one core.

    python -m benchmarks.pipeline                      events of its own making
    python -m benchmarks.pipeline events.ndjson.gz     yours, one JSON object a line

Prints CPU microseconds an event and events a second, medians of several runs, for the events that
each action's trigger wants, with Segment's default mappings: (a) trigger and mapping, (b) and the
check of the fields, (c) and all up to the request, one by one and in batches; then what each stage
costs, and the same work written by hand. Nothing is sent: Klaviyo's part accepts everything. CPU
time of the process is measured, so other work on the machine matters little.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.mapping import machine, made_events, read_events
from benchmarks.segment_mappings import DEFAULTS, TRIGGERS, profile_by_hand
from destination.errors import DestinationError, Ended
from destination.event import decode, encode, person
from destination.fields import PayloadError
from destination.klaviyo import KLAVIYO
from destination.mapping.file import read_mapping_file
from destination.pipeline import Delivery, Route, deliver, plan, route
from destination.sending import Account, Request, Response

Event = dict[str, Any]
NOW = datetime.fromisoformat("2026-06-01T00:00:00+00:00").timestamp()
ACCEPTED = Response(202, {}, b'{"data":{"type":"job","id":"1"}}')
BATCH = 1_000


def accept(_request: Request) -> Response:
    """Klaviyo on its best day."""
    return ACCEPTED


ACCOUNT = Account(accept, lambda _key, find: find(), NOW, "2026-07-15")


@dataclass(frozen=True, slots=True)
class Work:
    """A mapping and the events that it wants, split into batches."""

    route: Route
    events: Sequence[Event]

    def mapped(self) -> None:
        """(a)."""
        mapping = self.route.mapping
        for event in self.events:
            if mapping.matches(event):
                mapping.resolve(event)

    def checked(self) -> None:
        """(b)."""
        mapping, payload = self.route.mapping, self.route.payload
        for event in self.events:
            if mapping.matches(event):
                try:
                    payload(event)
                except PayloadError:
                    continue

    def one_by_one(self) -> None:
        """(c), a request for each event."""
        for event in self.events:
            planned = self.planned([event])
            deliver(planned, self.route.action, lambda _rows: ACCOUNT, batched=False)

    def in_batches(self) -> None:
        """(c), a request for a thousand."""
        for start in range(0, len(self.events), BATCH):
            planned = self.planned(self.events[start : start + BATCH])
            deliver(planned, self.route.action, lambda _rows: ACCOUNT, batched=True)

    def from_text(self, texts: Sequence[bytes]) -> None:
        """(c) as a worker does it: each event is planned just after it was read."""
        for start in range(0, len(texts), BATCH):
            planned = self.planned(map(decode, texts[start : start + BATCH]))
            deliver(planned, self.route.action, lambda _rows: ACCOUNT, batched=True)

    def planned(self, events: Iterable[Event]) -> list[Delivery]:
        """What is to be sent for these events, without those that cannot be sent."""
        found = []
        for event in events:
            if self.route.mapping.matches(event):
                try:
                    found.append(Delivery(person(event), plan(event, self.route, NOW)))
                except Ended:
                    continue
        return found

    def stages(self) -> dict[str, Callable[[], object]]:
        """Each stage by itself, given what the stages before it made."""
        mapping, payload, action = self.route.mapping, self.route.payload, self.route.action
        ready: list[Event] = []
        for event in self.events:
            try:
                ready.append(payload(event))
            except PayloadError:
                continue
        planned = self.planned(self.events)
        bodies = _bodies(planned, self.route)
        return {
            "trigger": lambda: [mapping.matches(event) for event in self.events],
            "mapping": lambda: [mapping.resolve(event) for event in self.events],
            "mapping and check": lambda: [_try(payload, event) for event in self.events],
            "preparing": lambda: [_try(action.prepare, each, NOW) for each in ready],
            "building, one by one": lambda: _deliver(planned, self.route, 1),
            f"building, {BATCH:,} at a time": lambda: _deliver(planned, self.route, BATCH),
            **({"of that JSON text": lambda: deque(map(encode, bodies), 0)} if bodies else {}),
        }


def _try(function: Callable[..., object], *given: object) -> object:
    try:
        return function(*given)
    except DestinationError as error:
        return error


def _deliver(planned: Sequence[Delivery], route: Route, rows: int) -> None:
    for start in range(0, len(planned), rows):
        part = planned[start : start + rows]
        deliver(part, route.action, lambda _rows: ACCOUNT, batched=rows > 1)


def _bodies(planned: Sequence[Delivery], route: Route) -> list[Any]:
    """The bodies of the bulk requests."""
    if route.action.batch is None:
        return []
    bodies: list[Any] = []

    def keep(request: Request) -> Response:
        bodies.append(request.body)
        return ACCEPTED

    account = replace(ACCOUNT, send=keep)
    for start in range(0, len(planned), BATCH):
        part = planned[start : start + BATCH]
        deliver(part, route.action, lambda _rows: account, batched=True)
    return bodies


def work(action: str, events: Sequence[Event]) -> Work:
    """The default mapping of ``action`` and the events for it."""
    entry = {"name": "m", "action": action, "trigger": TRIGGERS[action], "fields": DEFAULTS[action]}
    file = json.dumps({"name": "bench", "mappings": [entry]})
    (mapping,), _problems = read_mapping_file(file, "bench.json", KLAVIYO.actions)
    return Work(
        route(mapping, KLAVIYO.actions), [event for event in events if mapping.matches(event)]
    )


def track_by_hand(events: Sequence[Event]) -> Event:
    """``trackEvent`` as somebody would write it for these events alone."""
    entries = []
    for event in events:
        if event.get("type") != "track" or event.get("event") in OTHERS:
            continue
        moment = datetime.fromisoformat(event["timestamp"])
        profile = {}
        if event.get("userId"):
            profile["external_id"] = event["userId"]
        if event.get("anonymousId"):
            profile["anonymous_id"] = event["anonymousId"]
        if not profile or not event.get("event") or moment.timestamp() > NOW + 31_536_000:
            continue
        attributes = {
            "properties": event.get("properties") or {},
            "metric": {"data": {"type": "metric", "attributes": {"name": event["event"]}}},
            "time": moment.isoformat(),
            "unique_id": event["messageId"],
        }
        entries.append(
            {
                "type": "event-bulk-create",
                "attributes": {
                    "profile": {"data": {"type": "profile", "attributes": profile}},
                    "events": {"data": [{"type": "event", "attributes": attributes}]},
                },
            }
        )
    return {
        "data": {
            "type": "event-bulk-create-job",
            "attributes": {"events-bulk-create": {"data": entries}},
        }
    }


def upsert_by_hand(events: Sequence[Event]) -> Event:
    """``upsertProfile`` as somebody would write it for these events alone."""
    people: dict[str, Event] = {}
    for event in events:
        found = profile_by_hand(event)
        if found is None:
            continue
        mail, phone = found.get("email"), found.get("phone_number")
        if (phone and not PHONE.fullmatch(phone)) or not (mail and EMAIL.fullmatch(mail)):
            continue
        del found["batch_size"], found["batch_keys"]
        people[mail.lower()] = {**people.get(mail.lower(), {}), **found}
    profiles = [{"type": "profile", "attributes": each} for each in people.values()]
    return {
        "data": {
            "type": "profile-bulk-import-job",
            "attributes": {"profiles": {"data": profiles}},
        }
    }


EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
PHONE = re.compile(r"\+[1-9][0-9]{1,14}")
OTHERS = {"Order Completed", "Audience Entered", "Audience Exited"}
OTHERS |= {"User Subscribed", "User Unsubscribed"}
BY_HAND = {"upsertProfile": upsert_by_hand, "trackEvent": track_by_hand}


def by_hand(action: str, events: Sequence[Event]) -> None:
    """The whole way by hand, in the same batches."""
    for start in range(0, len(events), BATCH):
        BY_HAND[action](events[start : start + BATCH])


def cost(run: Callable[[], object], count: int, runs: int) -> float:
    """CPU microseconds for each of ``count`` events: the median of ``runs``."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return statistics.median(times) / count * 1e6


def show(name: str, run: Callable[[], object], count: int, runs: int) -> None:
    """One line."""
    microseconds = cost(run, count, runs)
    print(f"  {name:<36}{microseconds:8.2f} µs {1e6 / microseconds:12,.0f} /s")


def show_action(action: str, events: Sequence[Event], runs: int) -> None:
    """All lines of one action."""
    job = work(action, events)
    count = len(job.events)
    sent = len(job.planned(job.events))
    print(f"\n{action}: {count:,} events, {count - sent:,} of them refused")
    show("(a) trigger and mapping", job.mapped, count, runs)
    show("(b) and the check of the fields", job.checked, count, runs)
    show("(c) to requests, one by one", job.one_by_one, count, runs)
    if job.route.action.batch:
        show(f"(c) to requests, {BATCH:,} at a time", job.in_batches, count, runs)
        texts = [encode(event) for event in job.events]
        show("    reading an event", lambda: deque(map(decode, texts), 0), count, runs)
        show("    reading it and (c)", lambda: job.from_text(texts), count, runs)
    if action in BY_HAND:
        show("    the same by hand", lambda: by_hand(action, job.events), count, runs)
    for name, stage in job.stages().items():
        show(f"    {name}", stage, count, runs)


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description="What one event costs on its way to a request.")
    parser.add_argument("events", nargs="?", type=Path, help="NDJSON file, also .gz")
    parser.add_argument("--count", type=int, default=10_000, help="events to make without a file")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    source = read_events(options.events) if options.events else made_events(options.count)
    events = list(source)
    gc.collect()
    gc.freeze()  # a worker holds a batch, not the whole file: its collector has less to look at
    print(f"{machine()}\n{len(events):,} events, CPU time, median of {options.runs} runs")
    for action in ("upsertProfile", "trackEvent", "orderCompleted"):
        show_action(action, events, options.runs)


if __name__ == "__main__":
    main()
