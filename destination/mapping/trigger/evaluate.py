"""Triggers as functions."""

from __future__ import annotations

import operator
from collections.abc import Callable
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
            return _all(_predicates(parts, "!="))
        case Or(parts):
            return _any(_predicates(parts, "="))
        case Not(part):
            inner = as_predicate(part)
            return lambda event: not inner(event)
        case Compare():
            return _compare(trigger)
        case Find():
            return _find(trigger)


def _predicates(parts: tuple[Trigger, ...], sign: Literal["=", "!="]) -> tuple[Matches, ...]:
    """The predicates of ``parts``. Those that compare one field with texts by ``sign`` become
    one, which looks the field up once.
    """
    texts: dict[Field, list[str]] = {}
    others: list[Trigger] = []
    for part in parts:
        if isinstance(part, Compare) and part.operator == sign and isinstance(part.value, str):
            texts.setdefault(part.field, []).append(part.value)
        else:
            others.append(part)
    compared = [_compare_texts(field, some, sign == "=") for field, some in texts.items()]
    return (*map(as_predicate, others), *compared)


def _all(tests: tuple[Matches, ...]) -> Matches:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda event: first(event) and second(event)

    def matches(event: dict[str, Any]) -> bool:
        for test in tests:  # noqa: SIM110  a generator costs more than the loop
            if not test(event):
                return False
        return True

    return matches


def _any(tests: tuple[Matches, ...]) -> Matches:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda event: first(event) or second(event)

    def matches(event: dict[str, Any]) -> bool:
        for test in tests:  # noqa: SIM110  a generator costs more than the loop
            if test(event):
                return True
        return False

    return matches


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
        return _compare_text(condition.field, value, condition.operator == "=")
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


def _compare_text(field: Field, text: str, equal: bool) -> Matches:
    if len(field.place) > 1:
        read = _reader(field)
        return (lambda event: read(event) == text) if equal else (lambda event: read(event) != text)
    key = field.place[0]
    if equal:
        return lambda event: event.get(key) == text
    return lambda event: event.get(key) != text


def _compare_texts(field: Field, some: list[str], equal: bool) -> Matches:
    """Whether a field is one of some texts, or none of them."""
    if len(some) == 1:
        return _compare_text(field, some[0], equal)
    texts = tuple(some)  # a set would refuse a list in the field
    if len(field.place) > 1:
        read = _reader(field)
        return (
            (lambda event: read(event) in texts)
            if equal
            else (lambda event: read(event) not in texts)
        )
    key = field.place[0]
    if equal:
        return lambda event: event.get(key) in texts
    return lambda event: event.get(key) not in texts


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
