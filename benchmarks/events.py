"""The events that are posted, as templates to be numbered: the same for every run.

A template is the JSON text of one event as an SDK sends it, with ``%(id)s`` where its own number
stands (messageId, and in an identify a trait, so that its arrival can be seen at Klaviyo) and
``%(who)s`` for the person. The made events have the proportions and sizes of a shop's traffic: 35 %
identify, 34 % track, 6 % orders with three products, 10 % audiences, 5 % consent, 10 % page, screen
and group, which no mapping wants; 1.28 KB in the mean.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.mapping import read_events
from destination.event import encode

Event = dict[str, Any]
ID, WHO = "\N{SNOWMAN}ID", "\N{SNOWMAN}WHO"
MARK = "bench_mark"
"""The trait, and so the custom property at Klaviyo, that holds an identify's number."""

SEED = 7
TEMPLATES = 2_000
"""Different events that are made; their numbers and persons go on changing."""

ENGINE = "AppleWebKit/537.36 (KHTML, like Gecko)"
AGENTS = (
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {ENGINE} Chrome/124.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) {ENGINE} Version/17.4 Safari/604.1",
)
PLACES = (
    ("Bærum gate 12", "Oslo", "OS", "0150", "NO"),
    ("768 明治通り", "Tokyo", "13", "150-0001", "JP"),
    ("266 Main St", "Salem", "OR", "97301", "US"),
    ("4 Rue des Lilas", "Lyon", "ARA", "69001", "FR"),
)
NAMES = ("Mira", "Jürgen", "Nguyễn", "محمد", "李", "Åse")


def made(kind: str) -> list[Event]:
    """Events of one kind: ``identify``, ``track``, ``order``, ``mixed``, ``small`` or ``row``."""
    chance = random.Random(SEED)
    if kind == "row":
        return [_row(chance) for _ in range(TEMPLATES)]
    if kind == "small":
        return [_small()]
    mix = {"mixed": (35, 34, 6, 10, 5, 10)}.get(kind)
    parts: dict[str, Callable[[random.Random], Event]] = {
        "identify": _identify,
        "track": _track,
        "order": _order,
        "audience": _audience,
        "consent": _consent,
        "unwanted": _unwanted,
    }
    kinds = chance.choices(list(parts), mix, k=TEMPLATES) if mix else [kind] * TEMPLATES
    return [_common(chance) | parts[each](chance) for each in kinds]


def read(file: Path) -> list[Event]:
    """The events of an NDJSON file, with numbers of ours."""
    return [_numbered(event) for event in read_events(file)]


def _numbered(event: Event) -> Event:
    event = {**event, "messageId": ID}
    if event.get("type") == "identify" and isinstance(event.get("traits"), dict):
        event["traits"] = {**event["traits"], MARK: ID}
    return event


def templates(events: Sequence[Event]) -> list[bytes]:
    """The texts, ready for ``%``."""
    return [
        encode(event)
        .replace(b"%", b"%%")
        .replace(ID.encode(), b"%(id)s")
        .replace(WHO.encode(), b"%(who)s")
        for event in events
    ]


def numbered(
    texts: Sequence[bytes], first: int, count: int, *, run: str, people: int
) -> Iterator[bytes]:
    """``count`` events, ids ``RUN-NUMBER``; persons are spread so that neighbours differ."""
    for number in range(first, first + count):
        mark = b"%s-%08d" % (run.encode(), number)
        who = b"%07d" % (number * 7919 % people)
        yield texts[number % len(texts)] % {b"id": mark, b"who": who}


def _common(chance: random.Random) -> Event:
    traits = {"email": f"customer{WHO}@mail.example.com", "firstName": chance.choice(NAMES)}
    page = {"path": "/shop", "referrer": "", "search": "", "title": "Shop Ünïcode"}
    return {
        "messageId": ID,
        "userId": f"usr_{WHO}",
        "anonymousId": f"c66a5ed1-cced-4748-a3ad-ca04a{WHO}",
        "timestamp": "2026-01-01T00:00:00.361Z",
        "originalTimestamp": "2026-01-01T00:00:00.361Z",
        "sentAt": "2026-01-01T00:00:00.401Z",
        "channel": "client",
        "receivedAt": "2026-01-01T00:00:00.456Z",
        "context": {
            "ip": "192.0.2.40",
            "screen": {"width": 1440, "height": 900, "density": 2},
            "library": {"name": "analytics.js", "version": "2.11.1"},
            "locale": chance.choice(("en-US", "de-DE", "ja-JP")),
            "timezone": "America/New_York",
            "userAgent": chance.choice(AGENTS),
            "page": {**page, "url": "https://shop.example/shop"},
            "traits": {**traits, "address": {"country": "US"}, "plan": "free"},
        },
        "integrations": {"All": True},
    }


