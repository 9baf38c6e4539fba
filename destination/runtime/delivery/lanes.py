"""A lane as its worker sees it: take it, read its head, record what became of the rows."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from destination.runtime.recent_deliveries import RECENT
from destination.runtime.store import (
    PREFIX,
    DeadLetter,
    Row,
    Scripts,
    decode_row,
    encode_letter,
    encode_row,
)


@dataclass(slots=True)
class Record:
    """What one commit writes; see ``lua/commit.lua`` for what each operation does."""

    taken: int = 0
    job: str = ""
    operations: list[Any] = field(default_factory=list)
    moves: list[tuple[int, str, str]] = field(default_factory=list)
    """Rows that go on as they are: where each stands in the lane, and the list that it goes to."""
    submitted: dict[str, list[Any]] = field(default_factory=dict)
    """What was submitted to each job: persons and keys in turn."""
    _rewritten: set[str] = field(default_factory=set)

    def front(self, row: Row) -> None:
        """Back to the head of the lane."""
        self.operations += ["front", encode_row(row)]

    def park(self, row: Row, wait: float, *, first: bool = False) -> None:
        """Behind its person, who may go on after ``wait`` seconds."""
        self._rewritten.add(row.person)
        operation = ["park", row.person, _ms(wait), int(first), encode_row(row)]
        self.operations += operation

    def follow(self, row: Row, place: int) -> None:
        """Behind its person as it is, last of those that wait; ``place`` is where it stands."""
        if row.person in self._rewritten:  # before this one, but written when all moves are made
            self.park(row, 0)
        else:
            self.moves.append((place, "chain", row.person))

    def park_at(self, place: str, row: Row, wait: float) -> None:
        """At the end of those that wait in ``place``, which holds up nobody else."""
        self.operations += ["park", place, _ms(wait), 0, encode_row(row)]

    def free(self, people: Collection[str]) -> None:
        """Nothing of these people is under way any more."""
        self.operations += ["free", len(people), *people]

    def bury(self, letter: DeadLetter) -> None:
        """Into the dead letters."""
        self.operations += ["dead", letter.id, encode_letter(letter)]

    def count(self, mapping: str, state: str, by: int) -> None:
        """Add to a count of a mapping."""
        self.operations += ["count", mapping, state, by]

    def end(self, mapping: str, state: str, by: int = 1) -> None:
        """Count rows that were pending as ended."""
        self.count(mapping, state, by)
        self.count(mapping, "pending", -by)

    def log(self, entries: Sequence[bytes]) -> None:
        """Into the log of recent deliveries, oldest first."""
        self.operations += ["log", len(entries), b"\n".join(reversed(entries))]

    def sent(self, job: str, row: Row, key: bytes, place: int) -> None:
        """Submitted to a job at Klaviyo, under ``key``; ``place`` is where it stands in the lane."""
        self.moves.append((place, "job", job))
        self.submitted.setdefault(job, []).extend((row.person, key))

    def moved(self) -> list[Any]:
        """The moves as they are told: rows one after the other that go to the same list at once."""
        told: list[Any] = [0]
        free = 0  # the first place that no move has come to
        last: list[str] = []
        for place, *there in sorted(self.moves):
            if place == free and there == last:
                told[-3] += 1
            else:
                told[0] += 1
                told += (place - free, 1, *there)
            free, last = place + 1, there
        return told

    def sent_rows(self) -> list[Any]:
        """What was submitted as it is told."""
        told: list[Any] = []
        for job, rows in self.submitted.items():
            told += ["sent", job, len(rows) // 2, *rows]
        return told

    def poll(self, job: str, wait: float) -> None:
        """Ask for the job's end after ``wait`` seconds."""
        self.operations += ["poll", job, _ms(wait)]

    def hold(self, wait: float, reason: str) -> None:
        """The lane waits ``wait`` seconds."""
        self.operations += ["hold", max(1, _ms(wait)), reason]

    def patient(self, wait: float) -> None:
        """For ``wait`` seconds, rows that find the lane idle wait for company (see ``accept.lua``)."""
        self.operations += ["patient", _ms(wait)]

    def halt(self, wait: float, reason: str) -> None:
        """The connection waits, and asks after ``wait`` seconds whether it may go on."""
        self.operations += ["halt", _ms(wait), reason]


class LeaseLost(Exception):
    """Another worker has the lane by now; whatever was to be recorded is that worker's to redo."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer to asking for a lane: ``state`` and, when taken, the jobs that are to be polled
    and how many workers died with this lane since one lived on.
    """

    state: str
    jobs: tuple[str, ...] = ()
    probe: bool = False
    crashes: int = 0


