"""Liquid's ``date`` filter."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

_DEFAULT = "%A, %B %-e, %Y at %-l:%M %P %z"
_DIRECTIVE = re.compile(r"%([-_0^]?)([a-zA-Z%])")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)

# Letter -> the number, its width and what pads it.
_NUMBERS: dict[str, tuple[Callable[[datetime], int], int, str]] = {
    "d": (lambda at: at.day, 2, "0"),
    "e": (lambda at: at.day, 2, " "),
    "H": (lambda at: at.hour, 2, "0"),
    "I": (lambda at: at.hour % 12 or 12, 2, "0"),
    "j": (lambda at: at.timetuple().tm_yday, 3, "0"),
    "k": (lambda at: at.hour, 2, " "),
    "l": (lambda at: at.hour % 12 or 12, 2, " "),
    "L": (lambda at: at.microsecond // 1000, 3, "0"),
    "m": (lambda at: at.month, 2, "0"),
    "M": (lambda at: at.minute, 2, "0"),
    "C": (lambda at: at.year // 100, 2, "0"),
    "N": (lambda at: at.microsecond * 1000, 9, "0"),
    "s": (lambda at: math.floor(at.timestamp() + 0.5), 0, ""),
    "U": (lambda at: (at.timetuple().tm_yday + 6 - at.isoweekday() % 7) // 7, 2, "0"),
    "S": (lambda at: at.second, 2, "0"),
    "u": (lambda at: at.isoweekday(), 0, ""),
    "w": (lambda at: at.isoweekday() % 7, 0, ""),
    "y": (lambda at: at.year % 100, 2, "0"),
    "Y": (lambda at: at.year, 4, "0"),
}
_TEXTS: dict[str, Callable[[datetime], str]] = {
    "a": lambda at: _DAYS[at.weekday()][:3],
    "A": lambda at: _DAYS[at.weekday()],
    "b": lambda at: _MONTHS[at.month - 1][:3],
    "B": lambda at: _MONTHS[at.month - 1],
    "h": lambda at: _MONTHS[at.month - 1][:3],
    "p": lambda at: "AM" if at.hour < 12 else "PM",
    "P": lambda at: "am" if at.hour < 12 else "pm",
    "z": lambda _at: "+0000",
    "Z": lambda _at: "UTC",
    "n": lambda _at: "\n",
    "t": lambda _at: "\t",
    "%": lambda _at: "%",
}
_WHOLE = {
    "c": "%-m/%-d/%Y, %-I:%M:%S %p",
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "R": "%H:%M",
    "T": "%H:%M:%S",
    "x": "%-m/%-d/%Y",
    "X": "%-I:%M:%S %p",
}


def formatted(value: Any, pattern: str = _DEFAULT) -> Any:
    """``value``, unix seconds or ISO 8601 text, in UTC by the strftime ``pattern``.

    What is no time stays as it is. Raises ``ValueError`` for ``now`` and ``today``, because a
    mapping gives the same for the same event whenever it is resolved, and for unknown letters.
    """
    if value in ("now", "today"):
        raise ValueError(f'"{value}" is not available: use $.timestamp of the event')
    moment = _moment(value)
    if moment is None:
        return value
    return _DIRECTIVE.sub(lambda match: _part(moment, match[1], match[2]), pattern)


def _moment(value: Any) -> datetime | None:
    try:
        if isinstance(value, str) and not value.isdecimal():
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(float(value), UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _part(moment: datetime, flag: str, letter: str) -> str:
    if letter in _WHOLE:
        return _DIRECTIVE.sub(lambda match: _part(moment, match[1], match[2]), _WHOLE[letter])
    if letter in _NUMBERS:
        number, width, padding = _NUMBERS[letter]
        padding = {"_": " ", "0": "0"}.get(flag, padding)
        return (
            str(number(moment)) if flag == "-" else str(number(moment)).rjust(width, padding or "0")
        )
    if letter not in _TEXTS:
        raise ValueError(f"%{letter} is not a letter of the date filter")
    text = _TEXTS[letter](moment)
    return text.upper() if flag == "^" else text
