"""Mapping files: from text to mappings that are ready to use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import Any

import msgspec

from destination.action import Action
from destination.errors import MappingError
from destination.event import decode
from destination.mapping.engine import check_mapping, compile_mapping
from destination.mapping.problem import Problem
from destination.mapping.trigger import compile_trigger


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How a mapping's deliveries are batched."""

    enabled: bool = True
    size: int | None = None
    wait_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Example:
    """An event and what must come of it."""

    name: str
    event: dict[str, Any]
    payload: dict[str, Any] | None = None
    requests: list[Any] | None = None
    skipped: bool = False
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Mapping:
    """One entry of a file, compiled."""

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
    """The mappings of a file and everything wrong with it."""
    problems: list[Problem] = []
    found: list[Mapping] = []
    try:
        document = decode(text)
    except ValueError as error:
        return [], [Problem("/", f"not JSON: {error}", file=origin)]
    for entry in document["mappings"]:
        name = f"{document['name']}/{entry['name']}"
        if entry["action"] not in actions:
            problems.append(Problem("/action", "unknown action", mapping=name, file=origin))
            continue
        wrong = check_mapping(entry["fields"])
        problems += [Problem(p.path, p.message, p.severity, name, origin) for p in wrong]
        try:
            matches = compile_trigger(entry["trigger"])
            resolve = compile_mapping(entry["fields"])
        except MappingError as error:
            problems.append(Problem(error.path, error.message, mapping=name, file=origin))
            continue
        core = {k: v for k, v in entry.items() if k not in {"examples", "description"}}
        version = hashlib.sha256(msgspec.json.encode(core, order="deterministic")).hexdigest()[:12]
        found.append(
            Mapping(
                name,
                entry.get("description", ""),
                entry["action"],
                entry["trigger"],
                entry.get("enabled", True),
                entry["fields"],
                BatchOptions(**entry.get("batch", {})),
                tuple(Example(**example) for example in entry.get("examples", [])),
                matches,
                resolve,
                version,
                origin,
            )
        )
    return found, problems
