"""``destination status`` and ``destination tail``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import click

from destination.catalogue import remedy
from destination.cli.parts import redis_of
from destination.event import decode, encode
from destination.runtime.conflicts import conflicts
from destination.runtime.counts import STATES, imbalance, read_counts, read_halts
from destination.runtime.recent_deliveries import RECENT, recent_deliveries
from destination.runtime.store import Scripts, connect
from destination.settings import describe, load_settings


@click.command()
@click.option("--settings", "settings_", is_flag=True, help="Print every setting, secrets masked.")
@click.option(
    "--conflicts",
    "conflicts_",
    is_flag=True,
    help="Print some events that came under the id of another event, and were not taken.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def status(settings_: bool, conflicts_: bool, form: str) -> None:
    """Show the counts: accepted, delivered, dropped, dead, pending. Status 1 when they are off."""
    settings = load_settings()
    if settings_:
        for setting in describe(settings):
            click.echo(
                f"{setting.name} = {setting.value}  ({setting.origin})\n    {setting.meaning}"
            )
        return
    client = connect(redis_of(settings))
    try:
        if conflicts_:
            for name in settings.connections:
                for each in conflicts(client, name):
                    click.echo(encode(each))
            return
        counts = read_counts(Scripts(client), settings.connections)
        halts = read_halts(client, settings.connections)
    finally:
        client.close()
    wrong = imbalance(counts)
    if form == "json":
        click.echo(encode({**counts, "halted": halts, "imbalance": wrong}))
    else:
        _print(counts, halts)
        for line in wrong:
            click.echo(f"does not add up: {line}", err=True)
    if wrong:
        raise SystemExit(1)


def _print(counts: dict[str, Any], halts: dict[str, dict[str, Any]]) -> None:
    for name, source in counts["sources"].items():
        said = "  ".join(f"{state} {value}" for state, value in source.items())
        click.echo(f"source {name}: {said}")
    for name, connection in counts["connections"].items():
        click.echo(f"connection {name}" + (_halted(halts[name]) if name in halts else ""))
        width = max([len(mapping) for mapping in connection["mappings"]] or [0])
        for mapping, values in connection["mappings"].items():
            said = "  ".join(f"{state} {values[state]}" for state in STATES)
            click.echo(f"  {mapping:<{width}}  {said}")


def _halted(told: dict[str, Any]) -> str:
    since = datetime.fromtimestamp(told["since"], UTC).strftime("%Y-%m-%d %H:%M:%S")
    what = f": HALTED since {since} UTC: {told['code']}: {told['message']}"
    return f"{what}\n  {remedy(told['code'])}".rstrip()


@click.command()
@click.option("--connection", help="Name of the connection; the first by default.")
@click.option("--follow/--no-follow", default=True, show_default=True)
def tail(connection: str | None, follow: bool) -> None:
    """Show deliveries as they happen."""
    settings = load_settings()
    client: Any = connect(redis_of(settings))
    name = connection or next(iter(settings.connections))
    last: bytes | None = None
    while True:
        entries = recent_deliveries(client, name, RECENT)
        new = entries[: entries.index(last)] if last in entries else entries
        for entry in reversed(new):
            click.echo(_line(decode(entry)))
        last = entries[0] if entries else None
        if not follow:
            return
        time.sleep(0.5)


def _line(entry: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(entry["time"], UTC).strftime("%H:%M:%S")
    sent = ", ".join(f"{method} {path} {status}" for method, path, status in entry["requests"])
    note = f" ({entry['note']})" if entry["note"] else ""
    return f"{when}  {entry['id']}  {entry['mapping']}  {entry['outcome']} {entry['code']}{note}  {sent}"
