"""Dates in words: ``April 5, 2024``, ``Fri, 05 Apr 2024 18:20:00 GMT``, ``4/5/2024 6:20 PM``.

The grammar is that of V8's ``Date.parse`` for all that is not ISO 8601, as it behaves: numbers make
up the date, numbers with colons the clock; month names, AM and PM and zone names are known;
brackets hold comments; other words may only come before the first number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_DAYS: Final = frozenset(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))
_ZONES: Final = {
    "ut": 0,
    "utc": 0,
    "gmt": 0,
    "z": 0,
    "est": -5,
    "edt": -4,
    "cst": -6,
    "cdt": -5,
    "mst": -7,
    "mdt": -6,
    "pst": -8,
    "pdt": -7,
}
_TOKEN: Final = re.compile(
    r"(?P<clock>[0-9]{1,2}:[0-9]{1,2}(?::[0-9]{1,2}(?:\.[0-9]+)?)?(?=[\sZz+-]|$))"
    r"|(?P<number>[0-9]{1,9})(?![0-9])-?"
    rf"|(?P<month>(?i:{'|'.join(_MONTHS)})[^\x00-@\s]*+)-?"
    r"|(?P<word>[^\x00-@\s]++)(?![0-9])"
    r"|(?P<sign>[+-])"
    r"|(?P<between>\s|[^0-9:+)A-\U0010ffff-])"
)
_OFFSET: Final = re.compile(r"(?P<offset>[+-](?:[0-9]{1,2}:[0-9]{2}|[0-9]{1,4})(?![0-9:]))")

Moment = tuple[int, int, int, int]
"""Year, month, day, and milliseconds from the start of that day in UTC."""


def read_words(text: str, *, whole: bool) -> Moment | None:
    """The moment that ``text`` names, or None.

    Without a year it is 2001. With ``whole`` the year must be there, and the only words before the
    first number are days of the week.
    """
    reading = _Reading(whole)
    text = _without_comments(text)
    at = 0
    while at < len(text):
        pattern = _OFFSET if text[at] in "+-" and reading.awaits_offset() else _TOKEN
        token = pattern.match(text, at)
        if token is None or not reading.take(token.lastgroup or "", token[token.lastgroup or 0]):
            return None
        at = token.end()
    return reading.moment()


def _without_comments(text: str) -> str:
    """``text`` with each bracket and what it holds replaced by a comma; one may stay open."""
    kept, depth = [], 0
    for character in text:
        if character == "(":
            depth += 1
        if not depth:
            kept.append(character)
        elif character == ")":
            depth -= 1
            if not depth:
                kept.append(",")
    return "".join(kept)


@dataclass(slots=True)
class _Reading:
    """What has been read of a text so far."""

    whole: bool
    numbers: list[int] = field(default_factory=list)
    month: int = 0
    clock: tuple[int, int, int, int] | None = None
    half: int | None = None
    zone: int | None = None  # minutes east of UTC

    def take(self, kind: str, text: str) -> bool:
        """Use one token; False when it cannot stand there."""
        match kind:
            case "between":
                return True
            case "number":
                self.numbers.append(int(text))
                return len(self.numbers) <= 3
            case "month":
                self.month = _MONTHS.index(text[:3].lower()) + 1
                return True
            case "clock":
                return self._take_clock(text)
            case "offset":
                return self._take_offset(text)
            case "sign":
                return not self.begun()
            case _:
                return self._take_word(text.lower())

    def begun(self) -> bool:
        """Whether any part of a date or clock has been read."""
        return bool(self.numbers) or self.clock is not None

    def awaits_offset(self) -> bool:
        """Whether a sign here begins an offset from UTC."""
        return self.clock is not None or self.zone == 0

    def _take_clock(self, text: str) -> bool:
        if self.clock is not None:
            return False
        whole, _, fraction = text.partition(".")
        hour, minute, second = (*map(int, whole.split(":")), 0)[:3]
        self.clock = hour, minute, second, int(fraction[:3].ljust(3, "0"))
        return True

    def _take_offset(self, text: str) -> bool:
        hours, colon, minutes = text[1:].partition(":")
        if not colon and len(hours) > 2:
            hours, minutes = hours[:-2], hours[-2:]
        east = int(hours or 0) * 60 + int(minutes or 0)
        self.zone = -east if text[0] == "-" else east
        return True

    def _take_word(self, word: str) -> bool:
        if word in {"am", "pm"} and self.clock is not None:
            self.half = 12 if word == "pm" else 0
            return True
        if not self.begun():
            return not self.whole or word[:3] in _DAYS
        if word in _ZONES:
            self.zone = _ZONES[word] * 60
            return True
        return False

    def moment(self) -> Moment | None:
        """What has been read, if it is a date."""
        date, clock = self._date(), self._milliseconds()
        if date is None or clock is None:
            return None
        return (*date, clock - (self.zone or 0) * 60_000)

    def _date(self) -> tuple[int, int, int] | None:
        given = len(self.numbers)
        if not given:
            return None
        first, second, third = (*self.numbers, 1, 1)[:3]
        year_first = not 1 <= first <= 31
        if self.whole and not year_first and given < (2 if self.month else 3):
            return None
        if self.month:
            year, month, day = (
                (first, self.month, second) if year_first else (second, self.month, first)
            )
        else:
            year, month, day = (first, second, third) if year_first else (third, first, second)
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        if year < 100:
            year += 2000 if year < 50 else 1900
        return year, month, day

    def _milliseconds(self) -> int | None:
        hour, minute, second, millisecond = self.clock or (0, 0, 0, 0)
        if self.half is not None:
            if hour > 12:
                return None
            hour = hour % 12 + self.half
        clock = ((hour * 60 + minute) * 60 + second) * 1000 + millisecond
        if minute > 59 or second > 59 or clock > 86_400_000:
            return None
        return clock
