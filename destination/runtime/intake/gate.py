"""Everything that the server knows while it takes events in."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Dict
from typing import Any

import msgspec

from destination.errors import Rejected, SettingsError
from destination.event import encode, person
from destination.ingress.credentials import spellings
from destination.ingress.format import SEGMENT, Limits, Refused
from destination.ingress.normalise import wants_klaviyo
from destination.ingress.sent import SentEvent, Taken, glimpsed
from destination.mapping.file import Mapping
from destination.mapping.index import Index
from destination.pipeline import Route
from destination.registry import DESTINATIONS
from destination.runtime.conflicts import Conflicts, content_of
from destination.runtime.erasure.erasing import Deletions
from destination.runtime.intake.accept import Counting, Entry, Intake, Target
from destination.runtime.intake.crowding import Crowding
from destination.runtime.intake.floods import Floods
from destination.runtime.logs import log
from destination.runtime.presets import Mappings
from destination.runtime.recent_events import Recorder
from destination.runtime.store import Row, encode_item, person_key
from destination.settings import Settings, Source

BREATH = 500
"""Events after which other requests get their turn, in a request with thousands."""

COMBINATIONS = 1000
"""Combinations of mappings that are kept ready for one source; real events have a few dozen."""

RECOGNISED = 1000
"""Spellings of right keys that are known at once: a password may stand behind a key."""

LOGGED = 20
"""Refused events of one request that are logged; the answer lists and the counts count them all."""


class Usable:
    """All mappings of a connection by name, and those of them that may act for one source."""

    def __init__(self, routes: Dict[str, Route], mappings: Sequence[Mapping]) -> None:
        self.routes = routes
        self.mappings = mappings
        self._index = Index(mappings, glimpsed)
        self._targets: dict[tuple[str, ...], tuple[Target, ...]] = {}

    def targets(self, event: Taken) -> tuple[Target, ...]:
        """Of the mappings that want an event; the same tuple for all that the same ones want.

        Raises ``Rejected`` 400 for an event that cannot be read.
        """
        body = event.glimpse
        concerned = self._index.concerned(body)
        if not concerned.seen:
            body = event.body
        names = tuple([each.name for each in concerned.mappings if each.matches(body)])
        found = self._targets.get(names)
        if found is None:
            if len(self._targets) == COMBINATIONS:
                self._targets.clear()
            found = tuple(_target(self.routes[name]) for name in names)
            self._targets[names] = found
        return found


class Gate:
    """Finds the source of a request, what each event is wanted for, and has it stored.

    Raises ``SettingsError`` for mappings that cannot be used or actions that there are not.
    """

    def __init__(
        self,
        settings: Settings,
        intake: Intake,
        recorder: Recorder,
        deletions: Deletions,
        crowding: Crowding,
        conflicts: Conflicts,
    ) -> None:
        self.settings = settings
        self._intake = intake
        self._recorder = recorder
        self._deletions = deletions
        self._crowding = crowding
        self._conflicts = conflicts
        self.limits = (
            SEGMENT if settings.limits == "segment" else Limits(body_bytes=settings.body_limit)
        )
        self._sources = {
            _digest(key.get_secret_value()): source
            for source in settings.sources.values()
            for key in source.write_keys
        }
        self._recognised: dict[str, Source] = {}
        self._secrets = {
            _digest(secret.get_secret_value()): source
            for source in settings.sources.values()
            for secret in source.signing_secrets
        }
        for source in settings.sources.values():
            _check_actions(source)
        self._usable: dict[str, Usable] = {}
        self._floods = Floods(settings.rates(), time.monotonic())
        self.mappings = {
            name: Mappings(
                connection.mappings,
                DESTINATIONS["klaviyo"].actions,
                complain=lambda problem, name=name: log.error(  # type: ignore[misc]  # bound early on purpose
                    "mappings_refused", connection=name, problem=problem
                ),
            )
            for name, connection in settings.connections.items()
        }

    def source(self, key: str | None) -> Source:
        """The source with this write key. Raises ``Rejected`` 401.

        Keys are looked up by their hash, so that the time it takes tells nothing about them.
        """
        source = self.known(key)
        if source is None:
            what = "carries a write key that no source has" if key else "has no write key"
            raise Rejected(
                401,
                "unknown_source",
                f"the request {what}; send the key as the user of basic authentication, in the"
                " X-Write-Key header, or as writeKey in the body",
            )
        return source

    def known(self, key: str | None) -> Source | None:
        """The source with this write key, None when there is none."""
        if not key:
            return None
        found = self._recognised.get(key)
        if found is None:
            found = _owner(self._sources, key)
            if found and len(self._recognised) < RECOGNISED:
                self._recognised[key] = found
        return found

    def with_secret(self, secret: str) -> Source | None:
        """The source with this signing secret, None when there is none."""
        return _owner(self._secrets, secret)

    def signing(self) -> list[Source]:
        """The sources with signing secrets."""
        return [source for source in self.settings.sources.values() if source.signing_secrets]

    def usable(self, source: Source) -> Usable:
        """The mappings that may act on the source's events."""
        routes = self.mappings[source.connection].routes()
        held = self._usable.get(source.name)
        if held is None or held.routes is not routes:
            allowed = source.allowed_actions
            mappings = [
                route.mapping
                for route in routes.values()
                if allowed is None or route.mapping.action in allowed
            ]
            withheld = routes.keys() - {mapping.name for mapping in mappings}
            if withheld:
                log.info("mappings_withheld", source=source.name, mappings=sorted(withheld))
            held = self._usable[source.name] = Usable(routes, mappings)
        return held

    async def take(
        self,
        source: Source,
        events: Sequence[Taken],
        refused: Sequence[Refused] = (),
        *,
        from_client: bool = True,
    ) -> str:
        """Store the events that some mapping wants and count the others.

        Gives a letter per event: ``A`` accepted, ``D`` duplicate, ``U`` unmatched. Events straight
        from clients (``from_client``) also obey their ``integrations``. What only mappings of
        actions want that the source may not cause is unmatched. Raises ``Rejected``: 429 for a
        source that posts too fast, 503.
        """
        self._floods.admit(source.name, len(events) + len(refused), time.monotonic())
        await self._deletions.note(source, events)
        usable = self.usable(source)
        letters: list[str] = []
        entries: list[Entry] = []
        now = int(time.time() * 1000)
        for number, event in enumerate(events, 1):
            if number % BREATH == 0:
                await asyncio.sleep(0)
            wanted = not from_client or wants_klaviyo(event.glimpse, source.integrations_names)
            targets = usable.targets(event) if wanted else ()
            letters.append("A" if targets else "U")
            if targets:
                entries.append(_entry(source, event, targets, now))
        for each in refused[:LOGGED]:
            log.info("event_refused", source=source.name, code=each.code, index=each.index)
        counting = Counting(
            source.name, len(events) + len(refused), letters.count("U"), len(refused)
        )
        if not entries and not counting.received:
            return ""
        self._crowding.admit(entries)
        answers = await self._intake.store(entries, counting)
        if "C" in answers:
            await self._note_conflicts(source, events, letters, answers)
        stored = iter(answers.replace("C", "D"))
        self._recorder.note(source, events, from_client=from_client)
        return "".join(letter if letter == "U" else next(stored) for letter in letters)

    async def _note_conflicts(
        self, source: Source, events: Sequence[Taken], letters: Sequence[str], answers: str
    ) -> None:
        wanted = (event for event, letter in zip(events, letters, strict=True) if letter == "A")
        found = [event for event, answer in zip(wanted, answers, strict=True) if answer == "C"]
        await self._conflicts.note(source, found)


