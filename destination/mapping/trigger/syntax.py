"""Triggers as trees, and back to text."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Comparison = Literal["=", "!=", "<", "<=", ">", ">="]
Search = Literal["contains", "starts_with", "ends_with"]

ROOTS = ("type", "event", "name", "userId", "properties", "traits", "context")
"""The fields that Segment's triggers know; the last three only with a member."""

MESSAGE = "message"
"""Our own root: ``message.groupId`` is any other member of the event."""

OBJECTS = frozenset({"properties", "traits", "context", MESSAGE})

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_KEYWORDS = frozenset({"and", "or", "null"})


@dataclass(frozen=True, slots=True)
class Field:
    """What a condition looks at: ``("properties", "total")``."""

    path: tuple[str, ...]

    @property
    def place(self) -> tuple[str, ...]:
        """The path inside the event."""
        return self.path[1:] if self.path[0] == MESSAGE else self.path

    def __str__(self) -> str:
        return ".".join(map(_escaped, self.path))


@dataclass(frozen=True, slots=True)
class Compare:
    """``field operator value``.

    What ``=`` and ``!=`` ask depends on the value. None: whether there is anything but null.
    A boolean, only with ``=``: whether it is exactly that. A number: whether it is a number and
    equal, or a number and another. A text: whether it is that text, or anything else, missing
    included. The other operators take numbers and are false for all that is no number.
    ``written`` is the value as it stood in the source.
    """

    field: Field
    operator: Comparison
    value: str | float | bool | None
    written: str = dataclasses.field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Find:
    """A text that contains, starts with or ends with ``text``; ``negated`` a text that does not.

    False both ways for what is not a text.
    """

    field: Field
    how: Search
    text: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    """Whatever ``part`` is not true for."""

    part: Trigger


@dataclass(frozen=True, slots=True)
class And:
    """All of ``parts``, two or more."""

    parts: tuple[Trigger, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of ``parts``, two or more."""

    parts: tuple[Trigger, ...]


Condition = Compare | Find
Trigger = Compare | Find | Not | And | Or


def to_text(trigger: Trigger) -> str:
    """The source of ``trigger``, with parentheses only where they are needed."""
    match trigger:
        case And(parts):
            return " and ".join(_operand(part, Or) for part in parts)
        case Or(parts):
            return " or ".join(_operand(part, And) for part in parts)
        case Not(part):
            return f"!({to_text(part)})"
        case Compare(named, operator, value):
            return f"{named} {operator} {_literal(value)}"
        case Find():
            return _search(trigger)


def canonical(trigger: Trigger) -> str:
    """A normal form: equal for triggers that ask the same in another order or with repetitions."""
    return to_text(_normal(trigger))


def conditions(trigger: Trigger) -> Iterator[Condition]:
    """Every condition in ``trigger``."""
    match trigger:
        case And(parts) | Or(parts):
            for part in parts:
                yield from conditions(part)
        case Not(part):
            yield from conditions(part)
        case _:
            yield trigger


def joined(kind: type[And | Or], parts: list[Trigger]) -> Trigger:
    """``parts`` as one trigger; nested ones of the same kind are taken in, one part stands alone."""
    flat: list[Trigger] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, kind) else [part])
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def _normal(trigger: Trigger) -> Trigger:
    match trigger:
        case And(parts) | Or(parts):
            kind = type(trigger)
            whole = joined(kind, [_normal(part) for part in parts])
            if not isinstance(whole, kind):
                return whole
            unique = {to_text(part): part for part in whole.parts}
            return joined(kind, [unique[text] for text in sorted(unique)])
        case Not(part):
            inner = _normal(part)
            return inner.part if isinstance(inner, Not) else Not(inner)
        case _:
            return trigger


def _operand(trigger: Trigger, other: type[And | Or]) -> str:
    text = to_text(trigger)
    return f"({text})" if isinstance(trigger, other) else text


def _search(trigger: Find) -> str:
    negation = "!" if trigger.negated else ""
    text = trigger.text
    if trigger.how == "contains" or "*" in text:
        return f'{negation}{trigger.how}({trigger.field}, "{text}")'
    pattern = f"{text}*" if trigger.how == "starts_with" else f"*{text}"
    return f'{negation}match({trigger.field}, "{pattern}")'


def _literal(value: str | float | bool | None) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f'"{value}"' if isinstance(value, str) else number_literal(value)


def number_literal(value: float) -> str:
    """A number as triggers are able to say it: without an exponent."""
    text = f"{Decimal(repr(value + 0)):f}"  # no -0
    return text.removesuffix(".0")


def _escaped(name: str) -> str:
    """A member's name as it must be written, by Segment's rule that any character may be escaped."""
    if _PLAIN.fullmatch(name):
        return f"\\{name}" if name in _KEYWORDS else name
    escaped = re.sub(r"[^A-Za-z0-9_-]", lambda match: f"\\{match[0]}", name)
    return escaped if escaped[0] in "_\\" or escaped[0].isalpha() else f"\\{escaped}"
