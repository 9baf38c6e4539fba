"""Events in a file, as the server would take them in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from destination.event import Event, decode
from destination.ingress.normalise import Arrival, Malformed, canonical, wants_klaviyo
from destination.ingress.rows import Load, message_of


def read_events(path: str, rows: str = "") -> list[Event]:
    """The canonical events in a file: one, an array, a batch, or one a line; ``-`` reads stdin.

    An event with ``receivedAt`` has been taken in before and stays as it is; others are judged
    like a client's. With ``rows`` the file holds rows of ``POST /rows/{rows}``. Refused events are
    told on standard error. Raises ``click.ClickException`` for what is no JSON, and for a file with
    refused events only.
    """
    document = _document(path)
    beside: dict[str, Any] = {}
    if isinstance(document, dict) and isinstance(document.get("batch"), list):
        beside, document = document, document["batch"]
    items = document if isinstance(document, list) else [document]
    found = [
        event for index, item in enumerate(items) for event in _event(index, item, beside, rows)
    ]
    if items and not found:
        raise click.ClickException(f"{path}: all of its {len(items):,} events are refused")
    return found


def kept_away(event: Event) -> bool:
    """Whether a client's own ``integrations`` keep the event from Klaviyo."""
    return not wants_klaviyo(event.body)


def _event(index: int, item: Any, beside: dict[str, Any], rows: str) -> Iterator[Event]:
    taken = bool(rows) or (isinstance(item, dict) and "receivedAt" in item)
    arrival = Arrival(
        datetime.now(UTC),
        from_client=not taken,
        sent_at=beside.get("sentAt"),
        context=beside.get("context"),
        integrations=beside.get("integrations"),
    )
    try:
        message = message_of(item, Load(rows, "", "upsert")) if rows else item
        yield canonical(message, arrival)
    except Malformed as error:
        click.echo(f"event {index}: refused: {error.code}: {error.message}", err=True)


def _document(path: str) -> Any:
    try:
        text = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
    try:
        return decode(text)
    except ValueError:
        pass
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            lines += [decode(line)] if line.strip() else []
        except ValueError as error:
            raise click.ClickException(
                f"{path}: neither JSON nor JSON lines: line {number}: {error}"
            ) from error
    return lines
