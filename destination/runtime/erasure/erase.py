"""Erasing a person: whatever stands in Redis about them goes, and the counts go on adding up."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import redis

from destination.errors import DestinationError, SettingsError
from destination.event import decode
from destination.klaviyo.consent import marks
from destination.registry import DESTINATIONS
from destination.runtime.conflicts import conflicts_key
from destination.runtime.delivery.lanes import Lane, LeaseLost
from destination.runtime.delivery.remembered import Decisions, LastSent
from destination.runtime.erased import Erased
from destination.runtime.letters.dead_letters import DeadLetters
from destination.runtime.logs import log
from destination.runtime.presets import Mappings
from destination.runtime.recent_deliveries import entries_of, recent_key, without
from destination.runtime.recent_events import recorded_key
from destination.runtime.store import (
    PREFIX,
    DeadLetter,
    Row,
    Scripts,
    decode_letter,
    decode_row,
    dedupe_place,
)
from destination.runtime.subject import Subject
from destination.settings import Settings

CHUNK = 200
"""Rows that are read or taken out at once: Redis serves nobody else meanwhile."""

PASSES = 5
"""Times that everything is gone through at the most, as rows move while it is."""

PATIENCE = 120.0
"""Seconds to wait for a lane that a worker has: longer than any worker keeps one."""


SKEW = 300.0
"""Seconds by which clocks may differ: what came in so soon after the request goes as well."""


class LaneBusy(DestinationError):
    """A lane could not be had; nothing of it was erased."""


@dataclass(slots=True)
class Receipt:
    """What was erased, in numbers, and for whom, in hashes.

    ``submitted`` rows were with Klaviyo already, which may know them. ``kept`` are unsubscriptions,
    suppressions and requests for deletion that are still to be delivered: they go when they have
    been. ``compacted`` tells
    whether Redis rewrites its log, which holds what was erased until then.
    """

    connection: str
    hashes: dict[str, str]
    pending: int = 0
    submitted: int = 0
    dead: int = 0
    recorded: int = 0
    recent: int = 0
    dedupe: int = 0
    remembered: int = 0
    kept: int = 0
    compacted: bool = False


@dataclass(slots=True)
class Erasure:
    """Erases ``subject`` from one connection, or counts what there is with ``dry``.

    ``at`` is when that was asked for, in unix seconds; what came in later stays.
    """

    scripts: Scripts
    settings: Settings
    connection: str
    subject: Subject
    dry: bool = False
    patience: float = PATIENCE
    at: float = field(default_factory=time.time)
    receipt: Receipt = field(init=False)
    _events: set[tuple[str, str]] = field(init=False, default_factory=set)
    _people: set[str] = field(init=False)
    _withdrawing: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._withdrawing = withdrawing(self.settings, self.connection)
        self.receipt = Receipt(self.connection, self.subject.hashes())
        self._people = set(self.subject.people())

    def run(self) -> Receipt:
        """Erase. Raises ``LaneBusy``, ``redis.RedisError``; run again then, it goes on."""
        if not self.dry:
            # First of all: what comes in meanwhile and is older is dropped by whoever delivers it.
            self._remember_erasure()
        for _number in range(PASSES):
            before = self._total()
            self.receipt.kept = 0
            self._erase_letters()
            for lane in self._lanes():
                self._erase_lane(lane)
            self._erase_recorded()
            if self.dry or self._total() == before:
                break
        self._erase_recent()
        if not self.dry:
            Erased(self._client, self.connection).note_events(self._events, self.at)
            self._forget_ids()
            self._forget_last_sent()
            self.receipt.compacted = self._compact()
            log.info("person_erased", **vars_of(self.receipt))
        return self.receipt

    def _total(self) -> int:
        told = self.receipt
        return told.pending + told.submitted + told.dead + told.recorded

    @property
    def _client(self) -> Any:
        return self.scripts.client

    @property
    def _own(self) -> str:
        return f"{PREFIX}{self.connection}:"

    def _lanes(self) -> list[str]:
        members = (member.decode() for member in self._client.smembers(f"{PREFIX}lanes"))
        pairs = (member.partition("\t") for member in members)
        return sorted(lane for connection, _, lane in pairs if connection == self.connection)

    def _wanted(self, row: Row, message: str = "") -> bool:
        """Whether a row goes. What takes something back stays until it is delivered."""
        body = row.searched()
        # As it was sent, it may hold what its canonical form leaves out.
        sent = bytes(row.event).decode("utf-8", "replace") if row.sent else ""
        who = self.subject
        if not (who.concerns(body) or who.mentioned(message) or who.mentioned(sent)):
            return False
        if self.at + SKEW < _received(body) <= time.time():
            return False
        asks = isinstance(body, dict) and body.get("type") == "delete"
        if asks or row.mapping in self._withdrawing:
            self.receipt.kept += 1
            return False
        self._events.add((row.source, row.id))
        self._people.add(row.person)
        return True

    def _erase_letters(self) -> None:
        letters = DeadLetters(self.scripts, self.connection)
        found: list[DeadLetter] = []
        for _id, text in self._client.hscan_iter(f"{self._own}dead", count=CHUNK):
            letter = decode_letter(text)
            if self._wanted(letter.row, letter.message):
                found.append(letter)
        self.receipt.dead += len(found) if self.dry else letters.erase(found)

    def _erase_lane(self, name: str) -> None:
        lane = Lane(self.scripts, self.connection, name, lease=self.settings.lease)
        if self.dry:
            self._sweep_lane(lane)
            return
        self._seize(lane)
        try:
            with lane.kept():
                self._sweep_lane(lane)
        except LeaseLost as error:
            raise LaneBusy(f"the lane {name!r} was lost to a worker; erase again") from error
        finally:
            lane.give_back()

    def _seize(self, lane: Lane) -> None:
        end = time.monotonic() + self.patience
        while not lane.seize():
            if time.monotonic() > end:
                raise LaneBusy(
                    f"a worker has the lane {lane.name!r} for more than {self.patience:g} s; what"
                    " was found so far is erased, erase again for the rest"
                )
            time.sleep(0.02)

    def _sweep_lane(self, lane: Lane) -> None:
        self.receipt.pending += len(self._sweep(lane, f"lane:{lane.name}"))
        parked = f"{self._own}parked:{lane.name}"
        for person, _due in self._client.zscan_iter(parked, count=CHUNK):
            who = person.decode()
            self.receipt.pending += len(self._sweep(lane, f"chain:{lane.name}:{who}", who))
        gone: set[str] = set()
        for job in self._client.zrange(f"{self._own}jobs:{lane.name}", 0, -1):
            found = self._sweep(lane, f"job:{lane.name}:{job.decode()}")
            self.receipt.submitted += len(found)
            gone.update(row.person for row in found)
        if gone and not self.dry:
            lane.free(gone - self._submitted(lane))

    def _sweep(self, lane: Lane, place: str, person: str = "") -> list[Row]:
        """Take the person's rows out of one list."""
        start, found = 0, list[Row]()
        while texts := self._client.lrange(self._own + place, start, start + CHUNK - 1):
            rows = enumerate(map(decode_row, texts), start)
            hits = [(at, row) for at, row in rows if self._wanted(row)]
            if hits and not self.dry:
                lane.erase(place, person, [(at, row.mapping) for at, row in hits])
            found += [row for _at, row in hits]
            start += len(texts) - (0 if self.dry else len(hits))
        return found

    def _submitted(self, lane: Lane) -> set[str]:
        """The people with rows in jobs of the lane."""
        jobs = self._client.zrange(f"{self._own}jobs:{lane.name}", 0, -1)
        return {row.person for job in jobs for _key, row in lane.submitted(job.decode())}

    def _erase_recorded(self) -> None:
        recorded, conflicting = recorded_key(self.connection), conflicts_key(self.connection)
        for place in (recorded, conflicting):
            for text in self._client.lrange(place, 0, -1):
                told = decode(text)
                if not self.subject.concerns(told["event"]):
                    continue
                self.receipt.recorded += 1 if self.dry else self._client.lrem(place, 1, text)
                if place == recorded:  # the other's id is that of another event as well
                    self._events.add((told["source"], str(told["event"].get("messageId", ""))))

    def _erase_recent(self) -> None:
        if not self.dry:
            self._client.delete(f"{self._own}recent")  # an earlier version's: the next commit would
        place = recent_key(self.connection)
        for element in self._client.lrange(place, 0, -1):
            gone = [entry for entry in entries_of([element]) if self._told_of(decode(entry))]
            if gone and (self.dry or self._replace(place, element, without(element, gone))):
                self.receipt.recent += len(gone)

    def _told_of(self, entry: dict[str, Any]) -> bool:
        theirs = (entry["source"], entry["id"]) in self._events
        return theirs or entry.get("person") in self._people or self.subject.concerns(entry)

    def _replace(self, place: str, old: bytes, new: bytes) -> int:
        """Write ``new`` for ``old`` wherever that stands in a list by now; 0 when it has gone."""
        with self._client.pipeline() as step:
            step.linsert(place, "BEFORE", old, new)
            step.lrem(place, 1, old)
            removed: int = step.execute()[1]
        return removed

    def _forget_ids(self) -> None:
        """The ids by which repetitions of erased events are known; keyed digests do that now."""
        span = int(self.settings.dedupe_hours * 3600)
        window = int(self._client.time()[0]) // span
        with self._client.pipeline(transaction=False) as asking:
            for source, message in self._events:
                bucket, digest = dedupe_place(source, message)
                for past in range(3):
                    asking.hdel(f"{self._own}seen:{window - past}:{bucket}", digest)
            self.receipt.dedupe = sum(asking.execute())

    def _remember_erasure(self) -> None:
        """That the person is erased, and has thereby withdrawn what they had agreed to."""
        Erased(self._client, self.connection).note(self.subject, self.at)
        phone = f"+{self.subject.phone}" if self.subject.phone else ""
        told = marks({"email": self.subject.email, "phone_number": phone})
        Decisions(self._client, self.connection).remember(dict.fromkeys(told.values(), self.at))

    def _forget_last_sent(self) -> None:
        sent = LastSent(self._client, self.connection)
        counted: Iterable[bytes] = self._client.hkeys(f"{self._own}counts")
        for mapping in {name.rpartition(b"|")[0].decode() for name in counted}:
            self.receipt.remembered += sent.forget(mapping, self._people)

    def _compact(self) -> bool:
        """Have Redis write its log anew: until then the log holds what was erased."""
        try:
            self._client.bgrewriteaof()
        except redis.ResponseError:  # one is under way, or a managed Redis does it by itself
            return False
        return True


def withdrawing(settings: Settings, connection: str) -> frozenset[str]:
    """The mappings whose deliveries take something back; none where the files cannot be used."""
    actions = DESTINATIONS["klaviyo"].actions
    path = settings.connections[connection].mappings
    try:
        routes = Mappings(path, actions, complain=lambda _problem: None).routes()
    except (SettingsError, OSError) as error:
        log.warning("mappings_unusable", connection=connection, kind=type(error).__name__)
        return frozenset()
    return frozenset(name for name, each in routes.items() if each.action.withdraws)


def _received(body: Any) -> float:
    """When an event came in, unix seconds; 0 where that is not told."""
    try:
        return datetime.fromisoformat(body["receivedAt"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return 0.0


def vars_of(receipt: Receipt) -> dict[str, Any]:
    """A receipt as names and values."""
    return {name: getattr(receipt, name) for name in Receipt.__dataclass_fields__}


def erase(
    scripts: Scripts, settings: Settings, subject: Subject, connections: Iterable[str], *, dry: bool
) -> Iterator[Receipt]:
    """Erase a person from each of these connections. Raises as ``Erasure.run`` does."""
    for connection in connections:
        yield Erasure(scripts, settings, connection, subject, dry).run()
