"""Versions of mappings: kept as they were, found again, used for the rows that ask for them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import redis

from destination.mapping.file import read_mapping_file
from destination.pipeline import Route, route
from destination.registry import DESTINATIONS
from destination.runtime.presets import mapping_files, read_mappings
from destination.runtime.store import PREFIX, Row, decode_row, encode_row
from destination.runtime.versions import Versions, text_of

ACTIONS = DESTINATIONS["klaviyo"].actions
PRESETS = Path(__file__).parents[3] / "mappings"


def shipped() -> list[Route]:
    """Every mapping that is shipped."""
    mappings, _problems = read_mappings(mapping_files(PRESETS), ACTIONS)
    return [route(mapping, ACTIONS) for mapping in mappings]


def test_a_mapping_that_was_kept_is_the_same_mapping() -> None:
    """Name and version, and so all that matters for a delivery."""
    for each in shipped():
        (again,), problems = read_mapping_file(text_of(each.mapping), "x", ACTIONS)
        assert (again.name, again.version) == (each.mapping.name, each.mapping.version)
        assert not [problem for problem in problems if problem.severity == "error"]


def test_what_was_in_force_is_found_again(client: redis.Redis) -> None:
    """By any process; what never was is not."""
    routes = {each.mapping.name: each for each in shipped()}
    versions = Versions(client, "default", ACTIONS)
    versions.keep(routes)
    some = next(iter(routes.values())).mapping
    found = Versions(client, "default", ACTIONS).find(some.version)
    assert found is not None
    assert (found.mapping.name, found.mapping.fields) == (some.name, some.fields)
    assert versions.find("0" * 12) is None
    assert Versions(client, "other", ACTIONS).find(some.version) is None


def test_mappings_are_written_down_once_for_each_set(client: redis.Redis) -> None:
    """Not at every pass; a changed set is written down as well."""
    routes = {each.mapping.name: each for each in shipped()}
    versions = Versions(client, "default", ACTIONS)
    versions.keep(routes)
    client.delete(f"{PREFIX}default:versions")
    versions.keep(routes)
    assert not client.exists(f"{PREFIX}default:versions")
    versions.keep(dict(routes))
    assert client.hlen(f"{PREFIX}default:versions") == len(routes)


def test_a_full_redis_keeps_nothing_and_stops_nothing(client: redis.Redis) -> None:
    """What could not be kept is kept another time."""
    routes = {each.mapping.name: each for each in shipped()}
    versions = Versions(client, "default", ACTIONS)
    client.config_set("maxmemory", 1)
    try:
        versions.keep(routes)
    finally:
        client.config_set("maxmemory", 0)
    versions.keep(routes)
    assert client.hlen(f"{PREFIX}default:versions") == len(routes)


def a_row(**members: Any) -> Row:
    """A row of one of the shipped mappings."""
    return Row(msgspec.Raw(b"{}"), "m-1", "web", "p", **members)


def test_a_row_gets_the_version_that_it_asks_for(client: redis.Redis) -> None:
    """All others the one in force; a row keeps what it asks for in its lane."""
    current = shipped()[0]
    old = dataclasses.replace(current.mapping, version="0123456789ab")
    client.hset(f"{PREFIX}default:versions", old.version, text_of(old))
    name = old.name
    routes = {name: current}
    versions = Versions(client, "default", ACTIONS)
    plain, asking = a_row(mapping=name), a_row(mapping=name, version=old.version)
    lost = a_row(mapping=name, version="0" * 12)
    assert versions.routes(routes, [plain]) is routes
    found = versions.routes(routes, [plain, asking, lost])
    assert found[plain.route] is current
    assert found[asking.route] is not current
    assert lost.route not in found
    again = decode_row(encode_row(asking))
    assert (again.mapping, again.version, again.route) == (name, old.version, asking.route)
