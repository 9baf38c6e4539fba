"""What JavaScript does with JSON values, where mappings and triggers depend on it.

Segment's mappings are written against these rules: which values count as true, how a number looks
as text, how long a text is. Rules: ECMA-262, sections 6.1.6.1.20 (Number::toString), 7.1.2
(ToBoolean), 7.1.4.1 (StringToNumber) and 22.1.3.19 (GetSubstitution).
"""

from __future__ import annotations

import math
import re
from typing import Any

from destination.mapping.missing import MISSING

WHITESPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What ``trim`` removes; Python's ``strip`` has another list."""

_DECIMAL = re.compile(r"[+-]?(?:Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", re.ASCII)
_PREFIXED = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")
_EXPONENT_FROM = 21
_FRACTION_FROM = -6
_FLOAT_BITS = 1023  # what surely fits a double


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


def number_text(value: float) -> str:
    """A number as text: shortest form, no ``.0``, exponents from 1e21 up and below 1e-6.

    Integers below 1e21 keep every digit; JavaScript would round those beyond 2**53, and an id that
    was rounded on its way is a wrong id.
    """
    if isinstance(value, int) and abs(value) < 10**_EXPONENT_FROM:
        return str(value)
    try:
        value = float(value)
    except OverflowError:
        value = math.inf if value > 0 else -math.inf
    if value != value:  # noqa: PLR0124
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}e0".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent.partition("e")[0])
    point -= len(whole + fraction) - len(digits)
    return sign + _place_point(digits.rstrip("0"), point)


def _place_point(digits: str, point: int) -> str:
    """``digits`` with the decimal point after the first ``point`` of them."""
    if len(digits) <= point <= _EXPONENT_FROM:
        return digits + "0" * (point - len(digits))
    if 0 < point <= _EXPONENT_FROM:
        return f"{digits[:point]}.{digits[point:]}"
    if _FRACTION_FROM < point <= 0:
        return "0." + "0" * -point + digits
    exponent = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return (digits if len(digits) == 1 else f"{digits[0]}.{digits[1:]}") + exponent


def text_number(text: str) -> float:
    """A text as a number: ``Number(text)``. Empty is 0, what is no number NaN."""
    text = text.strip(WHITESPACE)
    if not text:
        return 0.0
    if _PREFIXED.fullmatch(text):
        digits = int(text, 0)
        return float(digits) if digits.bit_length() <= _FLOAT_BITS else math.inf
    if not _DECIMAL.fullmatch(text):
        return math.nan
    return float(text.replace("Infinity", "inf"))


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
