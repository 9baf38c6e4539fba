"""From text to tree."""

from __future__ import annotations

import math
from typing import NoReturn, cast

from destination.errors import TriggerError
from destination.fields.numbers import number_text
from destination.mapping.problem import excerpt
from destination.mapping.trigger.lexer import Token, tokens
from destination.mapping.trigger.segment import segment_meaning
from destination.mapping.trigger.syntax import (
    MESSAGE,
    OBJECTS,
    ROOTS,
    And,
    Compare,
    Comparison,
    Condition,
    Field,
    Find,
    Not,
    Or,
    Search,
    Trigger,
    joined,
    to_text,
)

MAX_NESTING = 20
"""Parentheses within parentheses."""

_LONGEST_FORM = 500  # characters of a trigger in a message
_FUNCTIONS = ("contains", "match", "starts_with", "ends_with")
_ELSEWHERE = ("anonymousId", "groupId", "messageId", "previousId", "category", "channel")


def parse_trigger(source: str) -> Trigger:
    """The tree of the trigger ``source``.

    Raises ``TriggerError`` with the column of whatever cannot be read, or would be read by
    Segment's parser as something that nobody means.
    """
    return _Parser(source).whole()


class _Group:
    """What stood in parentheses, until it is known whether they were needed."""

    def __init__(
        self, trigger: Trigger, column: int, *, nested: bool, negated: bool = False
    ) -> None:
        self.trigger = trigger
        self.column = column
        self.nested = nested
        self.negated = negated


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = list(tokens(source))
        self.at = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.token
        self.at += 1
        return token

    def expect(self, kind: str, what: str) -> Token:
        if self.token.kind != kind:
            self.refuse(f"expected {what}, found {self.token}")
        return self.take()

    def refuse(self, message: str) -> NoReturn:
        raise TriggerError(self.token.column, message)

    def whole(self) -> Trigger:
        if self.token.kind == "end":
            self.refuse('the trigger is empty; write for example type = "track"')
        trigger, _ = self.level(0)
        if self.token.kind == ")":
            self.refuse("this closing parenthesis has no opening one")
        if self.token.kind != "end":
            self.refuse_continuation()
        return trigger

    def level(self, depth: int) -> tuple[Trigger, bool]:
        """Operands joined by one connector; whether there were parentheses among them."""
        operands = [self.operand(depth)]
        connectors: list[Token] = []
        while self.token.kind in {"and", "or"}:
            connectors.append(self.take())
            if self.token.kind in {"end", ")"}:
                self.refuse(f'expected a condition after "{connectors[-1].text}"')
            operands.append(self.operand(depth))
        parts = [each.trigger if isinstance(each, _Group) else each for each in operands]
        mixed = [each for each in connectors if each.kind != connectors[0].kind]
        if mixed:
            self.refuse_mixture(parts, connectors, mixed[0].column)
        kind = Or if connectors and connectors[0].kind == "or" else And
        groups = [each for each in operands if isinstance(each, _Group)]
        for group in groups:
            self.refuse_idle(group, kind if connectors else None, depth)
        return joined(kind, parts), bool(groups)

    @staticmethod
    def refuse_idle(group: _Group, kind: type[And | Or] | None, depth: int) -> None:
        """Refuse parentheses that change nothing, where they hold others or stand in others.

        Segment cannot nest parentheses at all. We can, but refuse with it what means nothing.
        """
        other = And if kind is Or else Or
        needed = group.negated or (kind is not None and isinstance(group.trigger, other))
        if not needed and (depth or group.nested):
            raise TriggerError(group.column, "these parentheses change nothing: drop them")

    def refuse_mixture(
        self, parts: list[Trigger], connectors: list[Token], column: int
    ) -> NoReturn:
        """Refuse ``a and b or c``: Segment takes the last connector for all of them."""
        alternatives: list[list[Trigger]] = [[parts[0]]]
        for connector, part in zip(connectors, parts[1:], strict=True):
            if connector.kind == "or":
                alternatives.append([])
            alternatives[-1].append(part)
        usual = joined(Or, [joined(And, group) for group in alternatives])
        try:
            segments = f", what it means at Segment: {_shortened(segment_meaning(self.source))}"
        except TriggerError:
            segments = ""
        raise TriggerError(
            column,
            '"and" and "or" need parentheses where they meet. What it usually means: '
            f"{_shortened(to_text(usual))}{segments}",
        )

    def operand(self, depth: int) -> Trigger | _Group:
        token = self.token
        if token.kind == "!":
            return self.negation(depth)
        if token.kind == "(":
            return self.group(depth)
        if token.kind == "word":
            return self.call(negated=False) if self.is_call() else self.comparison()
        if token.kind in {"text", "number", "null"}:
            self.refuse(f"expected a field on the left, found {token}")
        return self.refuse(f"expected a condition, found {token}")

    def is_call(self) -> bool:
        return self.tokens[self.at + 1].kind == "("

    def negation(self, depth: int) -> Trigger | _Group:
        self.take()
        if self.token.kind == "(":
            group = self.group(depth)
            negated = Not(group.trigger)
            return _Group(negated, group.column, nested=group.nested, negated=True)
        if self.token.kind == "word" and self.is_call():
            return self.call(negated=True)
        return self.refuse('after ! a group or a function is expected: !(type = "track")')

    def group(self, depth: int) -> _Group:
        column = self.take().column
        if depth >= MAX_NESTING:
            raise TriggerError(column, f"parentheses are nested deeper than {MAX_NESTING} levels")
        if self.token.kind == ")":
            self.refuse("expected a condition between the parentheses")
        trigger, nested = self.level(depth + 1)
        if self.token.kind not in {")", "end"}:
            self.refuse_continuation()
        self.expect(")", "a closing parenthesis")
        return _Group(trigger, column, nested=nested)

    def field(self) -> Field:
        token = self.expect("word", "a field")
        path = token.path
        root = token.text.partition(".")[0]
        if root in OBJECTS and len(path) == 1:
            raise TriggerError(token.column, f"{root} needs a member: {root}.name")
        if root not in OBJECTS and (root not in ROOTS or len(path) > 1):
            raise TriggerError(token.column, _unknown(token))
        return Field(path)

    def comparison(self) -> Condition:
        field = self.field()
        operator = self.expect("operator", f"one of = != < <= > >= after {field}").text
        value = self.take() if self.token.kind in {"word", "number", "text", "null"} else None
        if value is None:
            self.refuse(f"expected a value after {operator}, found {self.token}")
        self.refuse_bare(value)
        return _compared(field, cast("Comparison", operator), value)

    def call(self, *, negated: bool) -> Condition:
        name = self.take()
        if name.text not in _FUNCTIONS:
            known = ", ".join(_FUNCTIONS)
            raise TriggerError(name.column, f"there is no function {name}; there are {known}")
        self.expect("(", "an opening parenthesis")
        column = self.token.column
        field = self.field()
        if field.path == ("type",):
            raise TriggerError(column, f"{name.text} does not take type; compare it with =")
        self.expect(",", f'a comma and a text, as in {name.text}({field}, "text")')
        value = self.token
        if value.kind != "text" and not (value.kind == "word" and name.text == "contains"):
            self.refuse(f"expected a text in double quotes, found {value}")
        self.refuse_bare(self.take())
        self.expect(")", "a closing parenthesis")
        if name.text == "match":
            return _matched(field, value, negated)
        return Find(field, cast("Search", name.text), value.text, negated)

    @staticmethod
    def refuse_bare(value: Token) -> None:
        """Refuse a text without quotes where Segment does."""
        if value.kind == "word" and not value.text.isascii():
            raise TriggerError(value.column, f"texts need double quotes: {excerpt(value.text)}")

    def refuse_continuation(self) -> NoReturn:
        token = self.token
        word = token.text.lower()
        if token.kind == "word" and word in {"and", "or"}:
            self.refuse(f'write "{word}" in small letters')
        hint = ""
        if token.kind == "word" and not self.is_call():
            hint = "; a text of several words needs double quotes"
        self.refuse(f'expected "and", "or" or the end, found {token}{hint}')


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_FORM else f"{text[:_LONGEST_FORM]}…"


