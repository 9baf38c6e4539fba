"""What other mappings would change in what is sent for given events: a plan before it is applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from destination.action import Destination
from destination.cli.checked import check_files
from destination.cli.shown import count, difference
from destination.event import person
from destination.mapping.file import Mapping
from destination.pipeline import route
from destination.preview import Change, Side, compare
from destination.preview.comparison import Sent
from destination.runtime.recent_events import Recorded
from destination.settings import Settings

SHOWN = 20
"""Events whose changes are printed; the sums count all."""

_MARKS = {"added": "+", "changed": "~", "removed": "-"}


@dataclass(frozen=True, slots=True)
class Planned:
    """One event for which something else would be sent."""

    event: dict[str, Any]
    changes: Sequence[Change]


def usable(files: Iterable[Path], destination: Destination, revision: str) -> list[Mapping]:
    """The mappings in files. Raises ``click.ClickException`` for files that cannot be used."""
    checked = check_files(files, destination, revision, together=False)
    errors = [str(error) for each in checked for error in each.errors]
    if errors:
        raise click.ClickException("\n".join(errors))
    return [mapping for each in checked for mapping in each.mappings]


def plan_events(
    events: Iterable[Recorded],
    before: Sequence[Mapping],
    after: Sequence[Mapping],
    destination: Destination,
    settings: Settings,
    *,
    now: float,
    revision: str,
) -> list[Planned]:
    """The events for which ``after`` sends something else than ``before``.

    Mappings that an event's source may not use are left out on both sides.
    """
    sides: dict[frozenset[str] | None, tuple[Side, Side]] = {}
    planned = []
    for recorded in events:
        source = settings.sources.get(recorded.source)
        allowed = source.allowed_actions if source else None
        if allowed not in sides:
            sides[allowed] = (
                _side(before, destination, allowed),
                _side(after, destination, allowed),
            )
        changes = compare(recorded.event, *sides[allowed], destination, now=now, revision=revision)
        if changes:
            planned.append(Planned(recorded.event, changes))
    return planned


def _side(
    mappings: Sequence[Mapping], destination: Destination, allowed: frozenset[str] | None
) -> Side:
    return Side(
        [
            route(mapping, destination.actions)
            for mapping in mappings
            if allowed is None or mapping.action in allowed
        ]
    )


def sums(planned: Sequence[Planned]) -> dict[str, int]:
    """How many requests are added, changed and removed."""
    kinds = Counter(change.kind for each in planned for change in each.changes)
    return {"added": kinds["added"], "changed": kinds["changed"], "removed": kinds["removed"]}


def as_text(planned: Sequence[Planned], total: int) -> str:
    """What a person reads: the changes of some events, then sums by mapping and over all."""
    lines = [line for each in planned[:SHOWN] for line in _event_lines(each)]
    if len(planned) > SHOWN:
        more = count(len(planned) - SHOWN, "more event")
        lines.append(f"... and {more} with changes; --format json lists them all")
    by_mapping = Counter((c.mapping, c.kind) for each in planned for c in each.changes)
    lines += [f"{name}: {number:,} {kind}" for (name, kind), number in sorted(by_mapping.items())]
    said = ", ".join(f"{number:,} {kind}" for kind, number in sums(planned).items())
    lines.append(f"{count(total, 'event')}, {len(planned):,} with changes; requests: {said}")
    return "\n".join(lines)


def _event_lines(planned: Planned) -> list[str]:
    body = planned.event
    name = f"{body.get('type')} {body.get('event', '')}".strip()
    lines = [f"{name}  ({body.get('messageId', '')}, {person(body)})"]
    for change in planned.changes:
        sent = change.after or change.before or {}
        lines.append(f"  {_MARKS[change.kind]} {change.mapping}: {change.kind} {_title(sent)}")
        if change.kind == "changed":
            diff = difference(change.before, change.after, ("in use", "changed"))
        else:
            diff = difference(change.before or {}, change.after or {}, ("in use", "changed"))
        lines += [f"      {line}" for line in diff[2:]]
    return lines


def _title(sent: Sent) -> str:
    if "refused" in sent:
        return f"dead letter: {sent['refused']}"
    return f"{sent['method']} {sent['path']}"


def as_json(planned: Sequence[Planned], total: int) -> dict[str, Any]:
    """The same for programs, with every change of every event."""
    return {
        "events": total,
        "with_changes": len(planned),
        **sums(planned),
        "changes": [
            {
                "event": each.event.get("messageId"),
                "type": each.event.get("type"),
                "name": each.event.get("event"),
                "kind": change.kind,
                "mapping": change.mapping,
                "before": change.before,
                "after": change.after,
            }
            for each in planned
            for change in each.changes
        ],
    }
