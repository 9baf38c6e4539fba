"""What the check of one payload costs: run ``python benchmarks/fields.py``.

Prints nanoseconds per payload (the least of several rounds) for typical payloads of Segment's
actions, and for the identifiers and times that actions prepare.
"""

from __future__ import annotations

from collections.abc import Callable
from timeit import repeat
from typing import Any

from destination.fields import PayloadError, compile_fields
from destination.klaviyo.actions import order_completed, track_event, upsert_profile
from destination.klaviyo.identifiers import PROFILE, prepare_identifiers
from destination.klaviyo.phone import to_e164
from destination.klaviyo.times import to_iso

RUNS = 5_000
ROUNDS = 15
NOW = 1.8e9

TEN = {
    "email": "mira.okafor@acme.io",
    "phone_number": "+14155550142",
    "external_id": "cust_1001",
    "first_name": "Mira",
    "last_name": "Okafor",
    "organization": "Crumb & Co",
    "title": "Head Baker",
    "image": "https://cdn.acme.io/u/1001.png",
    "properties": {"plan": "pro", "visits": 12},
    "list_id": "XyZ123",
}
PLACE = {
    "city": "Leeds",
    "region": "WY",
    "zip": "LS1",
    "address1": "12 Mill Lane",
    "country": "GB",
}
EVENT = {
    "metric_name": "Product Viewed",
    "profile": {"email": "mira.okafor@acme.io", "external_id": "cust_1001", "anonymous_id": "a1"},
    "properties": {"product_id": "SKU-42", "price": 3.49},
    "time": "2026-04-05T18:20:00.123Z",
    "unique_id": "m-1",
}
ORDER = {
    **EVENT,
    "value": 31.44,
    "products": [{"product_id": f"SKU-{number}", "price": 3.49} for number in range(3)],
}


def main() -> None:
    """Measure and print."""
    upsert = compile_fields(upsert_profile.ACTION.fields)
    track = compile_fields(track_event.ACTION.fields)
    order = compile_fields(order_completed.ACTION.fields)
    rows: dict[str, Callable[[], Any]] = {
        "upsertProfile, nothing": lambda: upsert({}),
        "upsertProfile, 10 fields": lambda: upsert(TEN),
        "upsertProfile, 10 fields and a place": lambda: upsert({**TEN, "location": PLACE}),
        "upsertProfile, refused": lambda: _refused(upsert, {**TEN, "email": "no"}),
        "trackEvent": lambda: track(EVENT),
        "orderCompleted, 3 products": lambda: order(ORDER),
        "identifiers": lambda: prepare_identifiers(TEN, allow=PROFILE),
        "phone, E.164": lambda: to_e164("+14155550142", None),
        "phone, national": lambda: to_e164("(415) 555-2671", "US"),
        "time, ISO 8601": lambda: to_iso("2026-04-05T18:20:00.123Z", NOW),
        "time, unix": lambda: to_iso(1775413200123, NOW),
        "time, in words": lambda: to_iso("April 5, 2026", NOW),
    }
    for name, run in rows.items():
        print(f"{name:40}{min(repeat(run, number=RUNS, repeat=ROUNDS)) / RUNS * 1e9:10,.0f} ns")


def _refused(check: Callable[[Any], Any], payload: Any) -> PayloadError | None:
    try:
        check(payload)
    except PayloadError as error:
        return error
    return None


if __name__ == "__main__":
    main()