def _entry(source: Source, event: Taken, targets: tuple[Target, ...], now: int) -> Entry:
    if isinstance(event, SentEvent):
        who, text, sent = person_key(event.person), event.text, event.sent
    else:
        who, text, sent = person_key(person(event.body)), encode(event.body), None
    row = Row(msgspec.Raw(text), event.id, source.name, who, at=now, sent=sent)
    item, content = encode_item(row), content_of(event)
    return Entry(source.connection, source.name, event.id, item, targets, content)


def _check_actions(source: Source) -> None:
    """Raise ``SettingsError`` for a misspelt action: it would withhold in silence."""
    known = DESTINATIONS["klaviyo"].actions
    strange = sorted((source.allowed_actions or frozenset()) - set(known))
    if strange:
        raise SettingsError(
            f"source {source.name!r} allows the action {strange[0]!r}, which is not there."
            f" There are: {', '.join(known)}."
        )


def _target(route: Route) -> Target:
    wait = int(route.mapping.batch.wait_seconds * 1000)
    return Target(route.lane, route.mapping.name, wait, route.rows)


def rejected_list(refused: Iterable[Refused]) -> list[dict[str, Any]]:
    """The refused events as an answer lists them."""
    return [{"index": each.index, "code": each.code, "message": each.message} for each in refused]


def _owner(owners: Dict[bytes, Source], key: str) -> Source | None:
    return next(filter(None, (owners.get(_digest(each)) for each in spellings(key))), None)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
