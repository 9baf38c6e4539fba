"""The filter language: ``operator(field,literal)``, joined by commas or wrapped in ``and(...)``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from destination.sandbox.calls.call import Call
from destination.sandbox.clock import moment
from destination.sandbox.errors import Refused, invalid

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "greater-than": lambda held, given: held > given,
    "greater-or-equal": lambda held, given: held >= given,
    "less-than": lambda held, given: held < given,
    "less-or-equal": lambda held, given: held <= given,
}
TEXTS: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda held, given: given.lower() in held.lower(),
    "starts-with": lambda held, given: held.startswith(given),
    "ends-with": lambda held, given: held.endswith(given),
}
DEEPEST = 5
TIMES = {"created", "updated", "datetime", "created_at", "updated_at", "scheduled_at"}
Reader = Callable[[Any, str], Any]
_NAME = re.compile(r"\s*([a-zA-Z0-9_.$-]+)\s*")
_BARE = re.compile(r"\s*([^,()\[\]\"'\s]+)\s*")


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison; ``value`` is a text, number, boolean, list, or None for ``has``."""

    operator: str
    field: str
    value: Any

    def holds(self, held: Any) -> bool:
        """Whether an item whose field is ``held`` passes; a list passes if one of it does."""
        if isinstance(held, (list, tuple)):
            return any(self.holds(each) for each in held)
        if self.operator == "has":
            return held is not None
        if held is None:
            return False
        if self.operator in COMPARISONS:
            return COMPARISONS[self.operator](held, self.value)
        if self.operator in TEXTS:
            return TEXTS[self.operator](str(held), str(self.value))
        values = self.value if isinstance(self.value, list) else [self.value]
        return held in values


def parse(text: str) -> list[Condition]:
    """The conditions of a filter, all of which must hold; raises ``Refused`` (400)."""
    scanner = _Scanner(text)
    conditions = scanner.conditions()
    if scanner.place < len(text):
        raise scanner.wrong("the end")
    return conditions


def conditions(call: Call) -> list[Condition]:
    """The request's conditions, checked against what the endpoint supports; ``Refused`` (400)."""
    text = call.query.get("filter")
    if not text:
        return []
    allowed: Mapping[str, list[str]] = call.operation.query["filter"]
    return [_checked(condition, allowed, call) for condition in parse(text)]


def matching(items: list[Any], found: list[Condition], read: Reader) -> list[Any]:
    """The items for which every condition holds; ``read(item, field)`` gives what an item holds."""
    for condition in found:
        items = [item for item in items if condition.holds(read(item, condition.field))]
    return items


def _checked(condition: Condition, allowed: Mapping[str, list[str]], call: Call) -> Condition:
    operators = allowed.get(condition.field)
    if operators is None:
        raise _refused(f"'{condition.field[:60]}' is not a filterable field for this resource.")
    if condition.operator not in operators:
        detail = f"Operator '{condition.operator[:60]}' is not supported for '{condition.field}'."
        raise _refused(f"{detail} Supported: {', '.join(operators)}.")
    most = call.switches.filter_values
    if most and isinstance(condition.value, list) and len(condition.value) > most:
        raise _refused(f"At most {most} values may be given for '{condition.field}'.")
    if condition.field == "email":
        return Condition(condition.operator, condition.field, _lower(condition.value))
    timed = condition.operator in COMPARISONS or condition.field in TIMES
    if timed and isinstance(condition.value, str):
        try:
            return Condition(condition.operator, condition.field, moment(condition.value))
        except ValueError as error:
            raise _refused(f"Invalid value for '{condition.field}': {error}.") from None
    return condition


def _lower(value: Any) -> Any:
    """Addresses are compared without regard to case."""
    if isinstance(value, list):
        return [_lower(each) for each in value]
    return value.lower() if isinstance(value, str) else value


def _refused(detail: str) -> Refused:
    return invalid(detail, parameter="filter")


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self.place = 0

    def conditions(self, depth: int = 0) -> list[Condition]:
        if depth > DEEPEST:
            raise self.wrong("a shallower filter")
        found = self._condition(depth)
        while self._take(","):
            found += self._condition(depth)
        return found

    def wrong(self, expected: str) -> Refused:
        seen = self._text[self.place : self.place + 20]
        return _refused(
            f"Invalid filter at position {self.place}: {expected} expected, not {seen!r}."
        )

    def _condition(self, depth: int) -> list[Condition]:
        operator = self._match(_NAME, "an operator")
        self._need("(")
        if operator == "and":
            found = self.conditions(depth + 1)
        else:
            field = self._match(_NAME, "a field")
            value = None
            if operator != "has":
                self._need(",")
                value = self._list() if self._take("[") else self._value()
            found = [Condition(operator, field, value)]
        self._need(")")
        return found

    def _list(self) -> list[Any]:
        values: list[Any] = []
        while not self._take("]"):
            values.append(self._value())
            if not self._take(","):
                self._need("]")
                break
        return values

    def _value(self) -> Any:
        self._space()
        quote = self._text[self.place : self.place + 1]
        if quote in {'"', "'"}:
            return self._quoted(quote)
        return _bare(self._match(_BARE, "a value"))

    def _quoted(self, quote: str) -> str:
        self.place += 1
        letters: list[str] = []
        while self.place < len(self._text):
            letter = self._text[self.place]
            self.place += 1
            if letter == quote:
                self._space()
                return "".join(letters)
            if letter == "\\" and self.place < len(self._text):
                letter = self._text[self.place]
                self.place += 1
            letters.append(letter)
        raise self.wrong(f"a closing {quote}")

    def _match(self, pattern: re.Pattern[str], expected: str) -> str:
        match = pattern.match(self._text, self.place)
        if not match:
            raise self.wrong(expected)
        self.place = match.end()
        return match[1]

    def _take(self, letter: str) -> bool:
        self._space()
        if self._text.startswith(letter, self.place):
            self.place += 1
            self._space()
            return True
        return False

    def _need(self, letter: str) -> None:
        if not self._take(letter):
            raise self.wrong(letter)

    def _space(self) -> None:
        while self._text[self.place : self.place + 1].isspace():
            self.place += 1


def _bare(text: str) -> Any:
    if text in {"true", "false"}:
        return text == "true"
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text
