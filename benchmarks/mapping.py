"""How fast events are matched and mapped, on one core.

    python benchmarks/mapping.py                      events of its own making
    python benchmarks/mapping.py events.ndjson.gz     yours, one JSON object a line

Prints the median of several runs, in microseconds an event and events a second: trigger and
mapping of each action (Segment's defaults, and a richer set), a mapping written by hand for
comparison, and what each directive costs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from destination.mapping import compile_mapping
from destination.mapping.directives import DIRECTIVES
from destination.mapping.trigger import Matches, compile_trigger

Event = dict[str, Any]


def path(name: str) -> dict[str, str]:
    """The directive for a path."""
    return {"@path": f"$.{name}"}


def first_of(name: str, other: str) -> dict[str, Any]:
    """The value at ``name`` if it is there, else the one at ``other``."""
    return {"@if": {"exists": path(name), "then": path(name), "else": path(other)}}


def address(place: str) -> dict[str, Any]:
    """A location out of the address at ``place``."""
    names = {"city": "city", "region": "state", "zip": "postal_code", "address1": "street"}
    names["country"] = "country"
    return {field: path(f"{place}.{name}") for field, name in names.items()}


PERSON = {"external_id": path("userId"), "anonymous_id": path("anonymousId")}
PERSON_WITH_EMAIL = {**PERSON, "email": path("context.traits.email")}
LIST_ID = first_of(
    "context.personas.audience_settings.listId", "context.personas.external_audience_id"
)
COUNTRY = path("context.traits.address.country")

TRIGGERS = {
    "upsertProfile": 'type = "identify"',
    "trackEvent": 'type = "track" and event != "Order Completed" and event != "Audience Entered"'
    ' and event != "Audience Exited" and event != "User Subscribed"'
    ' and event != "User Unsubscribed"',
    "orderCompleted": 'type = "track" and event = "Order Completed"',
    "addProfileToList": 'event = "Audience Entered"',
    "removeProfileFromList": 'event = "Audience Exited"',
    "subscribeProfile": 'type = "track" and event = "User Subscribed"',
    "unsubscribeProfile": 'type = "track" and event = "User Unsubscribed"',
}

DEFAULTS: dict[str, dict[str, Any]] = {
    "upsertProfile": {
        "email": path("traits.email"),
        "phone_number": path("context.traits.phone"),
        "first_name": path("traits.firstName"),
        "last_name": path("traits.lastName"),
        "organization": path("traits.company.name"),
        "title": path("traits.title"),
        "image": path("traits.avatar"),
        "location": address("traits.address"),
        "properties": path("properties"),
        "batch_size": 10000,
        "override_list_id": path("integrations.Klaviyo.listId"),
        "batch_keys": ["list_id", "override_list_id"],
    },
    "trackEvent": {
        "metric_name": path("event"),
        "properties": path("properties"),
        "time": path("timestamp"),
        "unique_id": path("messageId"),
        "enable_batching": True,
        "batch_size": 1000,
        "profile": PERSON,
    },
    "orderCompleted": {
        "properties": path("properties"),
        "time": path("timestamp"),
        "unique_id": path("messageId"),
        "event_name": "Order Completed",
        "product_event_name": "Ordered Product",
        "profile": PERSON,
    },
    "addProfileToList": {
        "email": path("context.traits.email"),
        "phone_number": path("context.traits.phone"),
        "list_id": LIST_ID,
        "enable_batching": True,
        "batch_size": 10000,
        "first_name": path("properties.firstName"),
        "last_name": path("properties.lastName"),
        "image": path("properties.avatar"),
        "title": path("properties.title"),
        "organization": path("properties.company.name"),
        "location": address("properties.address"),
        "properties": path("properties.properties"),
        "batch_keys": ["list_id"],
    },
    "removeProfileFromList": {
        "email": path("context.traits.email"),
        "list_id": LIST_ID,
        "phone_number": path("context.traits.phone"),
        "enable_batching": True,
        "batch_size": 1000,
        "batch_keys": ["list_id"],
    },
    "subscribeProfile": {
        "email": first_of("traits.email", "context.traits.email"),
        "phone_number": first_of("traits.phone", "context.traits.phone"),
        "custom_source": "-59",
        "historical_import": False,
        "consented_at": path("timestamp"),
        "batch_keys": ["list_id", "custom_source", "historical_import"],
        "batch_size": 1000,
    },
    "unsubscribeProfile": {
        "email": first_of("traits.email", "context.traits.email"),
        "phone_number": first_of("traits.phone", "context.traits.phone"),
        "batch_keys": ["list_id"],
        "batch_size": 100,
    },
}

MORE: dict[str, dict[str, Any]] = {
    "upsertProfile": {"country_code": COUNTRY, "external_id": path("userId")},
    "trackEvent": {"profile": PERSON_WITH_EMAIL, "value": path("properties.value")},
    "orderCompleted": {
        "profile": PERSON_WITH_EMAIL,
        "value": path("properties.total"),
        "products": path("properties.products"),
    },
}
RICHER = {
    action: {**fields, **MORE.get(action, {"country_code": COUNTRY})}
    for action, fields in DEFAULTS.items()
}


def profile_by_hand(event: Event) -> Event | None:
    """``upsertProfile`` as somebody would write it for these events alone."""
    if event.get("type") != "identify":
        return None
    traits = event.get("traits") or {}
    payload: Event = {"batch_size": 10000, "batch_keys": ["list_id", "override_list_id"]}
    for field, name in (
        ("email", "email"),
        ("first_name", "firstName"),
        ("last_name", "lastName"),
        ("title", "title"),
        ("image", "avatar"),
    ):
        if name in traits:
            payload[field] = traits[name]
    context_traits = (event.get("context") or {}).get("traits") or {}
    if "phone" in context_traits:
        payload["phone_number"] = context_traits["phone"]
    company = traits.get("company") or {}
    if "name" in company:
        payload["organization"] = company["name"]
    home = traits.get("address") or {}
    payload["location"] = {
        field: home[name]
        for field, name in (
            ("city", "city"),
            ("region", "state"),
            ("zip", "postal_code"),
            ("address1", "street"),
            ("country", "country"),
        )
        if name in home
    }
    if "properties" in event:
        payload["properties"] = event["properties"]
    klaviyo = (event.get("integrations") or {}).get("Klaviyo") or {}
    if "listId" in klaviyo:
        payload["override_list_id"] = klaviyo["listId"]
    return payload


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
    """Microseconds an event: the median of ``runs`` over all ``events``."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        for event in events:
            function(event)
        times.append(time.perf_counter() - start)
    return statistics.median(times) / len(events) * 1e6


