"""The sample traffic of ``destination demo`` and the report on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
import httpx

from destination.errors import SettingsError
from destination.runtime.local.up import Running, wait_settled
from destination.settings import Settings

SETTLE_SECONDS = 60.0

Sample = tuple[str, dict[str, Any]]


def samples(run: str) -> list[Sample]:
    """One event of every kind; ``run`` makes the ids of this run its own."""
    ann = {"email": "ann@acme.io", "phone": "+15005550006"}
    bob = {"email": "bob@acme.io"}
    items = [
        {"product_id": "p-1", "sku": "MUG", "name": "Mug", "price": 12.5, "quantity": 2},
        {"product_id": "p-2", "sku": "TEA", "name": "Tea", "price": 4.95, "quantity": 1},
    ]
    audience = {
        "personas": {
            "computation_class": "audience",
            "computation_id": "aud_1",
            "computation_key": "tea_lovers",
        }
    }
    bodies: list[dict[str, Any]] = [
        {
            "type": "identify",
            "userId": "u-ann",
            "traits": {**ann, "firstName": "Ann", "plan": "pro", "address": {"city": "Boston"}},
        },
        {"type": "identify", "userId": "u-ann", "traits": {**ann, "plan": "team"}},
        {"type": "identify", "userId": "u-bob", "traits": {**bob, "firstName": "Bob"}},
        {
            "type": "track",
            "event": "Signed Up",
            "userId": "u-ann",
            "properties": {"plan": "pro"},
            "context": {"traits": ann},
        },
        {
            "type": "track",
            "event": "Order Completed",
            "userId": "u-ann",
            "properties": {
                "order_id": f"o-{run}",
                "total": 29.95,
                "currency": "USD",
                "products": items,
            },
            "context": {"traits": ann},
        },
        {
            "type": "track",
            "event": "Audience Entered",
            "userId": "u-bob",
            "properties": {"audience_key": "tea_lovers", "tea_lovers": True},
            "context": {"traits": bob, **audience},
        },
        {
            "type": "track",
            "event": "Audience Exited",
            "userId": "u-bob",
            "properties": {"audience_key": "tea_lovers", "tea_lovers": False},
            "context": {"traits": bob, **audience},
        },
        {
            "type": "track",
            "event": "User Subscribed",
            "userId": "u-ann",
            "properties": {},
            "context": {"traits": {"email": "ann@acme.io"}},
        },
        {
            "type": "track",
            "event": "User Unsubscribed",
            "userId": "u-bob",
            "properties": {},
            "context": {"traits": bob},
        },
        {"type": "page", "userId": "u-ann", "name": "Home", "properties": {"url": "https://a.io"}},
        {"type": "screen", "userId": "u-ann", "name": "Settings", "properties": {}},
        {"type": "group", "userId": "u-ann", "groupId": "g-1", "traits": {"name": "Acme"}},
        {"type": "alias", "userId": "u-ann", "previousId": "anon-1"},
        {"type": "identify", "userId": "u-eve", "traits": {"email": "not an address"}},
        {"type": "track", "userId": "u-ann", "properties": {}},
    ]
    return [
        (_title(body), {**body, "messageId": f"demo-{run}-{i:02}"}) for i, body in enumerate(bodies)
    ]


def _title(body: dict[str, Any]) -> str:
    return f"{body['type']} {body.get('event') or body.get('name') or ''}".strip()


def report(parts: Running, settings: Settings) -> bool:
    """Post the samples, wait for their ends, print what became of each; True when all have one."""
    run = f"{time.time_ns() // 1_000_000:x}"
    posted = samples(run)
    with httpx.Client(base_url=parts.server, trust_env=False, timeout=10) as http:
        answer = _post(http, settings, [body for _title, body in posted])
        settled = wait_settled(parts.server, SETTLE_SECONDS)
        dead = http.get("/admin/dead", params={"limit": 1000}).json()["dead"]
        log = http.get("/admin/deliveries", params={"limit": 1000}).json()["deliveries"]
        counts = http.get("/admin/counts", params={"audit": 1}).json()
    reasons = {each["id"]: each["message"] for each in dead}
    rejected = {each["index"]: each for each in answer.get("rejected", [])}
    for number, (title, body) in enumerate(posted):
        click.echo(f"\n{title}  ({body['messageId']})")
        if number in rejected:
            click.echo(
                f"  refused at the door: {rejected[number]['code']}: {rejected[number]['message']}"
            )
            continue
        entries = [each for each in reversed(log) if each["id"] == body["messageId"]]
        if not entries:
            click.echo("  no mapping wants it: counted as unmatched")
        for entry in entries:
            _entry(entry, reasons)
    if parts.sandbox:
        _holdings(parts.sandbox)
    _balance(counts, settled)
    return settled and not counts["imbalance"]


def _post(http: httpx.Client, settings: Settings, batch: list[dict[str, Any]]) -> dict[str, Any]:
    keys = [key for source in settings.sources.values() for key in source.write_keys]
    stamp = datetime.now(UTC).isoformat()
    batch = [{**each, "timestamp": stamp} for each in batch]
    key = keys[0].get_secret_value()
    answer = http.post("/v1/batch", json={"batch": batch, "sentAt": stamp}, auth=(key, ""))
    if answer.status_code != 200:
        raise SettingsError(f"the server refused the samples: {answer.text}")
    found: dict[str, Any] = answer.json()
    return found


def _entry(entry: dict[str, Any], reasons: dict[str, str]) -> None:
    letter = f"{entry['source']}:{entry['id']}:{entry['mapping']}"
    said = reasons.get(letter, "") if entry["outcome"] == "dead" else entry["note"]
    note = f" ({said})" if said else ""
    if entry["outcome"] in {"submitted", "retry"}:
        click.echo(f"  {entry['mapping']} -> {entry['action']}: {entry['outcome']}")
    else:
        end = f"{entry['outcome'].upper()}: {entry['code']}{note}"
        click.echo(f"  {entry['mapping']} -> {entry['action']}: {end}")
    for method, path, status in entry["requests"]:
        click.echo(f"    {method} {path} -> {status or 'no answer'}")


def _holdings(sandbox: str) -> None:
    counts = httpx.get(f"{sandbox}/sandbox/counts", timeout=5, trust_env=False).json()
    click.echo("\nThe sandbox Klaviyo now holds:")
    click.echo("  " + ", ".join(f"{name} {n}" for name, n in counts.items() if isinstance(n, int)))


def _balance(counts: dict[str, Any], settled: bool) -> None:
    say: Callable[[str], None] = click.echo
    say("\nCounts:")
    for name, source in counts["sources"].items():
        say(f"  source {name}: " + ", ".join(f"{state} {n}" for state, n in source.items()))
    for name, each in counts["connections"].items():
        states = ("accepted", "delivered", "dropped", "dead", "pending")
        say(f"  connection {name}: " + ", ".join(f"{state} {each[state]}" for state in states))
    for line in counts["imbalance"]:
        say(f"  does not add up: {line}")
    if not settled:
        say(f"  not everything has ended within {SETTLE_SECONDS:g} s")
