"""What a trigger means to Segment's own parser, said so that it means the same to ours.

That parser swallows errors, takes the last connector of a group for the whole group, ignores ``!``
before parentheses, ends a group at the first closing parenthesis even if that one belongs to a
function, and skips whatever it does not know. A trigger that was written for it has been tested
against that, so an import keeps the meaning and not the words. Read in
``segmentio/action-destinations`` (``destination-subscriptions/src/parse-fql.ts``) and
``segmentio/fql-ts`` (``src/lexer.ts``, 1.10.1).
"""

from __future__ import annotations

import math
import re
from collections import deque
from itertools import takewhile
from typing import cast

from destination.errors import TriggerError
from destination.fields.numbers import number_text, text_number
from destination.mapping.problem import excerpt
from destination.mapping.trigger.lexer import MAX_LENGTH
from destination.mapping.trigger.segment_lexer import Token, segment_tokens
from destination.mapping.trigger.syntax import (
    OBJECTS,
    ROOTS,
    And,
    Compare,
    Comparison,
    Field,
    Find,
    Or,
    Search,
    Trigger,
    joined,
    to_text,
)

NEVER = Compare(Field(("type",)), "=", "")
"""Stands for a condition that no event meets: no call has an empty type."""

_SEARCHED = {"event", "name", "userId"}


def segment_meaning(source: str) -> str:
    """``source``, rewritten so that it means here what it means at Segment.

    Raises ``TriggerError`` where Segment's parser fails, so that the mapping is never run there,
    and for the few meanings that cannot be written down.
    """
    if len(source) > MAX_LENGTH:
        raise TriggerError(MAX_LENGTH + 1, f"a trigger has at most {MAX_LENGTH:,} characters")
    tokens = segment_tokens(source)
    try:
        parts, connector = _group(tokens)
    except IndexError:
        raise TriggerError(len(source) + 1, "the trigger ends too early, Segment fails") from None
    if not parts or parts == [None]:
        raise TriggerError(1, "nothing in this trigger is a condition to Segment, it fails there")
    return to_text(_combined(parts, connector))


def _group(tokens: deque[Token]) -> tuple[list[Trigger | None], str]:
    """The conditions of a group, None for an empty group within, and its last connector.

    Raises ``IndexError`` where the tokens end too early.
    """
    parts: list[Trigger | None] = []
    connector = "and"
    while tokens and tokens[0][0] != "end":
        kind, text = tokens.popleft()
        if kind == "word" and text.partition(".")[0] in ROOTS:
            operator, value = tokens.popleft(), tokens.popleft()
            parts.append(_comparison(text, operator[1], value))
        elif kind == "word" and text in {"contains", "match"}:
            parts += _call(text, tokens, negated=False)
        elif (kind, text) == ("operator", "!") and tokens[0] in {
            ("word", "contains"),
            ("word", "match"),
        }:
            parts += _call(tokens.popleft()[1], tokens, negated=True)
        elif kind == "(":
            inner: deque[Token] = deque()
            while tokens[0][0] != ")":
                inner.append(tokens.popleft())
            tokens.popleft()
            inner.append(("end", "eos"))
            inner_parts, inner_connector = _group(inner)
            parts.append(_combined(inner_parts, inner_connector) if inner_parts else None)
        elif kind == "connector":
            connector = text
    return parts, connector


def _combined(parts: list[Trigger | None], connector: str) -> Trigger:
    """``parts`` as one trigger. An empty group, None, makes Segment fail where it is reached, so
    that the event is not delivered whatever follows.
    """
    reached = list(takewhile(lambda part: part is not None, parts))
    possible = [part for part in reached if part is not None and part is not NEVER]
    if not possible or (connector == "and" and len(possible) < len(parts)):
        return NEVER
    return joined(Or if connector == "or" else And, possible)


def _comparison(name: str, operator: str, value: Token) -> Trigger:
    field = _field(name)
    root = field.path[0]
    kind, text = value
    if operator not in {"=", "!=", "<", "<=", ">", ">="}:
        return NEVER
    if operator not in {"=", "!="}:
        return _with_number(field, operator, _as_number(kind, text, root))
    typed = root in OBJECTS
    if text == "null" and root not in {"type", "event"}:
        return Compare(field, cast("Comparison", operator), None)
    if operator == "=" and text in {"true", "false"} and (typed or root == "userId"):
        return Compare(field, "=", text == "true")
    if kind == "number" and typed:
        return _with_number(field, operator, text_number(text))
    return Compare(field, cast("Comparison", operator), _writable(_value_text(kind, text)))


def _with_number(field: Field, operator: str, number: float) -> Trigger:
    if math.isinf(number) or (math.isnan(number) and operator == "!="):
        raise TriggerError(1, f"{field} {operator} {number_text(number)} cannot be written")
    return NEVER if math.isnan(number) else Compare(field, cast("Comparison", operator), number)


def _call(name: str, tokens: deque[Token], *, negated: bool) -> list[Trigger | None]:
    """A function takes the next five tokens for its parentheses, field, comma and text."""
    _, field, _, value = (tokens.popleft() for _ in range(4))
    if tokens:
        tokens.popleft()
    (_, searched), (kind, text) = field, value
    if searched not in _SEARCHED and not searched.startswith(("properties", "traits", "context")):
        return []
    how, sought = "contains", _value_text(kind, text)
    if name == "match":
        starts = text.endswith('*"')
        how = "starts_with" if starts else "ends_with"
        sought = sought[:-1] if starts else sought[1:]
    return [Find(_field(searched), cast("Search", how), _writable(sought), negated)]


def _field(name: str) -> Field:
    """The field that a condition on ``name`` reads; ``properties`` alone and ``propertiesx``, where
    Segment lets them pass, read a member of that name.
    """
    root = name.partition(".")[0]
    if root in ROOTS and root not in OBJECTS:
        return Field((root,))
    for start in ("properties", "traits", "context"):
        if name.startswith(start):
            parts = [part for part in re.split(r"[.\[\]]+", name.removeprefix(f"{start}.")) if part]
            if not parts:
                raise TriggerError(1, f"{excerpt(name)} names no member, Segment fails")
            return Field((start, *parts))
    return Field((root,))


def _value_text(kind: str, text: str) -> str:
    """The text that Segment compares with: single quotes stay part of it."""
    if kind == "text":
        return text.removeprefix('"').removesuffix('"')
    return number_text(text_number(text)) if kind == "number" else text


def _as_number(kind: str, text: str, root: str) -> float:
    if kind == "word" and text in {"true", "false"} and root in OBJECTS:
        return float(text == "true")
    return text_number(_value_text(kind, text))


def _writable(text: str) -> str:
    if '"' in text:
        raise TriggerError(1, f"a text with a double quote cannot be written: {excerpt(text)}")
    return text