def _identify(chance: random.Random) -> Event:
    street, city, state, code, country = chance.choice(PLACES)
    home = {"street": street, "city": city, "state": state, "country": country}
    traits = {
        "email": f"customer{WHO}@mail.example.com",
        "firstName": chance.choice(NAMES),
        "lastName": "D'Angelo",
        "title": "Directrice",
        "avatar": f"https://cdn.shop.example/a/usr_{WHO}.png",
        "company": {"name": "Wonka", "employees": chance.randrange(5000)},
        "plan": "enterprise",
        "createdAt": "2025-06-01T08:00:00Z",
        "address": {**home, "postal_code": code},
        "loyalty": {"tier": "silver", "points": chance.randrange(9999), "history": [11, 85, 51]},
        MARK: ID,
    }
    return {"type": "identify", "traits": traits}


def _product(chance: random.Random) -> Event:
    number = chance.randrange(500)
    return {
        "product_id": f"p-{number}",
        "sku": f"SKU-{number}",
        "name": "Wool sweater, olivgrün",
        "category": "Apparel",
        "price": chance.randrange(20000) / 100,
        "quantity": chance.randrange(1, 5),
        "url": f"https://shop.example/p/{number}",
        "image_url": f"https://cdn.shop.example/{number}.jpg",
    }


def _called(event: str, properties: Event) -> Event:
    return {"type": "track", "event": event, "properties": properties}


def _track(chance: random.Random) -> Event:
    items = [{"sku": f"SKU-{chance.randrange(9999)}", "qty": 1} for _ in range(3)]
    more = {"brand": "Basics", "variant": "250g", "currency": "EUR", "position": 5}
    cart = {"id": "c-2", "items": items, "flags": {"gift": False, "note": None}}
    name = chance.choice(("Product Viewed", "Product Added", "Checkout Started"))
    experiment = {"name": "pdp_v3", "variant": "B"}
    return _called(name, {**_product(chance), **more, "cart": cart, "experiment": experiment})


def _order(chance: random.Random) -> Event:
    products = [_product(chance) for _ in range(3)]
    total = {"total": 162.92, "revenue": 150.0, "tax": 7.0, "currency": "EUR"}
    return _called("Order Completed", {"order_id": f"o-{ID}", **total, "products": products})


def _audience(chance: random.Random) -> Event:
    name = chance.choice(("Audience Entered", "Audience Exited"))
    event = _called(name, {"audience_key": "big_spenders", "big_spenders": True})
    context = _common(chance)["context"]
    personas = {"computation_key": "big_spenders", "external_audience_id": "LIST01"}
    return {**event, "context": {**context, "personas": personas}}


def _consent(chance: random.Random) -> Event:
    name = chance.choice(("User Subscribed", "User Unsubscribed"))
    return _called(name, {"email": f"customer{WHO}@mail.example.com"})


def _unwanted(chance: random.Random) -> Event:
    kind = chance.choice(("page", "screen", "group"))
    said = {"traits": {"name": "Wonka"}, "groupId": "g-1"} if kind == "group" else {"name": "Home"}
    return {"type": kind, **said}


def _small() -> Event:
    """A track event of 1,024 bytes, whatever its number."""
    event = {**_common(random.Random(SEED)), **_called("Product Added", {"sku": "A-1", "note": ""})}
    (text,) = templates([event])
    size = len(text % {b"id": b"in-00000000", b"who": b"0000000"})
    event["properties"]["note"] = "n" * max(0, 1024 - size)
    return event


def _row(chance: random.Random) -> Event:
    """A row of a warehouse, as reverse ETL posts it."""
    return {
        "email": f"customer{WHO}@mail.example.com",
        "external_id": f"usr_{WHO}",
        "first_name": chance.choice(NAMES),
        "last_name": "D'Angelo",
        "city": chance.choice(PLACES)[1],
        "lifetime_value": chance.randrange(10_000),
        "plan": "enterprise",
        "last_order": "2025-06-01",
        MARK: ID,
    }
