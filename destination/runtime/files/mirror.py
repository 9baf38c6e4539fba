"""Carries a mirror out: reads audience and list, posts joiners and leavers, remembers the rest.

Who joins and who leaves goes through the server as rows of ``list/ID``, so every change is durable,
counted and has a known end, like everything else that is delivered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from destination.delivery import Retry
from destination.errors import DestinationError, Ended, NoRoom, Unanswered
from destination.event import encode
from destination.ingress.columns import Columns
from destination.ingress.normalise import Malformed
from destination.ingress.rows import Load, message_of
from destination.ingress.tables import Line
from destination.klaviyo.audience import members, refusals
from destination.klaviyo.mirror import (
    KEYS,
    Member,
    Memory,
    Person,
    Plan,
    Reason,
    Wanted,
    compare,
    key_of,
    plan,
    remembered,
)
from destination.klaviyo.verdict import verdict
from destination.mapping.file import Mapping as EventMapping
from destination.pipeline import matching
from destination.runtime.files.loading import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    SHOWN,
    Opened,
    Reading,
    Rejects,
)
from destination.runtime.files.poster import Poster, Taken
from destination.runtime.files.saved import Saved
from destination.sending import Account, Request, Response, Send

PATIENCE = 600.0
"""Seconds for which a question to Klaviyo is asked again."""

ADDING = frozenset(("addProfileToList", "upsertProfile", "subscribeProfile"))
REMOVING = frozenset(("removeProfileFromList", "removeProfile", "unsubscribeProfile"))
"""The actions that can make a row of a list join or leave it."""

_NAMES = {
    "email": "email",
    "emailaddress": "email",
    "phone": "phone_number",
    "phonenumber": "phone_number",
    "externalid": "external_id",
    "countrycode": "country_code",
}
"""How columns with identifiers are called, in small letters and without marks."""


class Unreadable(DestinationError):
    """The audience cannot be had; nothing was changed."""


def patient(
    send: Send,
    say: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Send:
    """A ``Send`` that waits for room, for Klaviyo's ``Retry-After`` and for Klaviyo to be back.

    Only for requests that change nothing. After ``PATIENCE`` seconds the last answer counts.
    """

    def wrapped(request: Request) -> Response:
        end, pause = clock() + PATIENCE, 1.0
        while True:
            answer: Response | Unanswered | NoRoom
            wait: float | None = pause
            try:
                answer = send(request)
                outcome = verdict(answer, time.time())
                if not isinstance(outcome, Retry):
                    return answer
                why, wait = outcome.message, outcome.after
            except NoRoom as error:
                answer, why, wait = error, str(error), error.after
            except Unanswered as error:
                answer, why = error, str(error)
            wait = max(0.05, pause if wait is None else wait)
            if clock() + wait > end:
                if isinstance(answer, Response):
                    return answer
                raise answer
            if wait >= 1:
                say(f"waiting {wait:.0f} s: {why}")
            sleep(wait)
            pause = min(pause * 2, 30.0)

    return wrapped


def fetched(url: str, folder: Path) -> Path:
    """The file at an address, whole, in ``folder``. Raises ``Unreadable``."""
    name = Path(urlsplit(url).path).name or "audience.csv"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / name
    try:
        with (
            httpx.stream("GET", url, follow_redirects=True, timeout=60) as answer,
            file.open("wb") as out,
        ):
            if answer.status_code != 200:
                raise Unreadable(f"{_shown(url)} answers {answer.status_code}; nothing was changed")
            for piece in answer.iter_bytes():
                out.write(piece)
    except httpx.HTTPError as error:
        what = f"{type(error).__name__}: {error}"
        raise Unreadable(f"{_shown(url)} cannot be fetched: {what}; nothing was changed") from error
    return file


def _shown(url: str) -> str:
    """An address without its query, which often holds a secret."""
    return url.partition("?")[0][:200]


@dataclass(slots=True)
class Audience:
    """The audience of a file. ``rejected`` counts its rows that name nobody who can be on a list;
    ``first`` are the first of them: line, code, message.
    """

    wanted: Wanted = field(default_factory=Wanted)
    rows: int = 0
    rejected: int = 0
    first: list[tuple[int, str, str]] = field(default_factory=list)

    def reject(self, line: Line, code: str, message: str) -> None:
        """Count a row that cannot be used."""
        self.rejected += 1
        if len(self.first) < SHOWN:
            self.first.append((line.number, code, message))


def audience_in(
    file: Path, how: Reading, columns: Columns, country: str, rejects: Path
) -> Audience:
    """Read the audience. Without a mapping only the columns with identifiers count.

    Rejected rows stand in the file ``rejects`` afterwards. Raises ``Unreadable`` and ``Rejected``.
    """
    found = Audience()
    with Opened(file, how) as opened:
        table = opened.table
        if table.kind == "csv":
            columns.check_header(table.header)
            if not columns.fields:
                _check_names(table.header)
        refused = Rejects(rejects, table, 0)
        for line in table.lines:
            found.rows += 1
            try:
                if line.problem:
                    raise line.problem
                row = columns.row(line.row) if columns.fields else _identifiers(line.row)
                found.wanted.add(row, country)
            except Malformed as problem:
                bad = (line, problem.code, problem.message)
            except Ended as ended:
                bad = (line, _of(ended, "code"), _of(ended, "message"))
            else:
                continue
            refused.add([bad])
            found.reject(*bad)
    return found


def _of(ended: Ended, name: str) -> str:
    return str(getattr(ended.outcome, name, ""))


@cache
def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def _check_names(header: Sequence[str]) -> None:
    if not any(_NAMES.get(_plain(name)) in KEYS for name in header):
        raise Unreadable(
            f"no column names people; there are: {', '.join(header)}. Call one email, phone_number"
            " or external_id, or name it in a --mapping"
        )


def _identifiers(row: Mapping[str, Any]) -> dict[str, Any]:
    return {_NAMES[_plain(name)]: value for name, value in row.items() if _plain(name) in _NAMES}


def matched(mappings: Sequence[EventMapping], list_id: str, operation: str) -> list[EventMapping]:
    """The mappings that want a row of the list."""
    load = Load(f"list/{list_id}", "destination", operation, "email", "mirror")
    return matching(message_of({"email": "ann@acme.io"}, load), mappings)


@dataclass(slots=True)
class Posted:
    """What became of the posted rows, joiners and leavers together."""

    accepted: int = 0
    duplicate: int = 0
    unmatched: int = 0
    rejected: list[tuple[Mapping[str, str], str, str]] = field(default_factory=list)


class Mirror:
    """One list of one account and what is remembered of it."""

    def __init__(self, list_id: str, account: Account, saved: Saved) -> None:
        self._list = list_id
        self._account = account
        self._saved = saved
        kept = saved.read() or {}
        self.memory = Memory(frozenset(kept.get("seen", ())), frozenset(kept.get("leaving", ())))

    def members(self, told: Callable[[int], None] = lambda _count: None) -> list[Member]:
        """Everybody on the list now. Raises ``Ended``, ``Unanswered``, ``NoRoom``."""
        found: list[Member] = []
        for member in members(self._list, self._account):
            found.append(member)
            if len(found) % 100 == 0:
                told(len(found))
        return found

    def plan(self, wanted: Wanted, there: Sequence[Member], *, force: bool) -> Plan:
        """What is to be done; nothing is changed by it. Raises as ``members``."""
        difference = compare(wanted.people, there, self.memory)
        asked = () if force else difference.absent
        against = refusals(asked, self._list, self._account)

        def refusal(person: Person) -> Reason | None:
            return against.get(person.names)

        found = plan(difference, self.memory, refusal, force=force)
        return replace(found, members=len(there), wanted=len(wanted.people))

    def post(self, planned: Plan, poster: Poster) -> Posted:
        """Post joiners and leavers, leavers first. Raises ``Unposted``.

        Before anything is posted it is noted who leaves, so that a mirror that is stopped half-way
        is understood by the next one.
        """
        leaving = [
            {name: member.identifiers[name]}
            for member in planned.remove
            if (name := key_of(member.identifiers))
        ]
        joining = [person.row for person in planned.add]
        present = [Member("", person.names, {}) for person in planned.present]
        self._save(remembered(planned, [*present, *planned.remove]))
        posted = Posted()
        for operation, rows in (("removed", leaving), ("added", joining)):
            for key in KEYS:
                some = [row for row in rows if key_of(row) == key]
                self._send(some, poster.to(operation=operation, key=key), posted)
        return posted

    def finish(self, planned: Plan, there: Sequence[Member]) -> Memory:
        """Remember who is on the list now."""
        memory = remembered(planned, there)
        self._save(memory)
        return memory

    def _save(self, memory: Memory) -> None:
        self._saved.write(
            {
                "list": self._list,
                "at": int(time.time()),
                "seen": sorted(memory.seen),
                "leaving": sorted(memory.leaving),
            }
        )

    def _send(self, rows: Sequence[Mapping[str, Any]], poster: Poster, posted: Posted) -> None:
        for some in _chunks(rows):
            taken: Taken = poster.post([encode(row) for row in some])
            posted.accepted += taken.accepted
            posted.duplicate += taken.duplicate
            posted.unmatched += taken.unmatched
            posted.rejected += [(some[at], code, text) for at, code, text in taken.rejected]


def _chunks(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    chunk: list[Mapping[str, Any]] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += len(encode(row))
        if len(chunk) >= CHUNK_ROWS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
