"""The dead letters of a connection: list, show, replay, discard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from destination.catalogue import CATALOGUE
from destination.event import decode
from destination.runtime.store import (
    PREFIX,
    DeadLetter,
    Scripts,
    decode_letter,
    encode_row,
)

PAGE = 200
"""Letters per round trip."""


class DeadLetters:
    """The dead letters of one connection, oldest first."""

    def __init__(self, scripts: Scripts, connection: str) -> None:
        self._scripts = scripts
        self._client: Any = scripts.client
        self._connection = connection
        self._own = f"{PREFIX}{connection}:dead"

    def __iter__(self) -> Iterator[DeadLetter]:
        start = 0
        while ids := self._client.zrange(f"{self._own}:order", start, start + PAGE - 1):
            found = [text for text in self._client.hmget(self._own, ids) if text]
            yield from map(decode_letter, found)
            start += PAGE

    def __len__(self) -> int:
        return int(self._client.hlen(self._own))

    def get(self, letter: str) -> DeadLetter | None:
        """The letter with this id."""
        text = self._client.hget(self._own, letter)
        return decode_letter(text) if text else None

    def matching(self, *, code: str = "", mapping: str = "") -> Iterator[DeadLetter]:
        """Letters with this code and mapping; an empty word matches all."""
        for letter in self:
            if (not code or letter.code == code) and (not mapping or letter.mapping == mapping):
                yield letter

    def replay(self, letters: Sequence[DeadLetter]) -> int:
        """Put letters back into their lanes with a new budget; how many were still there."""
        args: list[Any] = []
        for letter in letters:
            again = letter.row.replayed + 1
            fresh = msgspec.structs.replace(letter.row, attempts=0, since=0.0, replayed=again)
            args += [letter.id, letter.mapping, letter.lane, encode_row(fresh)]
        return self._move("replay", args)

    def discard(self, letters: Sequence[DeadLetter]) -> int:
        """Drop letters for good, counted as ``dropped:discarded``; how many were still there."""
        args = [part for letter in letters for part in (letter.id, letter.mapping, "", "")]
        return self._move("discard", args)

    def erase(self, letters: Sequence[DeadLetter]) -> int:
        """As ``discard``, counted as ``dropped:erased``: their person is to be forgotten."""
        args = [part for letter in letters for part in (letter.id, letter.mapping, "", "")]
        return self._move("erase", args)

    def _move(self, how: str, args: list[Any]) -> int:
        moved = 0
        for start in range(0, len(args), 4 * PAGE):
            part = args[start : start + 4 * PAGE]
            moved += int(self._scripts.run("replay", [PREFIX, self._connection, how, *part]))
        return moved


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
        "code": letter.code,
        "message": letter.message,
        "field": letter.field,
        "status": letter.status,
        "cause": reason.cause if reason else "",
        "remedy": reason.remedy if reason else "",
    }
    if event:
        said["event"] = decode(letter.row.event)
    return said
