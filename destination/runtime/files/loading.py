"""Loads a file of rows through a running server, in chunks, and goes on where it was stopped.

A row's id covers the file's content and the row's line, so whatever is posted twice counts once.
"""

from __future__ import annotations

import csv
import hashlib
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO, Self

from destination.event import encode
from destination.ingress.columns import Columns
from destination.ingress.normalise import Malformed
from destination.ingress.tables import REJECTED, Kind, Line, Table, neutral, read_table
from destination.runtime.files.poster import Poster, Taken
from destination.runtime.files.saved import Saved

CHUNK_ROWS = 1_000
CHUNK_BYTES = 400_000
"""What one request holds: rows, and bytes; even a server with Segment's limits takes so many."""

SHOWN = 5
"""Rejected rows that a summary shows."""

_READ = 256 << 10
_SUFFIXES: dict[str, Kind] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read; empty means: find it out."""

    encoding: str = "utf-8"
    delimiter: str = ""
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a file is, whatever its name: a digest of its content, its bytes, its lines."""

    id: str
    bytes: int
    lines: int


def fingerprint(file: Path) -> Fingerprint:
    """Read the whole file once, a piece at a time."""
    digest = hashlib.blake2b(digest_size=16)
    size = lines = 0
    with file.open("rb") as stream:
        while piece := stream.read(_READ):
            digest.update(piece)
            size += len(piece)
            lines += piece.count(b"\n")
    return Fingerprint(digest.hexdigest(), size, lines)


class Opened:
    """A file being read as a table; ``position`` is how many of its bytes were read."""

    def __init__(self, file: Path, how: Reading) -> None:
        self._stream: BinaryIO = file.open("rb")
        self.position = 0
        self.table: Table = read_table(
            self._pieces(),
            kind=_SUFFIXES.get(file.suffix.lower()),
            encoding=how.encoding,
            delimiter=how.delimiter,
            columns=how.columns,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self._stream.close()

    def _pieces(self) -> Iterator[bytes]:
        while piece := self._stream.read(_READ):
            self.position += len(piece)
            yield piece


@dataclass(slots=True)
class Progress:
    """How far a load is. ``line`` is the last line whose row has its end; ``run`` is part of every
    row's id; ``position`` is in bytes of the file, ``rejects`` in bytes of the file of rejected rows.
    """

    run: str = ""
    line: int = 0
    rows: int = 0
    accepted: int = 0
    duplicate: int = 0
    unmatched: int = 0
    rejected: int = 0
    rejects: int = 0
    position: int = 0

    @classmethod
    def of(cls, saved: dict[str, Any] | None) -> Progress:
        """What was saved; a fresh one when that is of another kind."""
        known = {each.name for each in fields(cls)}
        return cls(**saved) if saved is not None and saved.keys() == known else cls()


class Rejects:
    """``FILE.rejected.csv``: the rows that were not taken, with line, code and message of each.

    Cells that a spreadsheet would run as formulas are made harmless. The file can be corrected and
    loaded: its last columns are left out then.
    """

    def __init__(self, path: Path, table: Table, size: int) -> None:
        self.path = path
        self.size = size
        self._header = table.header if table.kind == "csv" else ("row",)
        if size and path.exists() and path.stat().st_size >= size:
            with path.open("r+b") as file:
                file.truncate(size)
        else:
            self.size = 0
            path.unlink(missing_ok=True)

    def add(self, rejected: list[tuple[Line, str, str]]) -> None:
        """Write some rows down."""
        if not rejected:
            return
        text = io.StringIO()
        writer = csv.writer(text)
        if not self.size:
            writer.writerow([*self._header, *REJECTED])
        width = len(self._header)
        for line, code, message in rejected:
            cells = [*line.cells, *[""] * width][:width]
            writer.writerow([neutral(each) for each in (*cells, str(line.number), code, message)])
        with self.path.open("ab") as file:
            # The mark tells spreadsheets that it is UTF-8.
            file.write(text.getvalue().encode("utf-8" if self.size else "utf-8-sig"))
            self.size = file.tell()


@dataclass(slots=True)
class _Chunk:
    """Rows that go in one request, and those that were refused before."""

    lines: list[Line] = field(default_factory=list)
    rows: list[bytes] = field(default_factory=list)
    rejected: list[tuple[Line, str, str]] = field(default_factory=list)
    bytes: int = 0
    last: int = 0

    def add(self, line: Line, columns: Columns) -> None:
        self.last = line.number
        try:
            if line.problem:
                raise line.problem
            row = encode({**columns.row(line.row), "_file_line": line.number})
        except Malformed as problem:
            self.rejected.append((line, problem.code, problem.message))
            self.bytes += sum(map(len, line.cells))
            return
        self.lines.append(line)
        self.rows.append(row)
        self.bytes += len(row) + 1

    def __len__(self) -> int:
        return len(self.rows) + len(self.rejected)


class Loading:
    """One load of one file: ``run()`` posts it and tells after each chunk how far it is.

    ``poster`` None only reads and converts. ``saved`` keeps the progress, so that the same load can
    go on after it was stopped at any point; it is forgotten at the end. ``first`` are the first
    rejected rows of this run: line, code, message.
    """

    def __init__(
        self,
        opened: Opened,
        columns: Columns,
        poster: Poster | None,
        saved: Saved,
        rejects: Path,
        progress: Progress,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._opened = opened
        self._columns = columns
        self._poster = poster
        self._saved = saved
        self.progress = progress
        self._sleep = sleep
        self._clock = clock
        table = opened.table
        if table.kind == "csv":
            columns.check_header(table.header)
        self.first: list[tuple[int, str, str]] = []
        self.rejects = Rejects(rejects, table, progress.rejects) if poster else None

    def run(self) -> Iterator[Progress]:
        """Load what is left. Raises ``Unposted``; what was told is saved then."""
        due = self._clock()
        for chunk in self._chunks():
            self._sleep(max(0.0, due - self._clock()))
            due = self._clock() + self._columns.chunk_waiting_time
            self._settle(chunk, self._poster.post(chunk.rows) if self._poster else None)
            yield self.progress
        if self._poster:
            self._saved.forget()

    def _chunks(self) -> Iterator[_Chunk]:
        most = self._columns.chunk_size or CHUNK_ROWS
        chunk = _Chunk()
        for line in self._opened.table.lines:
            if line.number <= self.progress.line:
                continue
            chunk.add(line, self._columns)
            if len(chunk) >= most or chunk.bytes >= CHUNK_BYTES:
                yield chunk
                chunk = _Chunk()
        if len(chunk):
            yield chunk

    def _settle(self, chunk: _Chunk, taken: Taken | None) -> None:
        progress = self.progress
        refused = taken.rejected if taken else ()
        rejected = [*chunk.rejected, *((chunk.lines[at], code, text) for at, code, text in refused)]
        rejected.sort(key=lambda each: each[0].number)
        shown = [(line.number, code, text) for line, code, text in rejected]
        self.first += shown[: SHOWN - len(self.first)]
        if self.rejects:
            self.rejects.add(rejected)
            progress.rejects = self.rejects.size
        progress.line = chunk.last
        progress.position = self._opened.position
        progress.rows += len(chunk)
        progress.rejected += len(rejected)
        progress.accepted += taken.accepted if taken else len(chunk.rows)
        progress.duplicate += taken.duplicate if taken else 0
        progress.unmatched += taken.unmatched if taken else 0
        if self._poster:
            self._saved.write(asdict(progress))
