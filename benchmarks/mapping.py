"""How fast events are matched, mapped, checked and built, on one core.

    python -m benchmarks.mapping                      events of its own making
    python -m benchmarks.mapping events.ndjson.gz     yours, one JSON object a line

Prints microseconds of CPU time an event and events a second, the least of several runs. Events are
decoded a thousand at a time, untimed, right before they are used, as a worker has them.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import os
import platform
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.segment_mappings import DEFAULTS, RICHER, TRIGGERS, Event, profile_by_hand
from destination.errors import Ended, MappingError, Unanswered
from destination.event import decode, encode
from destination.fields import PayloadError
from destination.mapping import compile_mapping
from destination.mapping.directives import DIRECTIVES
from destination.mapping.file import read_mapping_file
from destination.mapping.trigger import Matches, compile_trigger
from destination.pipeline import Delivery, Route, deliver, plan, route
from destination.registry import DESTINATIONS
from destination.sending import Account, Request, Response

__all__ = [
    "DEFAULTS",
    "RICHER",
    "TRIGGERS",
    "both",
    "cost",
    "made_events",
    "profile_by_hand",
    "read_events",
]

BATCH = 1_000
NOW = 1.79e9

Work = Callable[[list[Event]], object]
"""What is measured: the handling of up to ``BATCH`` events."""


def made_events(count: int) -> Iterator[Event]:
    """Events in the proportions of a shop: the same for every run."""
    chance = random.Random(7)
    for number in range(count):
        person = chance.randrange(5000)
        traits = {"email": f"p{person}@example.com", "phone": "+14155550142"}
        event: Event = {
            "messageId": f"m-{number}",
            "userId": f"u-{person}",
            "anonymousId": f"a-{person}",
            "timestamp": "2026-01-01T00:00:00.000Z",
            "context": {"ip": "192.0.2.1", "traits": {**traits, "address": {"country": "US"}}},
            "integrations": {"All": True},
        }
        kind = chance.choices(
            ("identify", "track", "order", "audience", "page"), (35, 35, 5, 15, 10)
        )
        yield {**event, **_particulars(kind[0], traits, chance)}


def _particulars(kind: str, traits: Event, chance: random.Random) -> Event:
    product = {"sku": "A-1", "name": "Rye", "price": 3.5, "quantity": chance.randrange(1, 9)}
    if kind == "identify":
        home = {"street": "12 Mill Lane", "city": "Leeds", "state": "WY", "country": "GB"}
        person = {"firstName": "Mira", "lastName": "Okafor", "title": "Baker", "plan": "pro"}
        return {"type": kind, "traits": {**traits, **person, "address": home}}
    if kind == "page":
        return {"type": kind, "name": "Home", "properties": {"path": "/"}}
    names = {
        "track": "Product Viewed",
        "order": "Order Completed",
        "audience": chance.choice(
            ("Audience Entered", "Audience Exited", "User Subscribed", "User Unsubscribed")
        ),
    }
    properties = {**product, "products": [product] * 3} if kind == "order" else product
    return {"type": "track", "event": names[kind], "properties": properties}


def read_events(file: Path) -> list[Event]:
    """The objects in ``file``; lines that are none are left out."""
    events = []
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                events.append(event)
    return events


def cost(function: Callable[[Event], object], events: Sequence[Event], runs: int) -> float:
    """Microseconds of CPU time an event: the least of ``runs`` over all ``events``."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        for event in events:
            function(event)
        times.append(time.process_time() - start)
    return min(times) / len(events) * 1e6


def fresh_cost(work: Work, lines: Sequence[bytes], runs: int) -> float:
    """Microseconds of CPU time an event, the least of ``runs``; decoding is not counted."""
    times = []
    for _ in range(runs):
        spent = 0.0
        for first in range(0, len(lines), BATCH):
            events = [decode(line) for line in lines[first : first + BATCH]]
            start = time.process_time()
            work(events)
            spent += time.process_time() - start
        times.append(spent)
    return min(times) / len(lines) * 1e6


def each(function: Callable[[Event], object]) -> Work:
    """``function`` for one event after the other."""

    def work(events: list[Event]) -> None:
        for event in events:
            function(event)

    return work


def both(matches: Matches, resolve: Callable[[Event], Any]) -> Callable[[Event], object]:
    """What is done for one event and one mapping."""
    return lambda event: matches(event) and resolve(event)


def route_of(action: str, fields: Any) -> Route:
    """The route of a mapping like one in a file."""
    entry = {"name": action, "action": action, "trigger": TRIGGERS[action], "fields": fields}
    actions = DESTINATIONS["klaviyo"].actions
    text = json.dumps({"name": "benchmark", "mappings": [entry]})
    mappings, problems = read_mapping_file(text, "benchmark", actions)
    assert mappings, problems
    return route(mappings[0], actions)


