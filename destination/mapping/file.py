"""Mapping files: from text to mappings that are ready to use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from destination.action import Action
from destination.mapping.engine import compile_mapping
from destination.mapping.file_check import (
    FILE_KEYS,
    Earlier,
    check_entry,
    is_name,
    not_a_name,
)
from destination.mapping.problem import Problem
from destination.mapping.strict_json import read_json, unknown_keys
from destination.mapping.trigger import compile_trigger

__all__ = ["BatchOptions", "Example", "Mapping", "Problem", "read_mapping_file"]


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How a mapping's deliveries are batched.

    Without ``enabled`` each goes alone, through the single-record endpoint. ``size`` bounds the
    rows of one request, None for the endpoint's own bound; ``wait_seconds`` is how long a row may
    wait for others. With ``skip_unchanged`` a row that says what its person's last delivery of the
    same mapping said is not sent.
    """

    enabled: bool = True
    size: int | None = None
    wait_seconds: float = 0
    skip_unchanged: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """An event and what must come of it.

    ``payload`` is what the action must get and ``requests`` what it must send (``method``,
    ``path``, and ``query`` and ``json`` if any), None where the example does not say; ``skipped``
    that the trigger does not want the event; ``refused`` the reason for which it is discarded.
    """

    name: str
    event: dict[str, Any]
    payload: dict[str, Any] | None = None
    requests: list[Any] | None = None
    skipped: bool = False
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Mapping:
    """One entry of a file, compiled.

    ``name`` is ``<file's name>/<entry's name>``, ``source`` the file it came from; ``version`` is
    the first twelve hexadecimal digits of a SHA-256 over all that matters for a delivery: the
    same for the same mapping, however it is written down, described or exemplified.
    """

    name: str
    description: str
    action: str
    trigger: str
    enabled: bool
    fields: Any
    batch: BatchOptions
    examples: tuple[Example, ...]
    matches: Callable[[dict[str, Any]], bool]
    resolve: Callable[[dict[str, Any]], Any]
    version: str
    source: str


def read_mapping_file(
    text: str | bytes, origin: str, actions: Dict[str, Action]
) -> tuple[list[Mapping], list[Problem]]:
    """The usable mappings of a file and everything that is wrong with it.

    ``origin`` names the file in problems and in ``Mapping.source``; ``actions`` are the
    destination's, by name. A mapping with an error is left out, one with warnings is not.
    """
    document, problems = read_json(text)
    if problems or not isinstance(document, dict):
        problems = problems or [
            Problem("/", 'a mapping file is an object with "name" and "mappings"')
        ]
        return [], [replace(problem, file=origin) for problem in problems]
    problems = _check_document(document)
    mappings: list[Mapping] = []
    earlier = Earlier()
    entries = document["mappings"] if isinstance(document.get("mappings"), list) else []
    for index, entry in enumerate(entries):
        found = check_entry(entry, earlier, actions)
        named = entry["name"] if isinstance(entry, dict) and is_name(entry.get("name")) else index
        name = f"{document.get('name')}/{named}"
        problems += [replace(problem, mapping=name) for problem in found]
        if all(problem.severity != "error" for problem in found):
            mappings.append(_mapping(entry, name, origin))
    return mappings, [replace(problem, file=origin) for problem in problems]


def _check_document(document: dict[str, Any]) -> list[Problem]:
    """What is wrong with the file beside its mappings."""
    problems = unknown_keys(document, FILE_KEYS, (), "a mapping file")
    if not is_name(document.get("name")):
        problems.append(not_a_name(document.get("name")))
    if not isinstance(document.get("description", ""), str):
        problems.append(Problem("/description", "should be a text"))
    if not isinstance(document.get("mappings"), list):
        problems.append(Problem("/mappings", "should be a list of mappings"))
    return problems


def _mapping(entry: dict[str, Any], name: str, origin: str) -> Mapping:
    batch = BatchOptions(**entry.get("batch", {}))
    enabled = entry.get("enabled", True)
    core = [name, entry["action"], entry["trigger"], enabled, entry["fields"], batch]
    canonical = msgspec.json.encode(core, order="deterministic")
    return Mapping(
        name=name,
        description=entry.get("description", ""),
        action=entry["action"],
        trigger=entry["trigger"],
        enabled=enabled,
        fields=entry["fields"],
        batch=batch,
        examples=tuple(Example(**example) for example in entry.get("examples", [])),
        matches=compile_trigger(entry["trigger"]),
        resolve=compile_mapping(entry["fields"]),
        version=hashlib.sha256(canonical).hexdigest()[:12],
        source=origin,
    )
