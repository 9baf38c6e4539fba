"""Templates: a text with ``{{path}}`` placeholders."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from destination.fields.numbers import WHITESPACE
from destination.mapping.budget import NODE, Budget
from destination.mapping.path import Segments, split_name, walk
from destination.mapping.text_form import text_of

Parts = tuple[str | Segments, ...]
"""A template taken apart: literal texts, and paths between them."""

_KEPT = 2_000  # characters of a template whose parts are worth remembering


def parts_of(template: str) -> Parts:
    """The parts of ``template``.

    Three braces are looked for first, then two in what is left. Both insert the value as it is,
    nothing is escaped; what is inserted is never read as a template again.
    """
    return _remembered(template) if len(template) <= _KEPT else _parts(template)


def render(parts: Parts, payload: Any, budget: Budget, at: str) -> str:
    """The text. Raises ``MappingError`` when it would be too large."""
    budget.spend(NODE * len(parts), at)
    texts = []
    for part in parts:
        if isinstance(part, str):
            budget.spend(len(part), at)
            texts.append(part)
        else:
            texts.append(text_of(walk(payload, part, budget), budget, at))
    return "".join(texts)


def _parts(template: str) -> Parts:
    parts: list[str | Segments] = []
    for text, name in _placeholders(template, 3):
        for inner, inner_name in _placeholders(text, 2):
            parts.append(inner)
            if inner_name is not None:
                parts.append(split_name(inner_name.strip(WHITESPACE)))
        if name is not None:
            parts.append(split_name(name.strip(WHITESPACE)))
    return tuple(part for part in parts if part != "")


_remembered = lru_cache(maxsize=256)(_parts)


def _placeholders(text: str, braces: int) -> Iterator[tuple[str, str | None]]:
    """Each stretch of ``text`` with the placeholder after it, None after the last.

    A placeholder is ``braces`` opening braces, one or more characters other than a closing brace,
    and as many closing braces; the leftmost opening wins. One pass: a run of opening braces can
    only belong to the closing brace that follows it.
    """
    opening, closing = "{" * braces, "}" * braces
    done = start = 0
    while (end := text.find("}", start)) >= 0:
        begin = text.find(opening, start, max(end - 1, start))
        if begin >= 0 and text.startswith(closing, end):
            yield text[done:begin], text[begin + braces : end]
            done = start = end + braces
        else:
            start = end + 1
    yield text[done:], None
