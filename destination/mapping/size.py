"""How large a mapping may be."""

from __future__ import annotations

from typing import Any

from destination.mapping.problem import Place, Problem, path_text

MAX_DEPTH = 100
"""Levels of nesting."""

MAX_VALUES = 10_000
"""Values in one mapping, objects and lists included."""

MAX_CHARACTERS = 1_000_000
"""Characters in the texts and names of one mapping."""


def size_problems(tree: Any) -> list[Problem]:
    """The first reason why ``tree`` is too large to be a mapping, or is no JSON at all."""
    values = characters = 0
    waiting: list[tuple[Place, Any]] = [((), tree)]
    while waiting:
        place, value = waiting.pop()
        values += 1
        parts, names = _parts(value)
        characters += len(value) if isinstance(value, str) else sum(map(len, names))
        message = _complaint(value, len(place), values + len(parts), characters)
        if message:
            return [Problem(path_text(place[:3]), message)]
        waiting.extend(((*place, name), part) for name, part in zip(names, parts, strict=True))
    return []


def _parts(value: Any) -> tuple[list[Any], list[str]]:
    if isinstance(value, dict):
        return list(value.values()), [str(name) for name in value]
    if isinstance(value, list):
        return value, [str(index) for index in range(len(value))]
    return [], []


def _complaint(value: Any, depth: int, values: int, characters: int) -> str:
    if not isinstance(value, (dict, list, str, bool, int, float, type(None))):
        return f"a mapping is JSON, which has no {type(value).__name__}"
    if isinstance(value, dict) and not all(isinstance(name, str) for name in value):
        return "a mapping is JSON, whose names are texts"
    if depth > MAX_DEPTH:
        return f"the mapping is nested deeper than {MAX_DEPTH} levels"
    if values > MAX_VALUES:
        return f"the mapping holds more than {MAX_VALUES:,} values"
    if characters > MAX_CHARACTERS:
        return f"the mapping holds more than {MAX_CHARACTERS:,} characters"
    return ""