def show(name: str, microseconds: float) -> None:
    """One line."""
    print(f"  {name:<32}{microseconds:8.2f} µs {1e6 / microseconds:12,.0f} /s")


def both(matches: Matches, resolve: Callable[[Event], Any]) -> Callable[[Event], object]:
    """What is done for one event and one mapping."""
    return lambda event: matches(event) and resolve(event)


def show_actions(title: str, mappings: dict[str, Any], events: list[Event], runs: int) -> None:
    """Trigger and mapping of every action, on the events that it wants."""
    print(f"\n{title}: trigger and mapping")
    for action, fields in mappings.items():
        matches, resolve = compile_trigger(TRIGGERS[action]), compile_mapping(fields)
        wanted = [event for event in events if matches(event)]
        if wanted:
            show(action, cost(both(matches, resolve), wanted, runs))


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
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    source = read_events(options.events) if options.events else made_events(options.count)
    events = list(source)
    print(f"{machine()}\n{len(events):,} events, median of {options.runs} runs")

    show_actions("Segment's defaults", DEFAULTS, events, options.runs)
    show_actions("A richer set", RICHER, events, options.runs)

    identify = [event for event in events if event.get("type") == "identify"]
    print("\nWritten by hand, for comparison")
    show("upsertProfile", cost(profile_by_hand, identify, options.runs))

    triggers = [compile_trigger(trigger) for trigger in TRIGGERS.values()]
    print("\nAll seven triggers, every event")
    show(
        "triggers",
        cost(lambda event: [matches(event) for matches in triggers], events, options.runs),
    )

    print("\nFirst example of each directive")
    for directive in DIRECTIVES.values():
        example = directive.examples[0]
        resolve = compile_mapping(example.mapping)
        show(directive.name, cost(resolve, [example.event] * 2000, options.runs))


if __name__ == "__main__":
    main()
