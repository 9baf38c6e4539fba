"""Numbers and texts as JavaScript turns them into each other.

Segment's mappings, triggers and payload check were written against these rules: ECMA-262, sections
6.1.6.1.20 (Number::toString) and 7.1.4.1 (StringToNumber).
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

WHITESPACE: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What ``trim`` removes; Python's ``strip`` has another list."""

# Possessive throughout: the cost is linear in the text whatever the text is.
_DECIMAL: Final = re.compile(
    r"[+-]?+(?:Infinity|(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+)"
)
_RADIX: Final = re.compile(r"0(?:[xX][0-9a-fA-F]++|[oO][0-7]++|[bB][01]++)")
_RADIX_LONGEST: Final = 1_100  # digits; leading zeros apart, no double holds more
_EXPONENT_FROM: Final = 10**21
_FRACTION_FROM: Final = 1e-6


def number_text(number: float) -> str:
    """A number as text, ``String(number)``: ``1``, ``0.000001``, ``1e-7``, ``1e+21``, ``NaN``.

    Integers below 1e21 keep every digit; JavaScript would round those beyond 2**53, and an id that
    was rounded on its way is a wrong id.
    """
    if isinstance(number, int) and -_EXPONENT_FROM < number < _EXPONENT_FROM:
        return str(number)
    try:
        number = float(number)
    except OverflowError:
        number = math.inf if number > 0 else -math.inf
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    if _FRACTION_FROM <= abs(number) < _EXPONENT_FROM:
        return format(Decimal(repr(number)), "f").removesuffix(".0")
    mantissa, _, exponent = repr(number).partition("e")
    return f"{mantissa}e{int(exponent):+d}"


def text_number(text: str) -> float:
    """A text as a number, ``Number(text)``. Empty is 0, what is no number NaN."""
    text = text.strip(WHITESPACE)
    if not text:
        return 0.0
    if _DECIMAL.fullmatch(text):
        return float(text.replace("Infinity", "inf"))
    if not _RADIX.fullmatch(text):
        return math.nan
    digits = text[2:].lstrip("0") or "0"
    try:
        return float(int(text[:2] + digits, 0)) if len(digits) <= _RADIX_LONGEST else math.inf
    except OverflowError:
        return math.inf