def checked(found: Route) -> Callable[[Event], object]:
    """Trigger, mapping and check."""
    matches, payload = found.mapping.matches, found.payload

    def one(event: Event) -> object:
        try:
            return matches(event) and payload(event)
        except (MappingError, PayloadError) as error:
            return error

    return one


def built(found: Route) -> Work:
    """Trigger, mapping, check and everything else up to the written bodies of bulk requests."""

    def unanswered(_request: Request) -> Response:
        raise Unanswered("measured until here")

    account = Account(unanswered, lambda _key, find: find(), NOW, "2026-07-15")

    def work(events: list[Event]) -> None:
        rows = []
        for event in events:
            if found.mapping.matches(event):
                try:
                    rows.append(Delivery(event.get("userId") or "", plan(event, found, NOW)))
                except Ended:  # refused, as the events ask for
                    continue
        deliver(rows, found.action, lambda _rows: account, batched=True)

    return work


def show(name: str, microseconds: float) -> None:
    """One line."""
    print(f"  {name:<32}{microseconds:8.2f} µs {1e6 / microseconds:12,.0f} /s")


def show_actions(title: str, mappings: dict[str, Any], lines: list[bytes], runs: int) -> None:
    """Every action on the events that it wants, so far and further."""
    print(f"\n{title}")
    for action, fields in mappings.items():
        found = route_of(action, fields)
        wanted = [line for line in lines if found.mapping.matches(decode(line))]
        if wanted:
            mapped = each(both(found.mapping.matches, found.mapping.resolve))
            print(f" {action}")
            show("trigger and mapping", fresh_cost(mapped, wanted, runs))
            show("and check", fresh_cost(each(checked(found)), wanted, runs))
            if found.action.batch:
                show(f"batches of {BATCH:,} to the body", fresh_cost(built(found), wanted, runs))


def show_growth(runs: int) -> None:
    """Cost by the number of fields and by the size of the event."""
    print("\nFields of a mapping")
    event: Event = {"traits": {f"t{number}": "x" for number in range(1_600)}}
    for count in (10, 40, 160):
        resolve = compile_mapping({f"f{n}": {"@path": f"$.traits.t{n}"} for n in range(count)})
        show(f"{count} paths", cost(resolve, [event] * 2000, runs))
    for name in ("@template", "@flatten", "@json", "@arrayPath", "@merge", "@excludeWhenNull"):
        print(f"\nItems that {name} works on")
        for count in (10, 100, 1_000):
            resolve = compile_mapping({"f": _whole(name)})
            items = [{"sku": "A-1", "price": 3.5}] * count
            event = {"items": items, "names": {f"n{n}": n for n in range(count)}}
            show(f"{count} items", cost(resolve, [event] * max(20, 20_000 // count), runs))


def _whole(name: str) -> Any:
    items = {"@path": "$.items"}
    options = {
        "@template": "{{items}}",
        "@flatten": {"value": items, "separator": "."},
        "@json": {"mode": "encode", "value": items},
        "@arrayPath": ["$.items", {"id": {"@path": "$.sku"}}],
        "@merge": {"direction": "right", "objects": [{"@path": "$.names"}, {"@path": "$.names"}]},
        "@excludeWhenNull": {"@path": "$.names"},
    }
    return {name: options[name]}


def machine() -> str:
    """What this runs on."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(": ")[2] if names else model
    return f"Python {platform.python_version()}, {os.cpu_count()} x {model}, {platform.system()}"


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description="How fast events are matched and mapped.")
    parser.add_argument("events", nargs="?", type=Path, help="NDJSON file, also .gz")
    parser.add_argument("--count", type=int, default=10_000, help="events to make without a file")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    source = read_events(options.events) if options.events else made_events(options.count)
    lines = [encode(event) for event in source]
    gc.collect()
    gc.freeze()  # a worker holds a batch, not the whole file
    print(f"{machine()}\n{len(lines):,} events, least of {options.runs} runs")

    show_actions("Segment's defaults", DEFAULTS, lines, options.runs)
    show_actions("A richer set", RICHER, lines, options.runs)

    identify = [line for line in lines if decode(line).get("type") == "identify"]
    print("\nTrigger and mapping written by hand, for comparison")
    show("upsertProfile", fresh_cost(each(profile_by_hand), identify, options.runs))

    triggers = [compile_trigger(trigger) for trigger in TRIGGERS.values()]
    print("\nAll seven triggers, every event")
    tried = each(lambda event: [matches(event) for matches in triggers])
    show("triggers", fresh_cost(tried, lines, options.runs))

    print("\nFirst example of each directive")
    for directive in DIRECTIVES.values():
        example = directive.examples[0]
        resolve = compile_mapping(example.mapping)
        show(directive.name, cost(resolve, [example.event] * 2000, options.runs))
    show_growth(options.runs)


if __name__ == "__main__":
    main()
