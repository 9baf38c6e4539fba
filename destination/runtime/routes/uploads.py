"""``POST /rows/{object}/upload``: a file of rows as one request, of any length.

The body is read, understood and stored in parts; no more than a part of it is ever in memory, and
the sender is slowed to the pace at which rows can be stored. Rows go the way of all others: through
the gate, with ids by which a file sent again counts once.
"""

from __future__ import annotations

import datetime as dt
import time
import zlib
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import anyio
import anyio.from_thread
import anyio.to_thread
from starlette.routing import Route
from starlette.types import Receive, Scope

from destination.errors import Rejected
from destination.event import Event, encode
from destination.ingress.format import Inbound, Refused
from destination.ingress.messages import arrival_of
from destination.ingress.normalise import Arrival, Malformed, canonical
from destination.ingress.rows import Load, load_of, message_of
from destination.ingress.tables import Kind, Line, read_table
from destination.runtime.http.answers import BODY_SECONDS, Answer, headers_of
from destination.runtime.http.endpoint import Endpoint
from destination.runtime.intake.gate import Gate
from destination.runtime.intake.proof import by_credential, credential_of
from destination.runtime.watch import Watch
from destination.settings import Source

PART_ROWS = 1_000
PART_BYTES = 1 << 20
"""What is stored at once: rows, and bytes of the file."""

LISTED = 1_000
"""Refused rows that the answer lists; it counts all."""

SLOWEST = 1024
"""Bytes a second that must come on average: an upload that trickles would hold its thread for ever."""

UPLOADS = 4
"""Uploads at once; each has a thread. More are told to come again."""

_INFLATED = 64 << 10
_KINDS: dict[str, Kind] = {
    "text/csv": "csv",
    "text/tab-separated-values": "csv",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
}
T = TypeVar("T")


@dataclass(slots=True)
class Tally:
    """What became of the rows so far. ``line`` is the last one that is stored."""

    received: int = 0
    accepted: int = 0
    duplicate: int = 0
    unmatched: int = 0
    refused: int = 0
    line: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def body(self) -> dict[str, Any]:
        """The answer: as that of ``/rows``, with the line of each refused row."""
        names = ("received", "accepted", "duplicate", "unmatched", "refused", "rejected")
        return {"success": True, **{name: getattr(self, name) for name in names}}


@dataclass(slots=True)
class _Part:
    """Rows that are stored at once."""

    events: list[Event] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    bytes: int = 0

    def full(self) -> bool:
        return len(self.lines) >= PART_ROWS or self.bytes >= PART_BYTES


class Uploads(Endpoint):
    """The file of one kind of object; the kind stands in the path."""

    methods = ("POST", "PUT")

    def __init__(self, gate: Gate, watch: Watch) -> None:
        self._gate = gate
        self._watch = watch
        self._threads = anyio.CapacityLimiter(UPLOADS)

    async def take(self, scope: Scope, receive: Receive) -> Answer:
        """Answer 200 with counts and refused rows when the whole file is stored.

        When storing fails half-way the answer is the 503 that says so, and how far it came.
        """
        self._watch.check()
        head = _head(scope)
        source = by_credential(self._gate, [credential_of(head)])
        if self._threads.borrowed_tokens >= UPLOADS:
            what = f"{UPLOADS} uploads are under way; post again"
            raise Rejected(503, "busy", what, retry_after=5)
        upload = _Upload(self._gate, self._watch, source, head)
        tally = await anyio.to_thread.run_sync(upload.run, receive, limiter=self._threads)
        return Answer(200, encode(tally.body()))


def _head(scope: Scope) -> Inbound:
    """The request without its body."""
    return Inbound(
        path=scope["path_params"]["object"].rstrip("/"),
        body=b"",
        received_at=dt.datetime.now(dt.UTC),
        headers=headers_of(scope),
        query=dict(parse_qsl(scope["query_string"].decode("latin-1"))),
        ip=(scope.get("client") or ("",))[0],
    )


