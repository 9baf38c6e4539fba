"""From events to outcomes, without touching the world: ``plan`` and ``deliver``.

Server, workers, the preview, replays and tests all call these.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from destination.action import Action, Batch, Payload
from destination.delivery import Delivered, Discard, Dropped, Halt, Outcome, Retry, Submitted
from destination.errors import Ended, MappingError, NoRoom, Unanswered
from destination.fields import PayloadError
from destination.mapping.budget import TooExpensive
from destination.mapping.file import Mapping
from destination.mapping.payload import compile_payload
from destination.sending import Account

Spread = Callable[[Sequence[Callable[[], None]]], None]
"""Runs tasks, at once if it can, and returns when all have ended."""


def one_by_one(tasks: Sequence[Callable[[], None]]) -> None:
    """The simplest ``Spread``."""
    for task in tasks:
        task()


@dataclass(frozen=True, slots=True)
class Route:
    """A mapping with the action it names, ready to use.

    ``payload(body)`` is what the mapping gives for an event, checked by the action's fields; it
    raises ``MappingError`` and ``PayloadError``.
    """

    mapping: Mapping
    action: Action
    payload: Callable[[dict[str, Any]], Payload]

    @property
    def lane(self) -> str:
        """The queue of this mapping's rows: its own, or the one of all that must keep order."""
        return self.action.order(self.mapping.fields) or self.mapping.name

    @property
    def rows(self) -> int:
        """How many rows one pass takes from the lane at the most."""
        batch = self.action.batch
        if batch is None or not self.mapping.batch.enabled:
            return SINGLES
        return min(self.mapping.batch.size or batch.rows, batch.rows)


SINGLES = 100
"""Rows of one pass where each needs a request of its own."""


def route(mapping: Mapping, actions: Dict[str, Action]) -> Route:
    """Make a mapping ready. Raises ``KeyError`` for an action that does not exist."""
    action = actions[mapping.action]
    return Route(mapping, action, compile_payload(mapping.fields, action.fields))


def matching(body: dict[str, Any], mappings: Iterable[Mapping]) -> list[Mapping]:
    """The enabled mappings that want this event, in file order."""
    return [mapping for mapping in mappings if mapping.enabled and mapping.matches(body)]


LATE = 3600.0
"""Seconds after which a replayed event must set nothing off any more: nobody waits for its mail."""


def late(body: dict[str, Any], now: float) -> bool:
    """Whether an event happened long before ``now`` (unix seconds); so does one of unknown time."""
    try:
        happened = datetime.fromisoformat(body.get("timestamp") or body.get("receivedAt") or "")
        return now - happened.timestamp() > LATE
    except (TypeError, ValueError):
        return True


def plan(body: dict[str, Any], route: Route, now: float, *, replayed: bool = False) -> Payload:
    """What is to be sent for one event: fields resolved, checked and prepared.

    The replay of an event that happened more than ``LATE`` seconds ago is quiet, where the action
    can be and the mapping does not say otherwise.

    Raises ``Ended`` with a ``Discard`` whose code is ``mapping_failed``, ``mapping_too_expensive``, ``payload_invalid`` or
    one of the action's own.
    """
    try:
        payload = route.payload(body)
    except MappingError as error:
        code = "mapping_too_expensive" if isinstance(error, TooExpensive) else "mapping_failed"
        raise Ended(Discard(code, error.message, error.path)) from error
    except PayloadError as error:
        text = "; ".join(f"{p.path}: {p.message}" for p in error.problems)
        raise Ended(Discard("payload_invalid", text, error.problems[0].path)) from error
    stamp = route.action.stamp
    if stamp and stamp not in payload and "timestamp" in body:
        payload = {**payload, stamp: body["timestamp"]}
    quiet = route.action.quiet
    if replayed and quiet and quiet not in payload and late(body, now):
        payload = {**payload, quiet: True}
    return route.action.prepare(payload, now)


class Delivery(msgspec.Struct, gc=False):  # made in a third of a dataclass's time
    """A planned row: whose it is and what is to be sent."""

    person: str
    payload: Payload


def unchanged(rows: Sequence[tuple[str, str]], known: Dict[str, str]) -> list[bool]:
    """Which rows need not be sent, given each one's person and digest, in order.

    ``known`` holds the digest of each person's last delivery. A row that says the same needs no
    sending, unless an earlier one of the same person does: then ``known`` is no longer so. A row
    without a digest is always sent.
    """
    moved: set[str] = set()
    same = []
    for person, digest in rows:
        same.append(bool(digest) and person not in moved and known.get(person) == digest)
        if not same[-1]:
            moved.add(person)
    return same


LATER = Retry(
    "waits_for_earlier", "an earlier delivery of the same person comes first", 0, spends=False
)
"""The outcome of a row that must not overtake an earlier one of the same person."""


AccountFor = Callable[[Sequence[int]], Account]
"""The account as the rows with these numbers may use it: the runtime notes who asked what."""


def deliver(
    rows: Sequence[Delivery],
    action: Action,
    account: AccountFor,
    *,
    batched: bool,
    spread: Spread = one_by_one,
    fault: Callable[[Exception], Outcome] | None = None,
) -> list[Outcome]:
    """Send planned rows and give each its outcome, in order.

    Rows that the bulk endpoint can express and that belong to one request go together; a row
    alone, and what bulk cannot express, goes through the single-record endpoint. Rows of one
    person never travel in two requests of one pass unless one after the other. An exception that
    no action should raise is the outcome that ``fault`` makes of it, or goes on.
    """
    run = _Run(rows, action, account, fault)
    spread([unit.task(run) for unit in _divide(rows, action.batch if batched else None)])
    return run.ends()


