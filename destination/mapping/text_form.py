"""Values as text: JavaScript's ``String(value)`` and ``JSON.stringify(value)``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from json.encoder import encode_basestring
from typing import Any

from destination.fields.numbers import number_text
from destination.mapping.budget import NODE, Budget, deeper
from destination.mapping.javascript import is_number
from destination.mapping.missing import MISSING
from destination.mapping.path import INDEX


def text_of(value: Any, budget: Budget, at: str) -> str:
    """``value`` as a template shows it.

    Lists are their items with commas between, null and missing items empty; every object is
    ``[object Object]``. Raises ``MappingError`` when the budget or the depth is exceeded.
    """
    if isinstance(value, str):
        budget.spend(len(value), at)
        return value
    if not isinstance(value, list):
        return scalar_text(value)
    parts: list[str] = []
    _collect(value, parts, budget, at, 0)
    return "".join(parts)


def scalar_text(value: Any) -> str:
    """The text of anything but a list; null and what is missing are empty, as in a template."""
    if value is None or value is MISSING:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return number_text(value)
    return value if isinstance(value, str) else "[object Object]"


def _collect(items: list[Any], parts: list[str], budget: Budget, at: str, depth: int) -> None:
    depth = deeper(depth, at)
    for index, item in enumerate(items):
        if index:
            parts.append(",")
        if isinstance(item, list):
            budget.spend(NODE, at)
            _collect(item, parts, budget, at, depth)
        else:
            text = scalar_text(item)
            budget.spend(NODE + len(text), at)
            parts.append(text)


def json_of(value: Any, budget: Budget, at: str) -> str:
    """``value`` as compact JSON: missing members left out, missing items null, index-like keys
    first. Raises ``MappingError`` when the budget or the depth is exceeded.
    """
    parts: list[str] = []
    _encode(value, parts.append, budget, at, 0)
    return "".join(parts)


def _encode(value: Any, write: Any, budget: Budget, at: str, depth: int) -> None:
    if isinstance(value, dict):
        _encode_object(value, write, budget, at, deeper(depth, at))
    elif isinstance(value, list):
        depth = deeper(depth, at)
        write("[")
        for index, item in enumerate(value):
            if index:
                write(",")
            _encode(item, write, budget, at, depth)
        write("]")
    else:
        text = _scalar_json(value)
        budget.spend(NODE + len(text), at)
        write(text)


def _encode_object(value: dict[str, Any], write: Any, budget: Budget, at: str, depth: int) -> None:
    comma = ""
    write("{")
    for key in ordered_keys(value):
        member = value[key]
        if member is not MISSING:
            budget.spend(NODE + len(key), at)
            write(f"{comma}{encode_basestring(key)}:")
            _encode(member, write, budget, at, depth)
            comma = ","
    write("}")


def _scalar_json(value: Any) -> str:
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value) and math.isfinite(value):
        return number_text(value)
    return "null"


def ordered_keys(value: dict[str, Any]) -> Iterable[str]:
    """The keys as JavaScript lists them: array indices in numeric order, then the others."""
    if not any(key[:1].isdigit() for key in value):
        return value
    indices = [key for key in value if INDEX.fullmatch(key) and int(key) < 2**32 - 1]
    first = set(indices)
    return sorted(indices, key=int) + [key for key in value if key not in first]
