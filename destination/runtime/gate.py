"""Everything that the server knows while it takes events in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from destination.errors import Rejected
from destination.event import Event, encode, person
from destination.ingress.format import SEGMENT, Limits, Refused
from destination.ingress.normalise import wants_klaviyo
from destination.pipeline import Route, matching
from destination.registry import DESTINATIONS
from destination.runtime.intake import Counting, Entry, Intake, Target
from destination.runtime.logs import log
from destination.runtime.presets import Mappings
from destination.runtime.store import Row, encode_item
from destination.settings import Settings, Source


class Gate:
    """Finds the source of a request, what each event is wanted for, and has it stored."""

    def __init__(self, settings: Settings, intake: Intake) -> None:
        self.settings = settings
        self._intake = intake
        self.limits = (
            SEGMENT if settings.limits == "segment" else Limits(body_bytes=settings.body_limit)
        )
        self._sources = {
            _digest(key.get_secret_value()): source
            for source in settings.sources.values()
            for key in source.write_keys
        }
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
        source = self._sources.get(_digest(key)) if key else None
        if source is None:
            what = "has no write key" if key is None else "carries a write key that no source has"
            raise Rejected(
                401,
                "unknown_source",
                f"the request {what}; send the key as the user of basic authentication, in the"
                " X-Write-Key header, or as writeKey in the body",
            )
        return source

    async def take(
        self,
        source: Source,
        events: Sequence[Event],
        refused: Sequence[Refused] = (),
        *,
        from_client: bool = True,
    ) -> str:
        """Store the events that some mapping wants and count the others.

        Gives a letter per event: ``A`` accepted, ``D`` duplicate, ``U`` unmatched. Events straight
        from clients (``from_client``) also obey their ``integrations``. Raises ``Rejected`` 503.
        """
        routes = self.mappings[source.connection].routes()
        mappings = [route.mapping for route in routes.values()]
        letters: list[str] = []
        entries: list[Entry] = []
        for event in events:
            wanted = not from_client or wants_klaviyo(event.body, source.integrations_names)
            names = matching(event.body, mappings) if wanted else []
            letters.append("A" if names else "U")
            if names:
                targets = tuple(_target(routes[mapping.name]) for mapping in names)
                entries.append(self._entry(source, event, targets))
        for each in refused:
            log.info("event_refused", source=source.name, code=each.code, index=each.index)
        counting = Counting(
            source.name, len(events) + len(refused), letters.count("U"), len(refused)
        )
        if not entries and not counting.received:
            return ""
        stored = iter(await self._intake.store(entries, counting))
        return "".join(letter if letter == "U" else next(stored) for letter in letters)

    @staticmethod
    def _entry(source: Source, event: Event, targets: tuple[Target, ...]) -> Entry:
        row = Row(msgspec.Raw(encode(event.body)), event.id, source.name, person(event.body))
        return Entry(source.connection, source.name, event.id, encode_item(row), targets)


def _target(route: Route) -> Target:
    wait = int(route.mapping.batch.wait_seconds * 1000)
    return Target(route.lane, route.mapping.name, wait, route.rows)


def rejected_list(refused: Iterable[Refused]) -> list[dict[str, Any]]:
    """The refused events as an answer lists them."""
    return [{"index": each.index, "code": each.code, "message": each.message} for each in refused]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
