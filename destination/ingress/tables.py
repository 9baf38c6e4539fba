"""Reading files of rows, CSV and NDJSON, line by line and within bounds.

The reader holds one record at a time. A line that cannot be read is a problem of that line; only
what makes every line doubtful (encoding of the header, names that occur twice) refuses the file.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal, Self

from destination.errors import Rejected
from destination.ingress.encoding import read_json
from destination.ingress.normalise import Malformed, seen

Kind = Literal["csv", "ndjson"]
ENCODINGS: Final = ("utf-8", "latin-1", "cp1252")
"""The encodings of files; utf-8 without or with a byte order mark."""

SAMPLE: Final = 64 << 10
"""Bytes that are looked at to find out how a file is written."""

MAX_LINE: Final = 1 << 20
"""Bytes of one row at the most; Klaviyo takes 100 KB of a profile."""

MAX_CELL: Final = 131_072
"""Characters of one cell at the most, the default of Python's csv module."""

DELIMITERS: Final = (",", ";", "\t", "|")
REJECTED: Final = ("rejected_line", "rejected_code", "rejected_message")
"""The columns that our own files of rejected rows have at their end; reading leaves them out."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_SEP: Final = re.compile(rb'"?sep=(?P<mark>[!-~\t])"?\r?\n', re.IGNORECASE)
"""The first line by which Excel names the delimiter."""
_DATA: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|[+-]?[0-9][0-9.,\s-]*")
_STARTS: Final = (
    (b"PK\x03\x04", "an Excel workbook: save it as CSV UTF-8"),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"\xff\xfe", "UTF-16: save it as UTF-8"),
    (b"\xfe\xff", "UTF-16: save it as UTF-8"),
)
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """One record: ``number`` is the line on which it begins, from 1.

    ``row`` are its cells by name, and ``problem`` is None; or ``problem`` says why there is no row.
    ``cells`` are its cells as they stand in the file, for a list of what was rejected.
    """

    number: int
    row: dict[str, Any]
    cells: tuple[str, ...] = ()
    problem: Malformed | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A file of rows, being read: ``lines`` can be run through once."""

    kind: Kind
    header: tuple[str, ...]
    lines: Iterator[Line]


def read_table(
    chunks: Iterable[bytes],
    *,
    kind: Kind | None = None,
    encoding: str = "utf-8",
    delimiter: str = "",
    columns: Sequence[str] = (),
) -> Table:
    """Read a file that comes in chunks of bytes.

    Without ``kind`` a file that begins with ``{`` is NDJSON. Without ``delimiter`` the one of
    comma, semicolon, tab and bar is taken that gives the first lines equally many cells.
    ``columns`` are the names for a CSV file that has none. The header of an NDJSON file is empty.
    Raises ``Rejected`` 400 for what is no such file.
    """
    if encoding not in ENCODINGS:
        raise _bad(f"the encoding {encoding[:40]!r} is not known; use {', '.join(ENCODINGS)}")
    stream = iter(chunks)
    start = _take(stream)
    _check_start(start)
    start = start.removeprefix(_BOM)
    if kind is None:
        kind = "ndjson" if start.lstrip()[:1] == b"{" else "csv"
        if start.lstrip()[:1] == b"[":
            raise _bad("it begins with [: write one JSON object a line (NDJSON), without brackets")
    if kind == "ndjson":
        return Table("ndjson", (), _json_lines(_Source(start, stream, encoding)))
    named = _SEP.match(start)
    delimiter = delimiter or (named["mark"].decode() if named else _sniff(start, encoding))
    rest = start[named.end() :] if named else start
    return _csv_table(_Source(rest, stream, encoding, int(bool(named))), delimiter, columns)