class Lane:
    """One lane of a connection, under a lease of ``lease`` seconds."""

    def __init__(self, scripts: Scripts, connection: str, name: str, *, lease: float) -> None:
        self._scripts = scripts
        self._client = scripts.client
        self._lease = _ms(lease)
        self._own = f"{PREFIX}{connection}:"
        self.connection = connection
        self.name = name
        self.token = secrets.token_hex(8)

    @property
    def member(self) -> str:
        """The lane's name in the due set."""
        return f"{self.connection}\t{self.name}"

    def _run(self, script: str, *args: Any) -> Any:
        head = [PREFIX, self.connection, self.name, self.token]
        return self._scripts.run(script, [*head, *args])

    def begin(self) -> Taken:
        """Ask for the lease."""
        answer = self._run("begin", self._lease)
        state = answer[0].decode()
        if state == "halted":
            return Taken(state, probe=bool(answer[1]))
        if state != "taken":
            return Taken(state)
        return Taken(state, tuple(job.decode() for job in answer[2:]), crashes=int(answer[1]))

    def seize(self) -> bool:
        """Ask for the lease whatever the lane waits for; False while a worker has it."""
        return bool(self._run("seize", self._lease))

    def give_back(self) -> None:
        """Release a lane that was seized."""
        hold = f"{self._own}hold:{self.name}"
        if self._client.get(hold) == b"seized":
            self._client.delete(hold)
        self.release()

    def erase(self, place: str, person: str, rows: Iterable[tuple[int, str]]) -> None:
        """Take rows out of the list ``place``: where each stands and its mapping.

        ``person`` is whose chain the list is, empty for any other. Raises ``LeaseLost``.
        """
        parts = [part for row in rows for part in row]
        if not self._run("erase", place, person, *parts):
            raise LeaseLost(f"{self.connection}/{self.name}")

    def free(self, people: Collection[str]) -> None:
        """Nothing of these people is under way any more. Raises ``LeaseLost``."""
        record = Record()
        record.free(people)
        self.commit(record)

    def length(self) -> int:
        """How many rows the lane holds, those that are parked left out."""
        return int(self._client.llen(f"{self._own}lane:{self.name}"))

    def read(self, rows: int) -> list[Row]:
        """The first ``rows`` rows, which stay where they are until they are committed."""
        raw: list[Any] = self._client.lrange(f"{self._own}lane:{self.name}", 0, rows - 1)
        return [decode_row(text) for text in raw]

    def submitted(self, job: str) -> list[tuple[bytes, Row]]:
        """The rows of a job with the keys they were submitted under."""
        with self._client.pipeline() as asking:
            for what in ("keys", "job"):
                asking.lrange(f"{self._own}{what}:{self.name}:{job}", 0, -1)
            keys, rows = asking.execute()
        if not keys:  # an earlier version wrote each before its row
            keys = [text.partition(b"\n")[0] for text in rows]
        return [(key, decode_row(text)) for key, text in zip(keys, rows, strict=True)]

    def parked(self, people: Iterable[str]) -> set[str]:
        """Which of these people have rows that wait, so that later rows must wait behind them."""
        key = f"{self._own}parked:{self.name}"
        if not self._client.zcard(key):
            return set()
        asked = list(dict.fromkeys(people))
        if not asked:
            return set()
        scores: list[Any] = self._client.zmscore(key, asked)
        return {person for person, score in zip(asked, scores, strict=True) if score is not None}

    def commit(self, record: Record) -> None:
        """Record in one step. Raises ``LeaseLost`` when the lane is no longer ours."""
        head = [self._lease, record.taken, record.job, RECENT]
        if not self._run("commit", *head, *record.moved(), *record.operations, *record.sent_rows()):
            raise LeaseLost(f"{self.connection}/{self.name}")

    def held(self) -> bool:
        """Whether the lease is still ours; False also when Redis does not say so."""
        try:
            token = self._client.get(f"{self._own}lease:{self.name}")
        except redis.RedisError:
            return False
        return token == self.token.encode()

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease in the background for as long as the block runs."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(self._lease / 3000):
                try:
                    if not self._run("renew", self._lease):
                        return
                except redis.RedisError:
                    continue  # the commit will find out whether the lease outlived the trouble

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def release(self, pause: float = 0) -> None:
        """Give the lane back; it is due again when there is more to do.

        ``pause`` seconds make it wait after a fault of ours, which counts as a worker's death.
        """
        self._run("release", _ms(pause))


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