@dataclass(slots=True)
class _Unit:
    """Rows that go in one request, or one after the other."""

    bulk: bool
    members: list[int]

    def task(self, run: _Run) -> Callable[[], None]:
        if self.bulk and len(self.members) > 1:
            return lambda: run.bulk(self.members)
        return lambda: run.singles(self.members)


_ALONE = object()
"""In place of its group: a row that no bulk request can take."""


def _groups(rows: Sequence[Delivery], batch: Batch | None) -> list[Hashable]:
    if batch is None:
        return [_ALONE] * len(rows)
    fits, group = batch.fits, batch.group
    return [group(row.payload) if fits(row.payload) else _ALONE for row in rows]


def _divide(rows: Sequence[Delivery], batch: Batch | None) -> list[_Unit]:
    """The units of one pass. A row whose person is already in another unit is in none of them,
    nor is any later row of that person.
    """
    most = batch.rows if batch else 0
    groups = _groups(rows, batch)
    if 1 < len(rows) <= most and _ALONE not in groups and len(set(groups)) == 1:
        return [_Unit(True, list(range(len(rows))))]
    units: list[_Unit] = []
    claimed: dict[str, _Unit] = {}
    filling: dict[Hashable, _Unit] = {}
    late: set[str] = set()
    for number, (row, group) in enumerate(zip(rows, groups, strict=True)):
        person, bulk = row.person, group is not _ALONE
        key = group if bulk else (_ALONE, person)
        unit = filling.get(key)
        if unit and bulk and len(unit.members) == most:
            unit = None
        if person in late or claimed.get(person, unit) is not unit:
            late.add(person)
            continue
        if unit is None:
            unit = filling[key] = _Unit(bulk, [])
            units.append(unit)
        claimed[person] = unit
        unit.members.append(number)
    return units


class _Run:
    """One pass: the outcomes so far, and whether to go on asking."""

    def __init__(
        self,
        rows: Sequence[Delivery],
        action: Action,
        account: AccountFor,
        fault: Callable[[Exception], Outcome] | None,
    ) -> None:
        self._fault = fault
        self._rows = rows
        self._action = action
        self._account = account
        self._outcomes: list[Outcome | None] = [None] * len(rows)
        self._stop: Retry | Halt | None = None

    def ends(self) -> list[Outcome]:
        """All outcomes; rows that were not tried wait for what stopped the pass, or their turn."""
        rest = self._stop if isinstance(self._stop, Halt) else LATER
        if isinstance(self._stop, Retry):
            rest = Retry(
                self._stop.code, self._stop.message, self._stop.after, spends=False, whole=True
            )
        return [rest if outcome is None else outcome for outcome in self._outcomes]

    def bulk(self, members: list[int]) -> None:
        if self._stop:
            return
        batch = self._action.batch
        assert batch is not None
        payloads = [self._rows[i].payload for i in members]
        try:
            outcomes: Sequence[Outcome] = batch.perform(payloads, self._account(members))
        except Exception as error:  # noqa: BLE001 one row's fault must not be its neighbours'
            outcomes = [self._outcome(error)] * len(members)
        for i, outcome in zip(members, outcomes, strict=True):
            self._outcomes[i] = outcome
            if self._stop is None and isinstance(outcome, (Halt, Retry)):
                self._heed(outcome)

    def singles(self, members: list[int]) -> None:
        for i in members:
            if self._stop:
                return
            try:
                outcome = self._action.perform(self._rows[i].payload, self._account([i]))
            except Exception as error:  # noqa: BLE001 as above
                outcome = self._outcome(error)
            self._outcomes[i] = outcome
            self._heed(outcome)
            if not isinstance(outcome, Delivered | Dropped | Discard):
                return

    def _outcome(self, error: Exception) -> Outcome:
        if isinstance(error, Ended | Unanswered | NoRoom):
            return outcome_of(error)
        if self._fault is None:
            raise error
        return self._fault(error)

    def _heed(self, outcome: Outcome) -> None:
        """Stop where the outcome concerns all that has not been tried."""
        if isinstance(outcome, Halt) or (isinstance(outcome, Retry) and outcome.whole):
            self._stop = self._stop or outcome


def outcome_of(error: Ended | Unanswered | NoRoom) -> Outcome:
    """What an exception from inside an action means for the row it was working on."""
    if isinstance(error, Ended):
        return error.outcome
    if isinstance(error, NoRoom):
        return Retry("no_room", str(error), error.after, spends=False, whole=True)
    return Retry("unanswered", str(error), whole=True)


def backoff(attempts: int, chance: float, *, base: float = 1.0, cap: float = 300.0) -> float:
    """Seconds to wait after failed attempt number ``attempts``: full jitter, ``chance`` in [0, 1).

    At least half a second, so that a fault that lasts an instant is not met again at once.
    """
    return max(0.5, chance * min(cap, base * 2.0 ** min(attempts, 30)))


def exhausted(attempts: int, since: float, now: float, *, most: int, hours: float) -> bool:
    """Whether the budget for transient errors is spent: enough attempts *and* enough time."""
    return attempts >= most and now - since >= hours * 3600


__all__ = [
    "LATER",
    "Delivery",
    "Route",
    "Submitted",
    "backoff",
    "deliver",
    "exhausted",
    "matching",
    "outcome_of",
    "plan",
    "route",
    "unchanged",
]
