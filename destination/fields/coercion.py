"""Gentle conversion of a value to the type that a field wants.

The rules are those of Ajv 8 with ``coerceTypes: "array"``, which Segment's payload check runs:
what a JSON schema validator in JavaScript takes for a number, a text or a boolean. Their results
are kept to what JSON can hold: a text that JavaScript reads as infinity is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, Final

from destination.fields.numbers import number_text, text_number

FAILED: Final[Any] = object()
"""What a conversion gives for a value that cannot be converted."""

_EXACT: Final = 2**53


def coerce(types: tuple[str, ...], value: Any) -> Any:
    """``value`` as the first of ``types`` that it fits or can be turned into, else ``FAILED``.

    ``types`` are JSON schema's: ``string number integer boolean object null``. A list of one item
    counts as its item, but not where an object is wanted; where several types are wanted, only an
    item that needs turning does, as Ajv has it.
    """
    if _is_one_of(types, value):
        return _settled(types, value)
    if types == ("object",):
        return FAILED
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
        if len(types) == 1 and _is_one_of(types, value):
            return _settled(types, value)
    for wanted in types:
        turned = _TURNED[wanted](value)
        if turned is not FAILED:
            return turned
    return FAILED


def _is_one_of(types: tuple[str, ...], value: Any) -> bool:
    return any(_IS[wanted](value) for wanted in types)


def _settled(types: tuple[str, ...], value: Any) -> Any:
    whole = "integer" in types and isinstance(value, float)
    return int(value) if whole else value


def _is_number(value: Any) -> bool:
    return value.__class__ is int or (value.__class__ is float and isfinite(value))


def _is_integer(value: Any) -> bool:
    return value.__class__ is int or (value.__class__ is float and value.is_integer())


def _to_string(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        try:
            return number_text(value) if isfinite(value) else FAILED
        except OverflowError:
            return FAILED
    return FAILED


def _to_number(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return int(value or 0)
    return _written_number(value) if isinstance(value, str) else FAILED


def _written_number(text: str) -> Any:
    number = text_number(text)
    if not text or not isfinite(number):
        return FAILED
    return int(number) if number.is_integer() and abs(number) <= _EXACT else number


def _to_integer(value: Any) -> Any:
    number = _to_number(value)
    return int(number) if number is not FAILED and _is_integer(number) else FAILED


def _to_boolean(value: Any) -> Any:
    if value is None or value == "false" or (_is_number(value) and value == 0):
        return False
    if value == "true" or (_is_number(value) and value == 1):
        return True
    return FAILED


def _to_object(_value: Any) -> Any:
    return FAILED


def _to_null(value: Any) -> Any:
    empty = value == "" or value is False or (_is_number(value) and value == 0)
    return None if empty else FAILED


_IS: Final[dict[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": _is_integer,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}

_TURNED: Final[dict[str, Callable[[Any], Any]]] = {
    "string": _to_string,
    "number": _to_number,
    "integer": _to_integer,
    "boolean": _to_boolean,
    "object": _to_object,
    "null": _to_null,
}
