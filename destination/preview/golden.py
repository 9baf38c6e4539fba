"""Rewriting what examples expect, in the text of their file and nowhere else in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from destination.preview.examples import Ran

Place = tuple[str | int, ...]
"""The keys and numbers that lead from the top of a document to a part of it."""

Span = tuple[int, int]

_SPACE = re.compile(r"[ \t\r\n]*")
_INDENT = re.compile(r"[ \t]*")
_decode = json.JSONDecoder().raw_decode

UPDATED = ("payload", "requests")
"""The claims that may be rewritten. The others say which way an event goes: that is for people."""


@dataclass(frozen=True, slots=True)
class Update:
    """One value to put at a place of a document."""

    place: Place
    value: Any


def update_file(text: str, ran: Iterable[Ran]) -> str:
    """The text of a mapping file in which ``payload`` and ``requests`` say what was found.

    Only failed claims are rewritten, as JSON with two spaces, members in the order in which they
    stood; all else stays byte for byte. ``text`` must have been read without errors, and ``ran``
    be of its mappings.
    """
    failed = {(each.mapping.partition("/")[2], each.example): each for each in ran if each.failures}
    updates: list[Update] = []
    for number, entry in enumerate(json.loads(text)["mappings"]):
        for index, example in enumerate(entry.get("examples", [])):
            found = failed.get((entry["name"], example["name"]))
            for failure in found.failures if found else ():
                if failure.what in UPDATED:
                    place = ("mappings", number, "examples", index, failure.what)
                    updates.append(Update(place, _in_order_of(failure.expected, failure.found)))
    return rewrite(text, updates)


def rewrite(text: str, updates: Iterable[Update]) -> str:
    """``text``, a JSON document, with other values at some places."""
    wanted = {update.place: update.value for update in updates}
    spans: dict[Place, Span] = {}
    _walk(text, 0, (), frozenset(wanted), spans)
    newline = "\r\n" if "\r\n" in text else "\n"
    for place, (start, end) in sorted(spans.items(), key=lambda item: item[1], reverse=True):
        line = text.rfind("\n", 0, start) + 1
        found = _INDENT.match(text, line)
        indent = found[0] if found else ""
        written = json.dumps(wanted[place], indent=2, ensure_ascii=False)
        text = text[:start] + written.replace("\n", newline + indent) + text[end:]
    return text


def _walk(
    text: str, at: int, here: Place, wanted: frozenset[Place], spans: dict[Place, Span]
) -> int:
    """Note the spans of the ``wanted`` parts of the value that starts at ``at``; where it ends."""
    at = _skip(text, at)
    if here not in wanted and text[at] == "{":
        return _members(text, at + 1, here, wanted, spans)
    if here not in wanted and text[at] == "[":
        return _items(text, at + 1, here, wanted, spans)
    _, end = _decode(text, at)
    if here in wanted:
        spans[here] = (at, end)
    return end


def _members(
    text: str, at: int, here: Place, wanted: frozenset[Place], spans: dict[Place, Span]
) -> int:
    at = _skip(text, at)
    while text[at] != "}":
        key, at = _decode(text, at)
        at = _skip(text, at) + 1
        at = _skip(text, _walk(text, at, (*here, key), wanted, spans))
        if text[at] == ",":
            at = _skip(text, at + 1)
    return at + 1


def _items(
    text: str, at: int, here: Place, wanted: frozenset[Place], spans: dict[Place, Span]
) -> int:
    at = _skip(text, at)
    index = 0
    while text[at] != "]":
        at = _skip(text, _walk(text, at, (*here, index), wanted, spans))
        if text[at] == ",":
            at = _skip(text, at + 1)
        index += 1
    return at + 1


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _in_order_of(before: Any, after: Any) -> Any:
    """``after`` with its members in the order of ``before``, new ones behind."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*(key for key in before if key in after), *(k for k in after if k not in before)]
        return {key: _in_order_of(before.get(key), after[key]) for key in keys}
    if isinstance(before, list) and isinstance(after, list):
        padded = before + [None] * len(after)
        return [_in_order_of(old, new) for old, new in zip(padded, after, strict=False)]
    return after
