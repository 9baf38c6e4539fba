"""How long it takes to read events: ``python benchmarks/ingress.py [EVENTS.ndjson]``.

Prints microseconds per event, the best of several rounds, for single calls and for batches of 100,
from bytes to canonical events. Without a file it makes up typical events of about 1 KB.
"""

from __future__ import annotations

import gzip
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from destination.event import encode
from destination.ingress.encoding import read_json
from destination.ingress.format import Inbound
from destination.ingress.tracking import parse

ROUNDS = 15
BATCH = 100
SENT = "2026-01-01T00:00:00.159Z"
NOW = datetime.now(UTC)


def made_up(number: int) -> bytes:
    """One track event as a browser sends it, of about 1,024 bytes."""
    product = {"product_id": f"p-{number}", "sku": "SKU-9440", "price": 162.92, "quantity": 2}
    link = "https://shop.example/shop?utm_source=mail&utm_campaign=spring&p=1"
    event = {
        "messageId": f"ajs-next-{number:012}-9e26b703-86a7-44a3-b995-61421a36e123",
        "type": "track",
        "event": "Product Added",
        "userId": f"usr_{number}",
        "anonymousId": "c66a5ed1-cced-4748-a3ad-ca04a9ee2dd1",
        "timestamp": "2026-01-01T00:00:00.361Z",
        "properties": {**product, "name": "Wool sweater", "currency": "EUR", "cart": [product] * 2},
        "integrations": {"All": True},
        "context": {
            "ip": "40.79.47.188",
            "library": {"name": "analytics.js", "version": "2.11.1"},
            "locale": "en-GB",
            "userAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/124.0.0.0",
            "page": {"path": "/shop", "title": "Shop", "url": link, "referrer": link},
            "traits": {"email": f"customer{number}@mail.example", "firstName": "Jürgen"},
        },
    }
    return encode(event)


def lines() -> list[bytes]:
    """Events as JSON lines."""
    if len(sys.argv) < 2:
        return [made_up(number) for number in range(2_000)]
    path = Path(sys.argv[1])
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return text.splitlines()[:2_000]


def microseconds(work: Callable[[Inbound], object], requests: list[Inbound], events: int) -> float:
    """The best round's time per event."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for request in requests:
            work(request)
        best = min(best, time.perf_counter() - started)
    return best / events * 1e6


def main() -> None:
    """Print one line per measurement."""
    events = lines()
    tracks = [line for line in events if b'"type":"track"' in line]
    singles = [Inbound("track", line, NOW) for line in tracks]
    batches = [
        Inbound("batch", b'{"sentAt":"%s","batch":[%s]}' % (SENT.encode(), b",".join(part)), NOW)
        for part in (events[start : start + BATCH] for start in range(0, len(events), BATCH))
    ]
    print(f"{'bytes per event':24}{sum(map(len, events)) / len(events):8.0f}")
    for title, work, requests, count in (
        ("single, whole", lambda asked: parse(asked, "track"), singles, len(singles)),
        ("single, JSON only", lambda asked: read_json(asked.body), singles, len(singles)),
        ("batch of 100, whole", lambda asked: parse(asked, "batch"), batches, len(events)),
        ("batch of 100, JSON only", lambda asked: read_json(asked.body), batches, len(events)),
    ):
        print(f"{title:24}{microseconds(work, requests, count):8.2f} µs per event")


if __name__ == "__main__":
    main()
