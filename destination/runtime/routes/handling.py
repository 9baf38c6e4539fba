"""What the admin routes do with dead letters: list, replay, sketch a replay, discard."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from types import MappingProxyType
from typing import Any

from destination.errors import Rejected, SettingsError
from destination.pipeline import Route
from destination.runtime.letters.dead_letters import DeadLetters, Selection, selection_of, shown
from destination.runtime.letters.replays import How, Replays, drafts_in, handful, sketch_json
from destination.runtime.logs import log
from destination.runtime.store import DeadLetter, Scripts
from destination.settings import Settings

AT_ONCE = 1000
"""Letters that one request moves, unless it says how many; the answer says how many are left."""

MOST = 10_000
"""Letters that one request may ask for: the caller waits, and the lanes must take them."""

SKETCHES = 100
"""Letters of which one request shows what their replay would come to, unless it says how many."""

RATE = 100.0
"""Letters a second that go back, unless the request says how many."""

RATES = (0.1, 10_000.0)

SECONDS = 20.0
"""Seconds after which a replay answers how far it came: callers and proxies wait no longer."""


def listed(letters: DeadLetters, query: Mapping[str, str], most: int) -> dict[str, Any]:
    """The letters that a query asks for, oldest first. Raises ``Rejected`` 400."""
    given: dict[str, Any] = dict(query)
    for name in ("since", "until"):
        if name in given:
            given[name] = _seconds(name, given[name])
    found = islice(letters.matching(selection_of(given)), most)
    return {"dead": [shown(letter) for letter in found], "total": len(letters)}


def replayed(
    scripts: Scripts,
    settings: Settings,
    connection: str,
    wanted: Mapping[str, Any],
    *,
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """Put letters back, or with ``dry_run`` show what that would come to. Raises ``Rejected``.

    After so many ``seconds`` it answers how far it came.
    """
    try:
        replays = Replays(scripts, settings, connection)
    except SettingsError as error:
        raise Rejected(409, "mappings_unusable", str(error)) from error
    drafts = drafts_in(wanted["draft"]) if "draft" in wanted else {}
    how = How(drafts, failed=_flag(wanted, "as_it_was"), live=_flag(wanted, "live"))
    if drafts and how.failed:
        raise Rejected(400, "bad_request", "as_it_was and a draft exclude each other")
    rate = _rate(wanted)
    if _flag(wanted, "dry_run"):
        chosen, left = _taken(replays.letters, wanted, SKETCHES, drafts)
        known, now = replays.delivered(), time.time()
        sketches = [sketch_json(replays.sketch(each, how, known, now)) for each in chosen]
        return {"moved": 0, "left": left, "sketches": sketches, "known_since": known.since}
    chosen, more = _taken(replays.letters, wanted, AT_ONCE, drafts)
    end = time.monotonic() + seconds
    moved, left = _put_back(replays, [each.id for each in chosen], how, rate, end)
    log.info("letters_replayed", connection=connection, moved=moved, left=left + more)
    return {"moved": moved, "left": left + more}


def _put_back(
    replays: Replays, ids: Sequence[str], how: How, rate: float, end: float
) -> tuple[int, int]:
    """Put letters back until ``end`` (monotonic seconds); how many moved, and how many are left."""
    moved, tried = 0, 0
    for step in replays.paced(ids, how, rate):
        if step is not None:
            moved, tried = moved + step, tried + handful(rate)
        if time.monotonic() > end:
            break
    return moved, max(0, len(ids) - tried)


def discarded(letters: DeadLetters, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Drop letters for good. Raises ``Rejected``."""
    chosen, left = _taken(letters, wanted, AT_ONCE)
    moved = letters.discard(chosen)
    log.info("letters_discarded", connection=letters.connection, moved=moved, left=left)
    return {"moved": moved, "left": left}


def _taken(
    letters: DeadLetters,
    wanted: Mapping[str, Any],
    default: int,
    drafts: Mapping[str, Route] = MappingProxyType({}),
) -> tuple[list[DeadLetter], int]:
    """The letters that are meant, as many as may be, and how many more there are."""
    limit = wanted.get("limit", default)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST:
        raise Rejected(400, "bad_request", f"limit must be a number from 1 to {MOST:,}")
    found = list(_meant(letters, wanted, drafts))
    return found[:limit], max(0, len(found) - limit)


def _meant(
    letters: DeadLetters, wanted: Mapping[str, Any], drafts: Mapping[str, Route]
) -> Iterator[DeadLetter]:
    selection = Selection() if wanted.get("all") is True else selection_of(dict(wanted))
    if drafts:
        others = selection.mappings - drafts.keys()
        if others:
            what = f"the draft has no mapping {min(others)!r}; it has: {', '.join(drafts)}"
            raise Rejected(400, "bad_request", what)
        selection = replace(selection, mappings=selection.mappings or frozenset(drafts))
    if "ids" in wanted:
        return filter(selection.wants, letters.some(wanted["ids"]))
    return letters.matching(selection)


def _flag(wanted: Mapping[str, Any], name: str) -> bool:
    value = wanted.get(name, False)
    if not isinstance(value, bool):
        raise Rejected(400, "bad_request", f"{name} must be true or false")
    return value


def _rate(wanted: Mapping[str, Any]) -> float:
    value, (low, high) = wanted.get("rate", RATE), RATES
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Rejected(
            400, "bad_request", f"rate must be letters a second, from {low:g} to {high:,.0f}"
        )
    return float(value)


def _seconds(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Rejected(400, "bad_request", f"{name} must be unix seconds") from None
