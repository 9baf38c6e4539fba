"""What JavaScript does with JSON values, where mappings and triggers depend on it.

Segment's mappings are written against these rules: which values count as true, how long a text
is, what a search without case finds. Rules: ECMA-262, sections 7.1.2 (ToBoolean) and 22.2.2.7.3
(Canonicalize). How numbers are written is in ``destination.fields.numbers``.
"""

from __future__ import annotations

from typing import Any

from destination.mapping.missing import MISSING


def is_number(value: Any) -> bool:
    """A JSON number; in Python a bool is an int, in JSON it is not a number."""
    return type(value) is int or type(value) is float


def is_truthy(value: Any) -> bool:
    """Everything but null, false, 0, NaN, the empty text and what is missing. ``[]`` and ``{}`` are."""
    if isinstance(value, (dict, list)):
        return True
    return bool(value) and value == value  # noqa: PLR0124  NaN is the one that differs from itself


def kind(value: Any) -> str:
    """What ``value`` is, as an error message says it: ``a string``, ``an object``, ``null`` ..."""
    if value is None or value is MISSING:
        return "null" if value is None else "nothing"
    if isinstance(value, bool):
        return "a boolean"
    for of, name in ((str, "a string"), (dict, "an object"), (list, "a list")):
        if isinstance(value, of):
            return name
    return "a number" if is_number(value) else f"a {type(value).__name__}"


def text_length(text: str) -> int:
    """How long ``text`` is in UTF-16 code units, JavaScript's ``length``."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def character_at(text: str, index: int) -> Any:
    """The character at UTF-16 position ``index``; ``MISSING`` outside and inside of a pair.

    JavaScript gives half a pair there, which is no text and could not be sent.
    """
    if text.isascii():
        return text[index] if index < len(text) else MISSING
    units = text.encode("utf-16-le", "surrogatepass")[2 * index : 2 * index + 2]
    try:
        return units.decode("utf-16-le") if units else MISSING
    except UnicodeDecodeError:
        return MISSING


def fold_case(text: str) -> str:
    """``text`` as a case-insensitive match sees it (without the ``u`` flag): same length.

    ECMA-262 22.2.2.7.3: a character whose upper case is several characters stays, and no non-ASCII
    character becomes an ASCII one (the Kelvin sign is not k).
    """
    return text.upper() if text.isascii() else "".join(map(_fold_character, text))


def _fold_character(character: str) -> str:
    upper = character.upper()
    if len(upper) != 1 or (character > "\x7f" and upper <= "\x7f") or character > "\uffff":
        return character
    return upper
