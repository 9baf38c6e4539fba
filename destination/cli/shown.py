"""JSON values as a person reads them in a terminal."""

from __future__ import annotations

import difflib
import json
from typing import Any

import msgspec

from destination.event import encode
from destination.mapping import MISSING

WIDTH = 60
"""Characters of a value that stands in a line with others."""

_sorted_json = msgspec.json.Encoder(order="deterministic").encode


def pretty(value: Any) -> str:
    """JSON with two spaces, on many lines."""
    return msgspec.json.format(encode(value), indent=2).decode()


def brief(value: Any) -> str:
    """JSON on one line, bounded in length; ``nothing`` for what is missing."""
    if value is MISSING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def difference(old: Any, new: Any, names: tuple[str, str]) -> list[str]:
    """The lines of a diff of two values; the order of members is no difference."""
    before, after = (
        msgspec.json.format(_sorted_json(value), indent=2).decode().splitlines()
        for value in (old, new)
    )
    return list(difflib.unified_diff(before, after, *names, lineterm=""))


def count(number: int, noun: str) -> str:
    """``1 example``, ``2,000 examples``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
