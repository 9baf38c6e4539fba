"""What the admin routes do with dead letters: list, replay, sketch a replay, discard."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from destination.errors import Rejected, SettingsError
from destination.runtime.letters.dead_letters import DeadLetters, Selection, selection_of, shown
from destination.runtime.letters.replays import How, Replays, sketch_json
from destination.runtime.store import DeadLetter, Scripts
from destination.settings import Settings

AT_ONCE = 1000
"""Letters that one request moves, unless it says how many; the answer says how many are left."""

MOST = 10_000
"""Letters that one request may ask for: the caller waits, and the lanes must take them."""

SKETCHES = 100
"""Letters of which one request shows what their replay would come to, unless it says how many."""


def listed(letters: DeadLetters, query: Mapping[str, str], most: int) -> dict[str, Any]:
    """The letters that a query asks for, oldest first. Raises ``Rejected`` 400."""
    given: dict[str, Any] = dict(query)
    for name in ("since", "until"):
        if name in given:
            given[name] = _seconds(name, given[name])
    found = islice(letters.matching(selection_of(given)), most)
    return {"dead": [shown(letter) for letter in found], "total": len(letters)}


def replayed(
    scripts: Scripts, settings: Settings, connection: str, wanted: Mapping[str, Any]
) -> dict[str, Any]:
    """Put letters back, or with ``dry_run`` show what that would come to. Raises ``Rejected``."""
    try:
        replays = Replays(scripts, settings, connection)
    except SettingsError as error:
        raise Rejected(409, "mappings_unusable", str(error)) from error
    how = How(failed=_flag(wanted, "as_it_was"), live=_flag(wanted, "live"))
    if _flag(wanted, "dry_run"):
        chosen, left = _taken(replays.letters, wanted, SKETCHES)
        known, now = replays.delivered(), time.time()
        sketches = [sketch_json(replays.sketch(each, how, known, now)) for each in chosen]
        return {"moved": 0, "left": left, "sketches": sketches, "known_since": known.since}
    chosen, left = _taken(replays.letters, wanted, AT_ONCE)
    return {"moved": replays.put_back(chosen, how), "left": left}


def discarded(letters: DeadLetters, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Drop letters for good. Raises ``Rejected``."""
    chosen, left = _taken(letters, wanted, AT_ONCE)
    return {"moved": letters.discard(chosen), "left": left}


def _taken(
    letters: DeadLetters, wanted: Mapping[str, Any], default: int
) -> tuple[list[DeadLetter], int]:
    """The letters that are meant, as many as may be, and how many more there are."""
    limit = wanted.get("limit", default)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST:
        raise Rejected(400, "bad_request", f"limit must be a number from 1 to {MOST:,}")
    found = list(_meant(letters, wanted))
    return found[:limit], max(0, len(found) - limit)


def _meant(letters: DeadLetters, wanted: Mapping[str, Any]) -> Iterator[DeadLetter]:
    selection = Selection() if wanted.get("all") is True else selection_of(dict(wanted))
    if "ids" in wanted:
        return filter(selection.wants, letters.some(wanted["ids"]))
    return letters.matching(selection)


def _flag(wanted: Mapping[str, Any], name: str) -> bool:
    value = wanted.get(name, False)
    if not isinstance(value, bool):
        raise Rejected(400, "bad_request", f"{name} must be true or false")
    return value


def _seconds(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Rejected(400, "bad_request", f"{name} must be unix seconds") from None
