"""Paths: how a mapping names a value inside an event."""

from __future__ import annotations

import re
from typing import Any

from destination.mapping.budget import Budget
from destination.mapping.javascript import character_at, is_truthy, text_length
from destination.mapping.missing import MISSING

Segments = tuple[str, ...]

# A bracket separates only next to a quote or a digit: ``a[b]`` is one key.
_SEPARATORS = re.compile(r"""\[(?=["'0-9])|\.|(?<=["'0-9])\]+""")
INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
"""A key that is the index of a list."""


def split_path(path: str) -> Segments:
    """The keys of ``path``, as ``@path`` reads it; ``()`` is the whole payload.

    The first ``$.`` anywhere goes, dots and brackets separate, empty keys and all quotes vanish.
    A key that holds a dot or a quote cannot be named.
    """
    return split_name(path.replace("$.", "", 1))


def split_name(name: str) -> Segments:
    """The keys of ``name``, as a template's placeholder reads it: without removing ``$.``."""
    if name in {"", "."}:
        return ()
    pieces = [piece for piece in _SEPARATORS.split(name) if piece]
    return tuple(piece.replace('"', "").replace("'", "") for piece in pieces)


def step(value: Any, key: str, budget: Budget) -> Any:
    """One step of a path: the member, item or character ``key`` of ``value``, else ``MISSING``.

    What counts as false ends the walk and is its result: ``a.b`` of ``{"a": null}`` is null.
    Lists and texts have a ``length``.
    """
    if isinstance(value, dict):
        return value.get(key, MISSING)
    if not is_truthy(value):
        return value
    if isinstance(value, list):
        if INDEX.fullmatch(key):
            index = int(key)
            return value[index] if index < len(value) else MISSING
        return len(value) if key == "length" else MISSING
    if not isinstance(value, str):
        return MISSING
    budget.spend(len(value), key)
    if INDEX.fullmatch(key):
        return character_at(value, int(key))
    return text_length(value) if key == "length" else MISSING


def walk(value: Any, segments: Segments, budget: Budget) -> Any:
    """The value at the end of ``segments``, from ``value`` on."""
    for key in segments:
        value = step(value, key, budget)
    return value