def neutral(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: ``=1+1`` becomes ``'=1+1``."""
    return f"'{cell}" if cell.lstrip("'").startswith(_FORMULA) else cell


def _meant(cell: str) -> str:
    """The cell that ``neutral`` was given."""
    return cell[1:] if cell[:1] == "'" and cell.lstrip("'").startswith(_FORMULA) else cell


def _bad(message: str) -> Rejected:
    return Rejected(400, "bad_file", f"the file cannot be read: {message}")


def _take(stream: Iterator[bytes]) -> bytes:
    start = b""
    while len(start) < SAMPLE:
        chunk = next(stream, None)
        if chunk is None:
            break
        start += chunk
    return start


def _check_start(start: bytes) -> None:
    for mark, what in _STARTS:
        if start.startswith(mark):
            raise _bad(f"it is {what}")
    if b"\x00" in start:
        raise _bad("it holds zero bytes: it is UTF-16 or no text; save it as UTF-8")
    if not start.removeprefix(_BOM).strip():
        raise _bad("it is empty")


class _Source:
    """The lines of a file as text, each with its end.

    Raises ``Malformed`` for a line that cannot be read; the next one can be asked for all the same.
    ``number`` is that of the line read last, ``size`` the bytes read since it was set to 0.
    """

    def __init__(self, start: bytes, rest: Iterator[bytes], encoding: str, number: int = 0) -> None:
        self.number = number
        self.size = 0
        self._encoding = encoding
        self._lines = _split(start, rest)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self.size += len(line)
        if self.size > MAX_LINE:
            raise Malformed("row_too_long", f"the row has more than {MAX_LINE:,} bytes: shorten it")
        try:
            return line.decode(self._encoding)
        except UnicodeDecodeError as error:
            raise Malformed(
                "bad_encoding",
                f"byte {error.start + 1} of line {self.number:,} (0x{line[error.start]:02x}) is not"
                f" {self._encoding}: save the file as UTF-8, or name its encoding, such as latin-1"
                " or cp1252",
            ) from None


def _split(start: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """The lines, ended by a line feed. Of one that is too long just enough is kept to see it."""
    end = b"\r" if b"\r" in start and b"\n" not in start else b"\n"
    held = b""
    for chunk in chain((start,), rest):
        if len(held) > MAX_LINE and end not in chunk:
            continue
        *lines, last = (held + chunk).split(end)
        for line in lines:
            yield line + b"\n"
        held = last[: MAX_LINE + 1]
    if held:
        yield held


def _json_lines(source: _Source) -> Iterator[Line]:
    while True:
        source.size = 0
        text = ""
        try:
            text = next(source)
            if text.strip():
                yield Line(source.number, _object(text), (text.strip(),))
        except Malformed as problem:
            yield Line(source.number, {}, (text.strip(),), problem)
        except StopIteration:
            return


def _object(text: str) -> dict[str, Any]:
    try:
        row = read_json(text.encode())
    except Rejected as error:
        raise Malformed("bad_json", error.message) from None
    if not isinstance(row, dict):
        raise Malformed("row_not_object", f"a row must be an object, not {seen(row)}")
    return row


def _csv_table(source: _Source, delimiter: str, columns: Sequence[str]) -> Table:
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise _bad(f"the delimiter must be one character, not {delimiter[:10]!r}")
    records = _records(source, delimiter)
    if columns:
        header = _names("the given names", columns)
    else:
        number, cells, problem = next(records, (source.number, [], None))
        if problem:
            raise _bad(problem.message)
        header = _names(f"line {number}", cells)
        _refuse_data(f"line {number}", header)
    ours = header[-len(REJECTED) :] == REJECTED
    return Table("csv", header[: -len(REJECTED)] if ours else header, _rows(records, header, ours))


_Record = tuple[int, list[str], Malformed | None]


def _records(source: _Source, delimiter: str) -> Iterator[_Record]:
    """The records that are not blank: line, cells, and why there are none."""
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        begun, source.size = source.number + 1, 0
        try:
            cells = next(reader)
            if any(cells):
                yield begun, cells, None
        except Malformed as problem:
            yield begun, [], problem
        except csv.Error as error:
            yield begun, [], _csv_problem(str(error), begun, source.number)
        except StopIteration:
            return


def _csv_problem(said: str, begun: int, end: int) -> Malformed:
    where = f"line {begun:,}" if begun >= end else f"lines {begun:,} to {end:,}"
    if "field larger" in said:
        said = f"a cell has more than {MAX_CELL:,} characters; is a quotation mark not closed?"
    elif "end of data" in said:
        said = "a quotation mark is not closed; double those inside a cell"
    elif "expected after" in said:
        said = "something stands behind a closing quotation mark; double those inside a cell"
    return Malformed("bad_csv", f"{where}: {said}")


def _names(where: str, cells: Sequence[str]) -> tuple[str, ...]:
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise _bad(f"{where} has no column names")
    places: dict[str, int] = {}
    for place, name in enumerate(names, 1):
        if not name:
            raise _bad(f"column {place} of {where} has no name; give it one")
        if name in places:
            both = f"columns {places[name]} and {place} of {where}"
            raise _bad(f"{both} are both called {name[:60]!r}; rename one")
        places[name] = place
    return tuple(names)


def _refuse_data(where: str, names: Sequence[str]) -> None:
    data = next((name for name in names if _DATA.fullmatch(name)), None)
    if data is not None:
        raise _bad(
            f"{where} looks like a row and not like column names ({data[:60]!r}); put the names"
            " above it, or give them apart from the file"
        )


def _rows(records: Iterator[_Record], header: tuple[str, ...], ours: bool) -> Iterator[Line]:
    width = len(header)
    kept = width - len(REJECTED) if ours else width
    for number, cells, problem in records:
        while len(cells) > width and not cells[-1]:
            cells.pop()
        if ours:
            cells = [_meant(cell) for cell in cells]  # noqa: PLW2901 the cells that were meant
        if not problem and len(cells) != width:
            problem = Malformed(  # noqa: PLW2901 the first thing that is wrong
                "wrong_number_of_cells",
                f"the row has {len(cells)} cells and the header {width}; is a delimiter inside a"
                " cell without quotation marks?",
            )
        shown = tuple(cells[:kept])
        if problem:
            yield Line(number, {}, shown, problem)
        else:
            yield Line(number, dict(zip(header[:kept], cells, strict=False)), shown)


def _sniff(start: bytes, encoding: str) -> str:
    """The delimiter with which the most of the first records have as many cells as the header."""
    text = start[:SAMPLE].decode(encoding, "replace").replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    whole = lines[:-1] if len(start) >= SAMPLE else lines
    return max(DELIMITERS, key=lambda mark: _evenness(whole, mark))


def _evenness(lines: Sequence[str], delimiter: str) -> tuple[float, int]:
    reader = csv.reader((f"{line}\n" for line in lines[:200]), delimiter=delimiter)
    try:
        widths = [len(cells) for cells in reader if any(cells)]
    except csv.Error:
        return (0.0, 0)
    if not widths or widths[0] < 2:
        return (0.0, 0)
    return (sum(width == widths[0] for width in widths) / len(widths), widths[0])
