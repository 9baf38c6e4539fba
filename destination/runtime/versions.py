"""Every version of a mapping that was in force, so that a dead letter can be replayed with it."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Dict
from typing import Any

import msgspec
import redis

from destination.action import Action
from destination.event import encode
from destination.mapping.file import Mapping, read_mapping_file
from destination.pipeline import Route, route
from destination.runtime.logs import log
from destination.runtime.store import PREFIX, Row


class Versions:
    """The versions of one connection's mappings, in Redis: a few kilobytes each, kept for good."""

    def __init__(self, client: redis.Redis, connection: str, actions: Dict[str, Action]) -> None:
        self._client: Any = client
        self._place = f"{PREFIX}{connection}:versions"
        self._actions = actions
        self._kept: object = None
        self._found: dict[str, Route] = {}

    def keep(self, routes: Dict[str, Route]) -> None:
        """Write down the mappings in force, once for each set; on a full Redis another time."""
        if self._kept is routes:
            return
        try:
            with self._client.pipeline(transaction=False) as writing:
                for each in routes.values():
                    writing.hsetnx(self._place, each.mapping.version, text_of(each.mapping))
                writing.execute()
        except redis.OutOfMemoryError:
            log.warning("versions_not_kept", reason="Redis is full")
        else:
            self._kept = routes

    def add(self, mapping: Mapping) -> None:
        """Write down a mapping that is not in force."""
        self._client.hsetnx(self._place, mapping.version, text_of(mapping))

    def find(self, version: str) -> Route | None:
        """The mapping of this version; None when it was never kept or can no longer be used."""
        if version not in self._found:
            text = self._client.hget(self._place, version)
            mappings = read_mapping_file(text, "versions", self._actions)[0] if text else []
            if not mappings:
                return None
            self._found[version] = route(mappings[0], self._actions)
        return self._found[version]

    def routes(self, current: Dict[str, Route], rows: Iterable[Row]) -> Dict[str, Route]:
        """The routes of these rows by ``Row.route``: those in force, and versions that are asked
        for.
        """
        asked = {row.route: row.version for row in rows if row.version}
        if not asked:
            return current
        found = {name: self.find(version) for name, version in asked.items()}
        return {**current, **{name: each for name, each in found.items() if each}}


def text_of(mapping: Mapping) -> bytes:
    """A mapping as a file that holds nothing else; read again it has the same name and version."""
    file, _, name = mapping.name.partition("/")
    entry = {
        "name": name,
        "action": mapping.action,
        "trigger": mapping.trigger,
        "enabled": mapping.enabled,
        "fields": mapping.fields,
        "batch": {
            key: value
            for key, value in msgspec.to_builtins(mapping.batch).items()
            if value is not None
        },
    }
    return encode({"name": file, "mappings": [entry]})
