"""Dead letters on their way back: with which mapping, what would be sent, and how fast."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from destination.errors import Rejected
from destination.event import decode, encode
from destination.mapping.file import read_mapping_file
from destination.pipeline import Route, late, route
from destination.preview import Change, Side, compare, preview, request_json
from destination.registry import DESTINATIONS
from destination.runtime.letters.dead_letters import DeadLetters, renewed
from destination.runtime.presets import Mappings
from destination.runtime.recent_deliveries import RECENT, recent_deliveries
from destination.runtime.store import PREFIX, DeadLetter, Scripts
from destination.runtime.versions import Versions
from destination.settings import Settings

STEP = 0.2
"""Seconds between two handfuls of letters that are put back."""

BACKLOG = 1000
"""Rows that may wait in a lane before more letters are put into it: new events come first."""

ERRORS = 20
"""Problems of a draft that its refusal names."""


@dataclass(frozen=True, slots=True)
class How:
    """With which mapping letters are replayed: a draft by the mapping's name, the version that
    ``failed``, or the one in force. ``live`` lets late events set off what new ones do.
    """

    drafts: Mapping[str, Route] = field(default_factory=dict)
    failed: bool = False
    live: bool = False


@dataclass(frozen=True, slots=True)
class Sketch:
    """What the replay of one letter would come to.

    ``end`` is ``sent``, ``refused`` (dead again, with ``code`` and ``message``) or why it would only
    wait or cannot be replayed: ``mapping_missing``, ``mapping_disabled``, ``version_missing``.
    ``changes`` is what is sent otherwise than by the version that failed, None when that version is
    not on record. ``unwanted``: the trigger would not take the event any more. ``stale``: something
    newer of the same person went out by this mapping, and may be overwritten.
    """

    letter: str
    mapping: str
    failed: str
    end: str
    version: str = ""
    code: str = ""
    message: str = ""
    requests: tuple[dict[str, Any], ...] = ()
    changes: tuple[Change, ...] | None = ()
    quiet: bool = False
    unwanted: bool = False
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Delivered:
    """When each person's last delivery by each mapping was, as far as the log of recent deliveries
    goes back: to ``since`` (unix seconds), 0 when it holds all there ever were.
    """

    newest: Mapping[tuple[str, str], float]
    since: float


class Replays:
    """Replays letters of one connection. Raises ``SettingsError`` for unusable mappings."""

    def __init__(self, scripts: Scripts, settings: Settings, connection: str) -> None:
        told = settings.connections[connection]
        self._client: Any = scripts.client
        self.connection = connection
        self._own = f"{PREFIX}{connection}:"
        self._revision = told.klaviyo_revision
        self._destination = DESTINATIONS["klaviyo"]
        actions = self._destination.actions
        self._versions = Versions(scripts.client, connection, actions)
        self._routes = Mappings(told.mappings, actions, complain=lambda _problem: None).routes()
        self._served = {each.lane for each in self._routes.values() if each.mapping.enabled}
        self.letters = DeadLetters(scripts, connection)

    def put_back(self, letters: Sequence[DeadLetter], how: How) -> int:
        """Put letters into their lanes; how many were still there.

        A letter whose failed version is not on record stays where it is.
        """
        for draft in how.drafts.values():
            self._versions.add(draft.mapping)
        moves = []
        for letter in letters:
            found = self._route(letter, how)
            if how.failed and found is None:
                continue
            pinned = found and (how.failed or letter.mapping in how.drafts)
            version = found.mapping.version if found and pinned else ""
            row = renewed(letter, version=version, live=how.live)
            moves.append((letter, self._lane(letter, found), row))
        return self.letters.put_back(moves)

    def paced(
        self,
        ids: Sequence[str],
        how: How,
        rate: float,
        *,
        wait: Callable[[float], None] = time.sleep,
    ) -> Iterator[int | None]:
        """Put these letters back, ``rate`` a second and no faster than their lanes take them.

        Yields how many were moved of each ``handful``, and None while a lane is full. What is
        interrupted can be begun again: a letter that has been moved is no letter any more, and one
        that is not there is passed over.
        """
        step = handful(rate)
        for start in range(0, len(ids), step):
            some = self.letters.some(ids[start : start + step])
            while some and self._backlog(some, how) > BACKLOG:
                yield None
                wait(STEP)
            yield self.put_back(some, how)
            if start + step < len(ids):
                wait(step / rate)

    def _backlog(self, letters: Iterable[DeadLetter], how: How) -> int:
        lanes = {self._lane(letter, self._route(letter, how)) for letter in letters}
        return max(int(self._client.llen(f"{self._own}lane:{lane}")) for lane in lanes)

    def _route(self, letter: DeadLetter, how: How) -> Route | None:
        """What the letter would be replayed with."""
        if how.drafts:
            return how.drafts.get(letter.mapping) or self._routes.get(letter.mapping)
        if how.failed:
            return self._versions.find(letter.version)
        return self._routes.get(letter.mapping)

    def _lane(self, letter: DeadLetter, found: Route | None) -> str:
        """The lane of the route, where some mapping in force has it too: others nobody serves."""
        return found.lane if found and found.lane in self._served else letter.lane

    def delivered(self) -> Delivered:
        """Read the log of recent deliveries, for ``sketch``."""
        entries = [decode(text) for text in recent_deliveries(self._client, self.connection)]
        newest: dict[tuple[str, str], float] = {}
        for entry in entries:
            if entry["outcome"] == "delivered":
                newest.setdefault((entry.get("person", ""), entry["mapping"]), entry["time"])
        return Delivered(newest, entries[-1]["time"] if len(entries) >= RECENT else 0.0)

    def sketch(self, letter: DeadLetter, how: How, known: Delivered, now: float) -> Sketch:
        """What would be sent for a letter at ``now``; sends nothing."""
        found = self._route(letter, how)
        bare = Sketch(letter.id, letter.mapping, letter.code, "sent")
        if found is None:
            return replace(bare, end="version_missing" if how.failed else "mapping_missing")
        if not found.mapping.enabled:
            return replace(bare, end="mapping_disabled", version=found.mapping.version)
        body = letter.row.body()
        if not isinstance(body, dict):
            return replace(bare, end="refused", code="row_unreadable")
        seen = preview(
            body,
            _always(found),
            self._destination,
            now=now,
            revision=self._revision,
            replayed=not how.live,
        )
        refused = seen.refused
        writes = not found.action.quiet
        return replace(
            bare,
            end="refused" if refused else "sent",
            version=found.mapping.version,
            code=refused.code if refused else "",
            message=refused.message if refused else "",
            requests=tuple(request_json(each) for each in seen.requests),
            changes=self._changes(letter, found, body, now),
            quiet=not writes and not how.live and late(body, now),
            unwanted=not found.mapping.matches(body),
            stale=writes
            and known.newest.get((letter.row.person, letter.mapping), -math.inf) > letter.time,
        )

    def _changes(
        self, letter: DeadLetter, found: Route, body: dict[str, Any], now: float
    ) -> tuple[Change, ...] | None:
        if letter.version == found.mapping.version:
            return ()
        before = self._versions.find(letter.version)
        if before is None:
            return None
        sides = Side([_always(before)]), Side([_always(found)])
        made = compare(body, *sides, self._destination, now=now, revision=self._revision)
        return tuple(made)


def handful(rate: float) -> int:
    """How many letters go back at once where ``rate`` a second do."""
    return max(1, round(rate * STEP))


def drafts_in(document: Any) -> dict[str, Route]:
    """The mappings of a mapping file that is not in force, by name, as ``How`` takes them.

    Raises ``Rejected`` 422 with what is wrong with it.
    """
    actions = DESTINATIONS["klaviyo"].actions
    mappings, problems = read_mapping_file(encode(document), "draft", actions)
    errors = [str(each) for each in problems if each.severity == "error"]
    if errors:
        raise Rejected(422, "mapping_invalid", "\n".join(errors[:ERRORS]))
    found = {each.name: route(each, actions) for each in mappings if each.enabled}
    if not found:
        raise Rejected(422, "mapping_invalid", "no mapping of the draft is enabled")
    return found


def _always(found: Route) -> Route:
    """The route as a waiting row meets it: the trigger was asked when the event came."""
    mapping = replace(found.mapping, enabled=True, matches=lambda _body: True)
    return replace(found, mapping=mapping)


def sketch_json(sketch: Sketch) -> dict[str, Any]:
    """A sketch for programs."""
    return asdict(sketch)
