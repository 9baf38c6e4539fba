"""The dead letters of a connection: choose, show, put back, discard."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from destination.catalogue import CATALOGUE
from destination.errors import Rejected
from destination.runtime.store import (
    PREFIX,
    DeadLetter,
    Row,
    Scripts,
    decode_letter,
    encode_row,
)
from destination.runtime.subject import Subject, subject

PAGE = 200
"""Letters per round trip."""

SKEW = 300.0
"""Seconds by which the clocks of Redis and a worker may differ."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant: those that fit all that is said; an empty word says nothing.

    ``mappings`` are names, any of which will do; ``since`` and ``until`` bound when they died, in
    unix seconds; ``who`` is the person that their events concern.
    """

    code: str = ""
    mappings: frozenset[str] = frozenset()
    source: str = ""
    since: float = 0.0
    until: float = math.inf
    who: Subject | None = None

    @property
    def says_something(self) -> bool:
        """Whether it is not simply all letters."""
        return self != Selection()

    def wants(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant."""
        return (
            (not self.code or letter.code == self.code)
            and (not self.mappings or letter.mapping in self.mappings)
            and (not self.source or letter.row.source == self.source)
            and self.since <= letter.time <= self.until
            and (self.who is None or self.who.concerns(letter.row.searched()))
        )


def person_named(text: str) -> Subject:
    """The person whose address, phone number (with ``+``) or id this is. Raises ``Rejected``."""
    if "@" in text:
        return subject({"email": text})
    if text.startswith("+"):
        return subject({"phone": text})
    return subject({"user_id": text, "anonymous_id": text})


class DeadLetters:
    """The dead letters of one connection, oldest first."""

    def __init__(self, scripts: Scripts, connection: str) -> None:
        self._scripts = scripts
        self._client: Any = scripts.client
        self.connection = connection
        self._own = f"{PREFIX}{connection}:dead"

    def __iter__(self) -> Iterator[DeadLetter]:
        return self.matching(Selection())

    def __len__(self) -> int:
        return int(self._client.hlen(self._own))

    def get(self, letter: str) -> DeadLetter | None:
        """The letter with this id."""
        text = self._client.hget(self._own, letter)
        return decode_letter(text) if text else None

    def some(self, ids: Sequence[str]) -> list[DeadLetter]:
        """Those of these letters that are there, in the order given."""
        texts = self._client.hmget(self._own, ids) if ids else []
        return [decode_letter(text) for text in texts if text]

    def matching(self, selection: Selection) -> Iterator[DeadLetter]:
        """The letters that are meant. Those that move meanwhile may be left out."""
        # The order is by Redis' clock, the time in a letter by that of its worker.
        first = f"{int((selection.since - SKEW) * 1000)}"
        start = 0
        while ids := self._client.zrangebyscore(
            f"{self._own}:order", first, "+inf", start=start, num=PAGE
        ):
            yield from filter(selection.wants, self.some(ids))
            start += PAGE

    def replay(self, letters: Sequence[DeadLetter]) -> int:
        """Put letters back with a new budget, as they are; how many were still there."""
        return self.put_back([(letter, letter.lane, renewed(letter)) for letter in letters])

    def put_back(self, moves: Sequence[tuple[DeadLetter, str, Row]]) -> int:
        """Put letters into lanes as these rows; how many of them were still there."""
        args: list[Any] = []
        for letter, lane, row in moves:
            args += [letter.id, letter.mapping, lane, encode_row(row)]
        return self._move("replay", args)

    def discard(self, letters: Sequence[DeadLetter]) -> int:
        """Drop letters for good, counted as ``dropped:discarded``; how many were still there."""
        return self._drop("discard", letters)

    def erase(self, letters: Sequence[DeadLetter]) -> int:
        """As ``discard``, counted as ``dropped:erased``: their person is to be forgotten."""
        return self._drop("erase", letters)

    def _drop(self, how: str, letters: Sequence[DeadLetter]) -> int:
        return self._move(
            how, [part for letter in letters for part in (letter.id, letter.mapping, "", "")]
        )

    def _move(self, how: str, args: list[Any]) -> int:
        moved = 0
        for start in range(0, len(args), 4 * PAGE):
            part = args[start : start + 4 * PAGE]
            moved += int(self._scripts.run("replay", [PREFIX, self.connection, how, *part]))
        return moved


def renewed(letter: DeadLetter, *, version: str = "", live: bool = False) -> Row:
    """A letter's row with a new budget, to be delivered by this version of its mapping."""
    return msgspec.structs.replace(
        letter.row,
        mapping=letter.mapping,
        attempts=0,
        since=0.0,
        replayed=letter.row.replayed + 1,
        version=version,
        live=live,
    )


def shown(letter: DeadLetter, *, event: bool = False) -> dict[str, Any]:
    """A letter for people and programs, with cause and remedy; the event only when asked for."""
    reason = CATALOGUE.get(letter.code)
    said: dict[str, Any] = {
        "id": letter.id,
        "mapping": letter.mapping,
        "action": letter.action,
        "version": letter.version,
        "source": letter.row.source,
        "time": letter.time,
        "attempts": letter.attempts,
        "replayed": letter.row.replayed,
        "code": letter.code,
        "message": letter.message,
        "field": letter.field,
        "status": letter.status,
        "cause": reason.cause if reason else "",
        "remedy": reason.remedy if reason else "",
    }
    if event:
        said["event"] = letter.row.body()
    return said


def selection_of(given: dict[str, Any]) -> Selection:
    """A selection as a request writes it: ``code mapping source person since until``.

    Raises ``Rejected`` 400 for what cannot be one.
    """
    words = {name: given.get(name) or "" for name in ("code", "mapping", "source", "person")}
    times = {name: given[name] for name in ("since", "until") if given.get(name) is not None}
    wrong = [name for name, value in words.items() if not isinstance(value, str)]
    wrong += [
        name
        for name, value in times.items()
        if isinstance(value, bool) or not isinstance(value, int | float)
    ]
    if wrong:
        kind = "unix seconds" if wrong[0] in times else "a text"
        raise Rejected(400, "bad_request", f"{wrong[0]} must be {kind}")
    return Selection(
        code=words["code"],
        mappings=frozenset([words["mapping"]] if words["mapping"] else []),
        source=words["source"],
        since=times.get("since", 0.0),
        until=times.get("until", math.inf),
        who=person_named(words["person"]) if words["person"] else None,
    )
