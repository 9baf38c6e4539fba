"""The ledger: every request in the order of arrival, in memory and, if wanted, in a file.

A line is written with one ``write`` before the answer goes out, so a killed sandbox has lost at most
what it never answered. From the lines the state is rebuilt (sandbox.py).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec


class Entry(msgspec.Struct, omit_defaults=True):
    """One request. ``t`` is sandbox time in seconds since 1970.

    ``applied``: it changed state (or would have, had there been anything to change). ``counted``: it
    used up the rate limit. ``rules`` of faults saw it, ``rule`` fired. ``body`` is JSON, or ``text`` what was no JSON.
    """

    seq: int
    t: float
    kind: str
    method: str
    path: str
    query: dict[str, str] = {}
    account: str = ""
    key: str = ""
    revision: str = ""
    operation: str = ""
    status: int = 0
    applied: bool = False
    counted: bool = False
    fault: str = ""
    rule: int = 0
    rules: list[int] = []
    body: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    text: str = ""

    @property
    def size(self) -> int:
        """How many bytes the body takes."""
        return len(self.text) if self.body is msgspec.UNSET else len(self.body)


class Ledger:
    """Keeps entries in memory within bounds, and appends them to the file ``path``."""

    def __init__(self, path: Path | None, *, most: int, most_bytes: int) -> None:
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self.most = most
        self.most_bytes = most_bytes
        self._file = -1
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            _mend(path)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, entry: Entry) -> None:
        """Write an entry down."""
        if self._file >= 0:
            _write_all(self._file, msgspec.json.encode(entry) + b"\n")
        self.remember(entry)

    def remember(self, entry: Entry) -> None:
        """Keep an entry that is in the file already."""
        self._entries.append(entry)
        self._bytes += entry.size
        while self._entries and (len(self._entries) > self.most or self._bytes > self.most_bytes):
            self._bytes -= self._entries.popleft().size

    def since(self, seq: int) -> list[Entry]:
        """The kept entries after number ``seq``."""
        return [entry for entry in self._entries if entry.seq > seq]

    def clear(self) -> None:
        """Forget what is kept in memory; the file stays as it is."""
        self._entries.clear()
        self._bytes = 0

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read(path: Path) -> Iterator[Entry]:
    """The entries in a file; a line that was torn by a crash ends it."""
    if not path.exists():
        return
    decoder = msgspec.json.Decoder(Entry)
    with path.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                return
            yield decoder.decode(line)


def public(entry: Entry) -> dict[str, Any]:
    """An entry for the control API."""
    held = {name: getattr(entry, name) for name in PUBLIC}
    held["body"] = entry.text or None
    if entry.body is not msgspec.UNSET:
        held["body"] = msgspec.json.decode(entry.body)
    return held


PUBLIC = (
    "seq", "t", "method", "path", "query", "account", "key", "revision",
    "operation", "status", "applied", "fault",
)  # fmt: skip


def _mend(path: Path) -> None:
    """Cut off a line that a crash has torn, so that the next one does not run into it."""
    if not path.exists():
        return
    with path.open("r+b") as lines:
        whole = sum(len(line) for line in lines if line.endswith(b"\n"))
        lines.truncate(whole)


def _write_all(file: int, line: bytes) -> None:
    while line:
        line = line[os.write(file, line) :]
