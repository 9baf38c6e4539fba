"""What one pass over a lane comes to: from outcomes to the record that is committed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

import msgspec

from destination.delivery import Delivered, Discard, Dropped, Halt, Outcome, Retry, Submitted
from destination.event import encode
from destination.pipeline import Route, backoff, exhausted
from destination.runtime.delivery.connections import Exchange
from destination.runtime.delivery.lanes import Record
from destination.runtime.logs import log, log_all
from destination.runtime.recent_deliveries import RECENT
from destination.runtime.store import DeadLetter, Row, person_key
from destination.settings import Settings

FIRST_POLL = 0.5
"""Seconds after which a job at Klaviyo is asked for the first time."""

SEARCHING = 5.0
"""Seconds that a lane waits at the most after a request that failed as a whole."""

PROBE = 60.0
"""Seconds between two questions whether a halted connection may go on."""


@dataclass(slots=True)
class Settling:
    """Turns outcomes into operations. ``chance`` gives a number in [0, 1) for jitter.

    ``alarms`` are things that rows wait for and that a person should look at: (code, thing).
    """

    connection: str
    lane: str
    routes: Mapping[str, Route]
    settings: Settings
    now: float
    chance: Callable[[], float]
    record: Record = field(default_factory=Record)
    alarms: set[tuple[str, str]] = field(default_factory=set)
    _ends: dict[tuple[str, str], int] = field(default_factory=dict)
    _reasons: dict[tuple[str, str], int] = field(default_factory=dict)
    _waiting: set[str] = field(default_factory=set)
    _kept: set[str] = field(default_factory=set)
    _jobs: set[str] = field(default_factory=set)
    _lines: list[bytes] = field(default_factory=list)
    _recent: list[bytes] = field(default_factory=list)
    _noted: dict[str, bytes] = field(default_factory=dict)
    _told: dict[tuple[object, ...], tuple[bytes, bytes]] = field(default_factory=dict)
    _rows: int = 0
    _hold: float | None = None
    _reason: str = ""

    def settle(
        self,
        rows: Sequence[Row],
        outcomes: Sequence[Outcome],
        exchanges: Mapping[int, Sequence[Exchange]],
        places: Sequence[int],
    ) -> Record:
        """The record for rows read from the head of the lane, where they stand at ``places``."""
        # A request that fails while others are answered is about its row, not about Klaviyo.
        alone = any(
            isinstance(outcome, Delivered | Submitted | Discard) and number in exchanges
            for number, outcome in enumerate(outcomes)
        )
        self._rows = len(rows)
        for number, (row, outcome) in enumerate(zip(rows, outcomes, strict=True)):
            seen = exchanges.get(number, ())
            match outcome:
                case Delivered() | Dropped() | Discard():
                    self._end(row, outcome, seen)
                case Submitted(job=job, key=key):
                    self.record.sent(job, row, encode(key), places[number])
                    if job not in self._jobs:
                        self._jobs.add(job)
                        self.record.poll(job, FIRST_POLL)
                    self._waiting.add(row.person)
                    self._tell(row, "submitted", "submitted", "", seen)
                case Halt(code=code, message=message):
                    self._front(row)
                    self._halt(code, message)
                case Retry():
                    self._retry(row, outcome, seen, places[number], alone=alone)
                case _:
                    assert_never(outcome)  # a row without an outcome would be lost
        return self._finished()

    def settle_job(self, job: str, rows: Sequence[Row], outcomes: Sequence[Outcome]) -> Record:
        """The record for the rows of a job that has ended."""
        self.record.job = job
        again: set[str] = set()
        for row, outcome in reversed(list(zip(rows, outcomes, strict=True))):
            if isinstance(outcome, Delivered | Dropped | Discard):
                self._end(row, outcome, ())
                continue
            tried = self._spent(row, outcome)
            if tried is not None:
                again.add(row.person)
                self.record.park(tried, backoff(tried.attempts, self.chance()), first=True)
        self.record.free({row.person for row in rows} - again)
        return self._finished()

    def halt_job(self, job: str, halt: Halt) -> Record:
        """The record for a job that cannot be asked about until a person has acted."""
        self.record.poll(job, PROBE)
        self._halt(halt.code, halt.message)
        return self.record

    def _finished(self) -> Record:
        log_all("delivery", self._lines)
        if self._recent:
            self.record.log(self._recent)
        for (mapping, state), by in self._ends.items():
            self.record.end(mapping, state, by)
        for (mapping, reason), by in self._reasons.items():
            self.record.count(mapping, reason, by)
        if self._hold is not None:
            self.record.hold(self._hold, self._reason)
        return self.record

    def _halt(self, code: str, message: str) -> None:
        if self._reason != code:
            self._reason = code
            self.record.halt(PROBE, encode({"code": code, "message": message}).decode())
            log.error("connection_halted", connection=self.connection, code=code, message=message)

    def _end(
        self, row: Row, outcome: Delivered | Dropped | Discard, seen: Sequence[Exchange]
    ) -> None:
        state, note = "delivered", ""
        if isinstance(outcome, Discard):
            state, note = "dead", outcome.message
            self.record.bury(self._letter(row, outcome))
        elif isinstance(outcome, Dropped):
            state, note = "dropped", outcome.note
            reason = (row.mapping, f"dropped:{outcome.code}")
            self._reasons[reason] = self._reasons.get(reason, 0) + 1
        else:
            note = outcome.note
        self._ends[row.mapping, state] = self._ends.get((row.mapping, state), 0) + 1
        self._tell(row, state, outcome.code, note, seen)

    def _made_by(self, row: Row) -> tuple[str, str]:
        """Action and version of the row's mapping; empty when it has gone meanwhile."""
        route = self.routes.get(row.route)
        return (route.mapping.action, route.mapping.version) if route else ("", "")

    def _letter(self, row: Row, end: Discard) -> DeadLetter:
        action, version = self._made_by(row)
        return DeadLetter(
            id=f"{row.source}:{row.id}:{row.mapping}",
            mapping=row.mapping,
            lane=self.lane,
            action=action,
            version=version,
            code=end.code,
            message=end.message,
            time=self.now,
            row=row,
            field=end.field,
            status=end.status,
            attempts=row.attempts + 1,
        )

    def _isolated(self, row: Row) -> bool:
        """Whether a row that failed with others has now failed alone: it is at fault, or Klaviyo
        is down; in both cases it waits by itself and the next one is tried.
        """
        return self._rows == 1 and row.attempts > 0

    def _front(self, row: Row) -> None:
        self._kept.add(row.person)
        self.record.front(row)

    def _retry(
        self, row: Row, outcome: Retry, seen: Sequence[Exchange], place: int, *, alone: bool
    ) -> None:
        if outcome.aside:
            self._aside(row, outcome, seen)
            return
        if not outcome.spends:
            if row.person in self._waiting:
                self.record.follow(row, place)
            elif outcome.after and not outcome.whole and row.person not in self._kept:
                self._waiting.add(row.person)
                self.record.park(row, outcome.after, first=True)
            else:
                self._front(row)
            if outcome.whole:
                self._wait(
                    outcome.after or (1 if outcome.code == "redis_failed" else 0), outcome.code
                )
            return
        tried = self._spent(row, outcome, seen)
        if tried is None:
            return
        # An answer may ask for a longer wait than the usual one, never for a shorter one.
        asked, usual = outcome.after or 0.0, backoff(tried.attempts, self.chance())
        wait = max(asked, usual)
        # While a batch is being halved, one request every few seconds finds the row at fault.
        search = max(asked, min(usual, SEARCHING))
        if row.person in self._kept or (outcome.whole and not alone and not self._isolated(row)):
            self._front(tried)
            self._wait(search, outcome.code)
        else:
            # The first of a person goes before those that wait already, the others behind it.
            self.record.park(tried, wait, first=row.person not in self._waiting)
            self._waiting.add(row.person)
            if outcome.whole and not alone:
                self._wait(search, outcome.code)
        self._tell(row, "retry", outcome.code, outcome.message, seen)

    def _aside(self, row: Row, outcome: Retry, seen: Sequence[Exchange]) -> None:
        """Wait for what a person must put right, or be dead when nobody has for so many hours."""
        self.alarms.add((outcome.code, outcome.aside))
        row = msgspec.structs.replace(row, since=row.since or self.now)
        hours = self.settings.missing_list_hours
        if self.now - row.since >= hours * 3600:
            self._end(row, Discard(outcome.code, outcome.message), seen)
            return
        # Only what waits for the same thing stays behind it, so its name is not the person's.
        key = person_key(f"{row.person}\t{outcome.aside}")
        self.record.park_at(key, row, outcome.after or backoff(1, self.chance()))
        self._tell(row, "retry", outcome.code, outcome.message, seen)

    def _spent(self, row: Row, outcome: Outcome, seen: Sequence[Exchange] = ()) -> Row | None:
        """The row with one attempt more, or None when its budget is spent and it is dead."""
        if isinstance(outcome, Retry) and not outcome.spends:
            return row
        tried = msgspec.structs.replace(row, attempts=row.attempts + 1, since=row.since or self.now)
        most, hours = self.settings.retry_attempts, self.settings.retry_hours
        if not exhausted(tried.attempts, tried.since, self.now, most=most, hours=hours):
            return tried
        message = outcome.message if isinstance(outcome, Retry) else str(outcome)
        code = outcome.code if isinstance(outcome, Retry) else "unknown"
        end = Discard("exhausted", f"{tried.attempts} attempts, the last: {code} {message}")
        self._end(row, end, seen)
        return None

    def _wait(self, seconds: float, reason: str) -> None:
        # Jitter is only added: nobody asks before Retry-After is over, nor all in one instant.
        jittered = seconds + self.chance() * min(1.0, seconds * 0.1)
        if self._hold is None or jittered > self._hold:
            self._hold, self._reason = jittered, reason

    def _tell(self, row: Row, outcome: str, code: str, note: str, seen: Sequence[Exchange]) -> None:
        # Rows of one request share their list of exchanges, which lives as long as this does.
        key = (row.route, row.source, row.attempts, outcome, code, id(seen))
        around = self._told.get(key)
        if around is None:
            around = self._told[key] = self._around(row, outcome, code, seen)
        before, after = around
        line = b"%b%b%b" % (before, encode(row.id), after)
        self._lines.append(line)
        if len(self._lines) <= RECENT:
            # What Klaviyo or a mapping said of a row may quote it; its dead letter has that.
            shown = note[:200] if outcome in {"delivered", "dropped"} else ""
            noted = self._noted.get(shown)
            if noted is None:
                noted = encode({"note": shown, "time": self.now})[1:-1]
                self._noted[shown] = noted
            person = encode(row.person)
            self._recent.append(b'%b,%b,"person":%b}' % (line[:-1], noted, person))

    def _around(
        self, row: Row, outcome: str, code: str, seen: Sequence[Exchange]
    ) -> tuple[bytes, bytes]:
        """What stands before and after a row's id in its line, the same for all of its request."""
        action, version = self._made_by(row)
        before = {
            "connection": self.connection,
            "mapping": row.mapping,
            "version": version,
            "action": action,
        }
        after = {
            "source": row.source,
            "outcome": outcome,
            "code": code,
            "attempt": row.attempts + 1,
            "requests": [[each.method, each.path, each.status] for each in seen[-5:]],
            "seconds": round(sum([each.seconds for each in seen]), 3),
        }
        return b'%b,"id":' % encode(before)[:-1], b",%b" % encode(after)[1:]
