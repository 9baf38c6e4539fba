"""Reading a date as programs and people write it.

What is accepted is what Segment's payload check accepts, which is what JavaScript programs do: the
numeric forms of the dayjs library (parts may be left out, and what overflows rolls over), ISO 8601
as ECMA-262 has it, and the loose reading of V8 for dates in words. Deviations: a fraction means
what it says (``.1`` is 100 ms), and the leap second of RFC 3339 (``…:59:60``) is the first instant
of the next minute. Without an offset a time is UTC.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from destination.fields.words import read_words

_LONGEST: Final = 200
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY: Final = 86_400_000
_REACH: Final = 100_000_000 * _DAY  # of a JavaScript date, to either side of 1970 (ECMA-262)

_NUMERIC: Final = re.compile(
    r"(?P<year>[0-9]{4})[-/]?(?P<month>[0-9]{1,2})?[-/]?(?P<day>[0-9]{0,2})"
    r"[Tt\s]*(?P<hour>[0-9]{1,2})?:?(?P<minute>[0-9]{1,2})?:?(?P<second>[0-9]{1,2})?"
    r"[.:]?(?P<fraction>[0-9]+)?"
)
_ISO: Final = re.compile(
    r"(?P<year>[0-9]{4}|[+-][0-9]{6})"
    r"(?:-(?P<month>0[1-9]|1[0-2])(?:-(?P<day>0[1-9]|[12][0-9]|3[01]))?)?"
    r"(?:[Tt](?P<hour>[01][0-9]|2[0-3]|24(?=:00(?::00(?:\.0+)?)?(?:[Zz+-]|$)))"
    r":(?P<minute>[0-5][0-9])"
    r"(?::(?P<second>[0-5][0-9]|(?<=:59:)60)(?:\.(?P<fraction>[0-9]+))?)?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<east>(?:[01][0-9]|2[0-3]):?[0-5][0-9]))?)?"
)
# What most programs write, to be told without looking at its parts.
_COMMON: Final = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"
)

is_common_date: Final = _COMMON.fullmatch
"""Truthy for what most programs write; the pattern itself, a call less for every payload."""


def is_written_date(text: str) -> bool:
    """Whether ``read_date`` can read it; most dates are ISO 8601 and need no arithmetic for it."""
    if is_common_date(text):
        return True
    if _ISO.fullmatch(text) and len(text) <= _LONGEST and text[0] not in "+-":
        return True
    return read_date(text) is not None


def read_date(text: str, *, whole: bool = False) -> int | None:
    """The instant that ``text`` names, in milliseconds since 1970 UTC; None when it names none.

    A date in words may lack its year (2001 is taken, as V8 does) and may follow other words;
    with ``whole`` such a text names none.
    """
    if len(text) > _LONGEST:
        return None
    found = _ISO.fullmatch(text) or (text[-1:] not in {"Z", "z"} and _NUMERIC.fullmatch(text))
    if found:
        return _from_parts(*found.groups())
    words = read_words(text, whole=whole)
    return _instant(*words) if words else None


def _from_parts(
    year: str,
    month: str | None,
    day: str | None,
    hour: str | None,
    minute: str | None,
    second: str | None,
    fraction: str | None,
    sign: str | None = None,
    east: str | None = None,
) -> int | None:
    minutes = int(hour or 0) * 60 + int(minute or 0)
    if sign and east:
        offset = int(east[:2]) * 60 + int(east[-2:])
        minutes += offset if sign == "-" else -offset
    clock = (minutes * 60 + int(second or 0)) * 1000
    if fraction:
        clock += int(fraction[:3].ljust(3, "0"))
    return _instant(int(year), int(month or 1), int(day or 1), clock)


def _instant(year: int, month: int, day: int, clock: int) -> int | None:
    """Milliseconds since 1970; month, day and clock may lie outside their usual bounds."""
    years, month = divmod(month - 1, 12)
    cycles, year = divmod(year + years - 2000, 400)  # the calendar repeats every 400 years
    days = date(2000 + year, month + 1, 1).toordinal() + cycles * 146_097 + day - 1
    found = (days - _EPOCH) * _DAY + clock
    return found if -_REACH <= found <= _REACH else None
