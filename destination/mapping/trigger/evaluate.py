"""Triggers as functions."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import lru_cache
from types import CodeType
from typing import Any, Literal

from destination.mapping.budget import UNMETERED
from destination.mapping.flat import as_function
from destination.mapping.javascript import is_number
from destination.mapping.missing import MISSING
from destination.mapping.plan import Lookup
from destination.mapping.trigger.syntax import And, Compare, Field, Find, Not, Or, Trigger

Matches = Callable[[dict[str, Any]], bool]

_ORDERS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SEARCHES: dict[str, Callable[[str, str], bool]] = {
    "contains": operator.contains,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
}


def as_predicate(trigger: Trigger) -> Matches:
    """``matches(event)`` for ``trigger``."""
    match trigger:
        case And(parts):
            return _joined("and", parts)
        case Or(parts):
            return _joined("or", parts)
        case Not(part):
            inner = as_predicate(part)
            return lambda event: not inner(event)
        case Compare():
            return _compare(trigger)
        case Find():
            return _find(trigger)


def _joined(word: Literal["and", "or"], parts: tuple[Trigger, ...]) -> Matches:
    """One function for all ``parts``. Those that compare one field with texts become one condition,
    which looks the field up once.

    Only this module's own words become source text: what the trigger holds is reached by a name.
    """
    sign = "!=" if word == "and" else "="
    texts: dict[Field, list[str]] = {}
    others: list[Trigger] = []
    for part in parts:
        if isinstance(part, Compare) and isinstance(part.value, str) and part.operator == sign:
            texts.setdefault(part.field, []).append(part.value)
        else:
            others.append(part)
    names: dict[str, Any] = {"str": str}
    conditions = [_condition(part, names) for part in others]
    conditions += [_among(field, some, sign == "=", names) for field, some in texts.items()]
    code = _compiled(f"lambda event: {f' {word} '.join(conditions)}")
    matches: Matches = eval(code, names)  # noqa: S307  the source holds no user text, see above
    return matches


@lru_cache(maxsize=256)
def _compiled(source: str) -> CodeType:
    # Triggers of one shape share their source, because their values are not part of it.
    return compile(source, "<trigger>", "eval")


def _condition(part: Trigger, names: dict[str, Any]) -> str:
    """The source of one condition: a comparison with a text, which most are, costs no call."""
    if isinstance(part, Compare) and isinstance(part.value, str):
        sign = "==" if part.operator == "=" else "!="
        return f"{_value(part.field, names)} {sign} {_name(part.value, names)}"
    return f"{_name(as_predicate(part), names)}(event)"


def _among(field: Field, some: list[str], equal: bool, names: dict[str, Any]) -> str:
    """The source of: ``field`` is one of ``some``, or none of them."""
    value, texts = _value(field, names), _name(frozenset(some), names)
    if equal:
        return f"((v := {value}).__class__ is str and v in {texts})"
    return f"((v := {value}).__class__ is not str or v not in {texts})"


def _value(field: Field, names: dict[str, Any]) -> str:
    """The source of what ``field`` holds."""
    if len(field.place) == 1:
        return f"event.get({_name(field.place[0], names)})"
    return f"{_name(_reader(field), names)}(event)"


def _name(value: object, names: dict[str, Any]) -> str:
    """The name under which the source reaches ``value``."""
    name = f"n{len(names)}"
    names[name] = value
    return name


def _reader(field: Field) -> Callable[[dict[str, Any]], Any]:
    """What gives the value of ``field``, ``MISSING`` where there is none."""
    place = field.place
    if len(place) == 1:
        key = place[0]
        return lambda event: event.get(key, MISSING)
    lookup = as_function(Lookup(place))
    return lambda event: lookup(event, UNMETERED)


def _compare(condition: Compare) -> Matches:
    value = condition.value
    if isinstance(value, str):
        return _joined("and", (condition,))
    read = _reader(condition.field)
    if value is None:
        wanted = condition.operator == "!="
        return lambda event: (read(event) not in (None, MISSING)) is wanted
    if isinstance(value, bool):
        return lambda event: read(event) is value
    if condition.operator in _ORDERS:
        return _numeric(read, _ORDERS[condition.operator], value)
    same = operator.eq if condition.operator == "=" else operator.ne
    return _numeric(read, same, value)


def _numeric(
    read: Callable[[dict[str, Any]], Any], test: Callable[[float, float], bool], number: float
) -> Matches:
    def matches(event: dict[str, Any]) -> bool:
        found = read(event)
        return is_number(found) and test(found, number)

    return matches


def _find(condition: Find) -> Matches:
    read = _reader(condition.field)
    found_in = _SEARCHES[condition.how]
    text, wanted = condition.text, not condition.negated

    def matches(event: dict[str, Any]) -> bool:
        found = read(event)
        return isinstance(found, str) and found_in(found, text) is wanted

    return matches
