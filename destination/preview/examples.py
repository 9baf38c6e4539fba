"""The examples inside mapping files, run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from destination.action import Destination
from destination.mapping.file import Example, Mapping
from destination.pipeline import Route, route
from destination.preview.preview import Preview, preview, request_json

NOW = 1_790_000_000.0
"""The instant at which examples are run, so that they give the same tomorrow: 2026-09-21."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What an example claims and does not hold.

    ``what`` is ``skipped``, ``refused``, ``payload`` or ``requests``; ``because`` says more where
    the found value alone would not tell.
    """

    what: str
    expected: Any
    found: Any
    because: str = ""


@dataclass(frozen=True, slots=True)
class Ran:
    """One example that was run: of which mapping and file, and what of it does not hold."""

    file: str
    mapping: str
    example: str
    failures: tuple[Failure, ...]


def run_examples(
    mappings: Iterable[Mapping], destination: Destination, *, revision: str
) -> list[Ran]:
    """Run every example of every mapping, enabled or not."""
    return [
        Ran(mapping.source, mapping.name, example.name, tuple(failures))
        for mapping in mappings
        for ready in [route(mapping, destination.actions)]
        for example in mapping.examples
        for failures in [_failures(example, ready, destination, revision)]
    ]


def _failures(
    example: Example, ready: Route, destination: Destination, revision: str
) -> list[Failure]:
    found = preview(example.event, ready, destination, now=NOW, revision=revision)
    end = _end(example, found)
    return [end] if end else list(_differences(example, found))


def _end(example: Example, found: Preview) -> Failure | None:
    """Whether the event goes another way than the example says; then nothing else can hold."""
    if example.skipped is found.matched:
        return Failure("skipped", example.skipped, not found.matched)
    refused = found.refused
    code = refused.code if refused else None
    if example.refused == code:
        return None
    because = f"{refused.field}: {refused.message}".removeprefix(": ") if refused else ""
    return Failure("refused", example.refused, code, because)


def _differences(example: Example, found: Preview) -> Iterator[Failure]:
    requests = [request_json(request) for request in found.requests]
    if example.payload is not None and not same(example.payload, found.payload):
        yield Failure("payload", example.payload, found.payload)
    if example.requests is not None and not same(example.requests, requests):
        yield Failure("requests", example.requests, requests)


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal: 1 is 1.0 but not true, which Python says it is."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)