def _unknown(token: Token) -> str:
    name = token.text
    if name.lower() in {"and", "or", "not"}:
        return (
            f"{name} cannot stand here; conditions are joined with and, or, and negated with !(…)"
        )
    known = f"{', '.join(ROOTS[:4])}, properties.…, traits.…, context.… and {MESSAGE}.…"
    remedy = ""
    if token.path and (token.path[0] in _ELSEWHERE or token.path[0] == "integrations"):
        remedy = f"; for other members of the event write {MESSAGE}.{name}"
    return f"there is no field {excerpt(name)}; there are {known}{remedy}"


def _compared(field: Field, operator: Comparison, token: Token) -> Condition:
    written = token.text if token.kind != "text" else f'"{token.text}"'
    if operator not in {"=", "!="}:
        return Compare(field, operator, _number(token), written)
    value: str | float | bool | None = token.text
    if token.kind == "null" and field.path[0] not in {"type", "event"}:
        value = None
    elif token.kind == "number":
        number = _number(token)
        value = number if field.path[0] in OBJECTS else number_text(number)
    elif token.kind == "word" and token.text in {"true", "false"}:
        strict = operator == "=" and field.path[0] not in {"type", "event", "name"}
        value = token.text == "true" if strict else token.text
    return Compare(field, operator, value, written)


def _number(token: Token) -> float:
    """The number that an ordering compares with; a text of digits is one, as at Segment."""
    digits = token.text.removeprefix("+")
    if token.kind not in {"number", "text"} or not _is_decimal(digits):
        raise TriggerError(token.column, f"expected a number, found {token}")
    if not math.isfinite(float(digits)):
        raise TriggerError(token.column, "this number is too large")
    return float(digits) if "." in digits else int(digits)


def _is_decimal(digits: str) -> bool:
    whole, point, fraction = digits.removeprefix("-").partition(".")
    parts = (whole, fraction) if point else (whole,)
    return all(part.isascii() and part.isdecimal() for part in parts)


def _matched(field: Field, token: Token, negated: bool) -> Find:
    """``match``: ``text*`` or ``*text``; Segment knows no other pattern and reads others wrong."""
    pattern = token.text
    if pattern.count("*") == 1 and pattern.endswith("*"):
        return Find(field, "starts_with", pattern[:-1], negated)
    if pattern.count("*") == 1 and pattern.startswith("*"):
        return Find(field, "ends_with", pattern[1:], negated)
    raise TriggerError(
        token.column,
        f"a pattern has one * at its start or its end, found {token}; use = for a whole text, "
        "contains for a part, starts_with and ends_with for a text that holds a *",
    )