class _Upload:
    """One request, worked off in a thread; what belongs to the server's loop is done there."""

    def __init__(self, gate: Gate, watch: Watch, source: Source, head: Inbound) -> None:
        self._gate = gate
        self._watch = watch
        self._source = source
        self._head = head
        self._load = _load(head)
        self._arrival = arrival_of(head, from_client=False)
        self._event_bytes = gate.limits.event_bytes
        self._tally = Tally()

    def run(self, receive: Receive) -> Tally:
        """Read and store the whole body. Raises ``Rejected``."""
        kind = self._head.headers.get("content-type", "").partition(";")[0].strip().lower()
        query = self._head.query
        try:
            table = read_table(
                _inflated(_body(receive), self._head.headers.get("content-encoding", "")),
                kind=_KINDS.get(kind),
                encoding=query.get("encoding", "utf-8").lower(),
                delimiter=query.get("delimiter", ""),
                columns=[name for name in query.get("columns", "").split(",") if name],
            )
            for part in self._parts(table.lines):
                self._store(part)
        except Rejected as error:
            raise _with_progress(error, self._tally) from error
        return self._tally

    def _parts(self, lines: Iterable[Line]) -> Iterator[_Part]:
        part = _Part()
        for line in lines:
            self._add(line, part)
            if part.full():
                yield part
                part = _Part()
        if part.lines:
            yield part

    def _add(self, line: Line, part: _Part) -> None:
        index = self._tally.received + len(part.lines)
        part.lines.append(line.number)
        size = sum(map(len, line.cells))
        part.bytes += size
        try:
            part.events.append(_event(line, size, self._load, self._arrival, self._event_bytes))
        except Malformed as problem:
            part.refused.append(Refused(index, problem.code, problem.message))

    def _store(self, part: _Part) -> None:
        self._watch.check()
        take = partial(self._gate.take, self._source, part.events, part.refused, from_client=False)
        letters = _in_loop(take)
        tally = self._tally
        for each in part.refused[: LISTED - len(tally.rejected)]:
            told = {"index": each.index, "line": part.lines[each.index - tally.received]}
            tally.rejected.append({**told, "code": each.code, "message": each.message})
        tally.received += len(part.lines)
        tally.accepted += len(part.events)
        tally.refused += len(part.refused)
        tally.duplicate += letters.count("D")
        tally.unmatched += letters.count("U")
        tally.line = part.lines[-1]


def _load(head: Inbound) -> Load:
    """What the request says about all rows. Without a run the minute of receipt is one, so that a
    file that is sent again at once counts once.
    """
    load = load_of(head, head.path, {})
    if not head.path or len(head.path) > 200:
        raise Rejected(400, "bad_request", "name the object: POST /rows/profile/upload")
    return replace(load, run=load.run or f"upload-{head.received_at:%Y-%m-%dT%H:%M}")


def _event(line: Line, size: int, load: Load, arrival: Arrival, most: int) -> Event:
    """The event of one line. Raises ``Malformed``."""
    if line.problem:
        raise line.problem
    row = {name: value for name, value in line.row.items() if value != ""}
    if not row:
        raise Malformed("row_empty", "no column has a value in this row")
    if size * 2 > most and len(encode(row)) > most:
        what = f"the row has more than {most:,} bytes: shorten it"
        raise Malformed("event_too_large", what)
    return canonical(message_of({**row, "_file_line": line.number}, load), arrival)


def _with_progress(error: Rejected, tally: Tally) -> Rejected:
    """The refusal of a file of which a part is stored: says how far, and that it may come again."""
    if not tally.received:
        return error
    message = (
        f"{error.message}. The rows up to line {tally.line:,} are stored; send the file again with"
        " the same ?run= and they count once"
    )
    return Rejected(error.status, error.code, message, retry_after=error.retry_after)


def _in_loop(ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What ``ask`` gives, run in the server's loop while this thread waits."""
    return anyio.from_thread.run(ask)


def _body(receive: Receive) -> Iterator[bytes]:
    """The chunks of a body. Raises ``Rejected`` 408 when none comes for long, or when all come too
    slowly, 400 when it ends. The time that we take ourselves does not count.
    """
    more, size, waited = True, 0, 0.0
    while more:
        patience = BODY_SECONDS + min(0.0, size / SLOWEST - waited)
        started = time.monotonic()
        chunk, more = _in_loop(partial(_next_chunk, receive, patience))
        waited += time.monotonic() - started
        size += len(chunk)
        yield chunk


async def _next_chunk(receive: Receive, patience: float) -> tuple[bytes, bool]:
    try:
        with anyio.fail_after(max(0.0, patience)):
            message = await receive()
    except TimeoutError:
        what = (
            f"the body must come with {SLOWEST:,} bytes a second at least, and none may be missing"
            f" for {BODY_SECONDS:g} s; send it again"
        )
        raise Rejected(408, "too_slow", what) from None
    if message["type"] == "http.disconnect":
        raise Rejected(400, "bad_request", "the connection closed before the body ended")
    return message.get("body", b""), message.get("more_body", False)


def _inflated(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The body without its ``Content-Encoding``, a bounded piece at a time."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        yield from chunks
        return
    if encoding not in ("gzip", "x-gzip"):
        what = f"Content-Encoding {encoding[:60]!r} is not supported: send gzip or no encoding"
        raise Rejected(415, "unsupported_encoding", what)
    member = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            rest, more = chunk, bool(chunk)
            while more:
                if member.eof:
                    member = zlib.decompressobj(wbits=31)
                piece = member.decompress(rest, _INFLATED)
                yield piece
                rest = member.unused_data if member.eof else member.unconsumed_tail
                more = bool(rest) or (len(piece) == _INFLATED and not member.eof)
    except zlib.error as error:
        what = f"the gzip body is damaged ({error}); compress the file anew"
        raise Rejected(400, "bad_request", what) from None
    if not member.eof:
        raise Rejected(400, "bad_request", "the gzip body is cut short; send the file again")


def routes(gate: Gate, watch: Watch) -> list[Route]:
    """One route; it must stand before that of ``/rows/{object}``, whose objects have slashes too."""
    return [Route("/rows/{object:path}/upload", Uploads(gate, watch))]
