"""Conversions of cells: what ``convert_function`` in a column mapping may name.

``CONVERSIONS`` is the whole table; adding one means adding a record with examples, which run as
tests and stand in the documentation.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from destination.errors import MappingError, Rejected
from destination.event import encode
from destination.fields.dates import read_date
from destination.ingress.clock import text
from destination.ingress.encoding import read_json
from destination.ingress.normalise import seen


class Absent:
    """The type of ``ABSENT``."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = Absent()
"""What an empty cell or a missing column holds. A conversion gets it only when it wants it."""

Convert = Callable[[Any], Any]
"""One conversion at work. Raises ``ValueError`` with what was wrong with the value."""


@dataclass(frozen=True, slots=True)
class Example:
    """``call`` turns ``given`` into ``gives``."""

    call: str
    given: Any
    gives: Any


@dataclass(frozen=True, slots=True)
class Conversion:
    """One function of a column mapping.

    ``make(argument)`` gives the function and raises ``ValueError`` for an argument it cannot use;
    ``argument`` says what stands in the brackets, empty where nothing may; ``fills`` is True when
    the function is asked about absent values as well.
    """

    name: str
    description: str
    make: Callable[[str], Convert]
    examples: tuple[Example, ...]
    argument: str = ""
    fills: bool = False


_MOST_DIGITS: Final = 18
_INTEGER: Final = re.compile(rf"[+-]?[0-9]{{1,{_MOST_DIGITS}}}(?:\.0+)?")
_TRUE: Final = frozenset(("true", "yes", "y", "on", "t", "1"))
_FALSE: Final = frozenset(("false", "no", "n", "off", "f", "0"))
_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM: Final = 1e11
_LONGEST: Final = 250


def _plain(convert: Convert) -> Callable[[str], Convert]:
    """A function without argument."""
    return lambda _argument: convert


def _text(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()


def _on_text(change: Callable[[str], Any]) -> Callable[[str], Convert]:
    return _plain(lambda value: change(_text(value)))


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _text(value).strip()
    if isinstance(value, bool) or not _INTEGER.fullmatch(found):
        raise ValueError("is not a whole number")
    return int(found.partition(".")[0])


def _number(mark: str) -> Convert:
    mark = mark or "."
    if mark not in (".", ","):
        raise ValueError("the decimal mark must be . or ,")
    group = r"[,'\u2019 \u00a0\u202f]" if mark == "." else r"[.'\u2019 \u00a0\u202f]"
    whole = rf"[0-9]{{1,3}}(?:{group}[0-9]{{3}}){{1,5}}|[0-9]{{1,{_MOST_DIGITS}}}"
    tail = rf"(?:{re.escape(mark)}[0-9]{{1,20}})?"
    form = re.compile(
        rf"(?P<sign>[+-]?)(?P<whole>{whole})(?P<tail>{tail})(?P<power>[eE][+-]?[0-9]{{1,2}})?"
    )
    other = "," if mark == "." else "."

    def convert(value: Any) -> int | float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        found = form.fullmatch(_text(value).strip())
        if isinstance(value, bool) or not found:
            raise ValueError(f"is not a number; to_number({other}) reads {other!r} as decimal mark")
        digits = re.sub(r"[^0-9]", "", found["whole"])
        fraction = found["tail"].replace(mark, ".")
        if fraction or found["power"]:
            return float(f"{found['sign']}{digits}{fraction}{found['power'] or ''}")
        return int(found["sign"] + digits)

    return convert


def _boolean(value: Any) -> bool:
    found = _text(value).strip().lower()
    if found in _TRUE or found in _FALSE:
        return found in _TRUE
    raise ValueError("is neither true nor false (yes/no, y/n, on/off, t/f, 1/0 are read as well)")


def _instant(form: str) -> Callable[[Any], datetime]:
    """The time that a value names, by a ``strptime`` form or as it is usually written."""
    if form:
        _check_form(form)

        def by_form(value: Any) -> datetime:
            try:
                read = datetime.strptime(_text(value).strip(), form)  # noqa: DTZ007 made aware below
            except ValueError:
                raise ValueError(f"is not a time of the form {form}") from None
            return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)

        return by_form
    return _usual


def _check_form(form: str) -> None:
    try:
        datetime.strptime("", form)  # noqa: DTZ007 only the form matters
    except ValueError as error:
        if "directive" in str(error) or "stray" in str(error):
            raise ValueError(f"{error}; write it such as %d.%m.%Y") from None
    if "%" not in form:
        raise ValueError("the form must say where day, month and year stand, such as %d.%m.%Y")


def _usual(value: Any) -> datetime:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
            return _EPOCH + timedelta(seconds=number)
        found = read_date(value.strip(), whole=True) if isinstance(value, str) else None
        if found is not None:
            return _EPOCH + timedelta(milliseconds=found)
    except OverflowError:
        pass
    raise ValueError(
        "is not a time; say how it is written, such as to_iso(%d.%m.%Y %H:%M) or to_date(%m/%d/%Y)"
    )


def _iso(form: str) -> Convert:
    read = _instant(form)
    return lambda value: text(read(value))


def _date(form: str) -> Convert:
    read = _instant(form)
    return lambda value: read(value).date().isoformat()


def _e164(country: str) -> Convert:
    if country and not re.fullmatch("[A-Za-z]{2}", country):
        raise ValueError("the country must be two letters, such as US")
    region = country.upper() or None
    missing = "" if region else "; name the country of national numbers, such as to_e164(US)"

    def convert(value: Any) -> str:
        number = _text(value).strip()
        if _E164.fullmatch(number):
            return number
        # Large tables that most processes never need.
        import phonenumbers  # noqa: PLC0415 loaded on first need

        try:
            parsed = phonenumbers.parse(number[:_LONGEST], region)
        except phonenumbers.NumberParseException:
            parsed = None
        if parsed is None or len(number) > _LONGEST or not phonenumbers.is_valid_number(parsed):
            raise ValueError(f"is not a phone number{missing}")
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)

    return convert


def _split(mark: str) -> Convert:
    mark = mark or ","

    def convert(value: Any) -> list[Any]:
        if isinstance(value, list):
            return value
        return [part for each in _text(value).split(mark) if (part := each.strip())]

    return convert


def _join(mark: str) -> Convert:
    def convert(value: Any) -> str:
        return (mark or ",").join(map(_text, value)) if isinstance(value, list) else _text(value)

    return convert


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return read_json(value.encode())
    except (Rejected, UnicodeEncodeError) as error:
        raise ValueError(f"is not JSON: {error}") from None


def _default(words: str) -> Convert:
    if not words:
        raise ValueError("default needs the value to take, such as default(US)")
    return lambda value: words if value is ABSENT or value is None else value


CONVERSIONS: Final[dict[str, Conversion]] = {
    each.name: each
    for each in (
        Conversion(
            "to_string",
            "Text as it is; a number, truth value, list or object as JSON.",
            _plain(_text),
            (Example("to_string", 17, "17"), Example("to_string", True, "true")),
        ),
        Conversion(
            "to_integer",
            "A whole number of at most 18 digits.",
            _plain(_integer),
            (Example("to_integer", " 42 ", 42), Example("to_integer", "-7.0", -7)),
        ),
        Conversion(
            "to_number",
            "A number, with or without marks between thousands.",
            _number,
            (
                Example("to_number", "1,234.50", 1234.5),
                Example("to_number(,)", "1.234,50", 1234.5),
                Example("to_number", "12", 12),
            ),
            argument="the decimal mark, `.` without it",
        ),
        Conversion(
            "to_boolean",
            "True or false; reads yes/no, y/n, on/off, t/f and 1/0 in any case.",
            _plain(_boolean),
            (Example("to_boolean", "Yes", True), Example("to_boolean", "0", False)),
        ),
        Conversion(
            "to_iso",
            "A time in UTC to the millisecond. Without a form ISO 8601, dates in words and, from"
            " numbers, unix times are read; a time without offset is UTC.",
            _iso,
            (
                Example("to_iso", "2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00.000Z"),
                Example("to_iso(%d.%m.%Y %H:%M)", "31.01.2026 12:30", "2026-01-31T12:30:00.000Z"),
                Example("to_iso", 1769860800, "2026-01-31T12:00:00.000Z"),
            ),
            argument="how it is written, in the codes of Python's strptime",
        ),
        Conversion(
            "to_date",
            "A day in UTC; reads what `to_iso` reads.",
            _date,
            (
                Example("to_date(%m/%d/%Y)", "01/31/2026", "2026-01-31"),
                Example("to_date", "2026-01-31 23:59", "2026-01-31"),
            ),
            argument="how it is written, in the codes of Python's strptime",
        ),
        Conversion(
            "lower",
            "In small letters.",
            _on_text(str.lower),
            (Example("lower", "Ann@ACME.io", "ann@acme.io"),),
        ),
        Conversion(
            "upper",
            "In capital letters.",
            _on_text(str.upper),
            (Example("upper", "de", "DE"),),
        ),
        Conversion(
            "trim",
            "Without blanks at both ends.",
            _on_text(str.strip),
            (Example("trim", "  ann@acme.io ", "ann@acme.io"),),
        ),
        Conversion(
            "to_e164",
            "A phone number as Klaviyo wants it. What already is `+` and digits stays as it is.",
            _e164,
            (
                Example("to_e164(US)", "(415) 555-2671", "+14155552671"),
                Example("to_e164(US)", "+49 30 901820", "+4930901820"),
            ),
            argument="the country of national numbers, two letters",
        ),
        Conversion(
            "split",
            "A list of the parts, without blanks around them and without empty ones.",
            _split,
            (
                Example("split(;)", "red; green;", ["red", "green"]),
                Example('split("|")', "a|b", ["a", "b"]),
            ),
            argument="what stands between the parts, `,` without it",
        ),
        Conversion(
            "join",
            "A list as one text.",
            _join,
            (Example("join(;)", ["red", "green"], "red;green"),),
            argument="what to put between the parts, `,` without it",
        ),
        Conversion(
            "json",
            "The value that a JSON text holds.",
            _plain(_json),
            (Example("json", '{"tier": 2}', {"tier": 2}),),
        ),
        Conversion(
            "default",
            "This text where the cell is empty.",
            _default,
            (Example("default(US)", ABSENT, "US"), Example("default(US)", "DE", "DE")),
            argument="the text",
            fills=True,
        ),
        Conversion(
            "or_null",
            "Null where the cell is empty, which clears a field at Klaviyo; without it an empty"
            " cell leaves the field as it is.",
            _plain(lambda value: None if value is ABSENT else value),
            (Example("or_null", ABSENT, None), Example("or_null", "x", "x")),
            fills=True,
        ),
        Conversion(
            "sha256",
            "The SHA-256 of the text in hexadecimal digits, to send an id that tells nothing.",
            _on_text(lambda found: hashlib.sha256(found.encode()).hexdigest()),
            (
                Example(
                    "lower | sha256",
                    "Ann",
                    "49915e0d7d4b402e3017d010bc1c0e83cac6c797d6c16e66340fe3268693a6a1",
                ),
            ),
        ),
    )
}
"""Every conversion, by name."""

_STEP: Final = re.compile(
    r"\s*(?P<name>\w+)\s*(?:\((?P<argument>\"[^\"]*\"|'[^']*'|[^()]*)\))?\s*(?:\||$)"
)


def compile_conversion(call: str, place: str) -> Convert:
    """The function that ``call`` names: one conversion or several, ``trim | to_e164(US)``.

    An argument in quotes is taken as it stands. Empty means none. Raises ``MappingError`` at
    ``place``.
    """
    steps: list[tuple[Conversion, Convert]] = []
    at = 0
    while at < len(call.rstrip()):
        step = _STEP.match(call, at)
        if step is None:
            raise MappingError(
                place, f"{seen(call[at:])} cannot be read; write trim, or trim | to_e164(US)"
            )
        steps.append(_step(step["name"], step["argument"], place))
        at = step.end()
    return lambda value: _run(steps, value)


def _step(name: str, argument: str | None, place: str) -> tuple[Conversion, Convert]:
    conversion = CONVERSIONS.get(name)
    if conversion is None:
        close = difflib.get_close_matches(name, CONVERSIONS, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise MappingError(
            place,
            f"there is no conversion {name[:60]!r}; {hint}there are: {', '.join(CONVERSIONS)}",
        )
    told = (argument or "").strip()
    if told and not conversion.argument:
        raise MappingError(place, f"{name} takes no argument, but has {told[:60]!r}")
    if told[:1] in ("'", '"') and told[-1:] == told[:1] and len(told) > 1:
        told = told[1:-1]
    try:
        return conversion, conversion.make(told)
    except ValueError as error:
        raise MappingError(place, f"{name}({told[:60]}): {error}") from None


def _run(steps: list[tuple[Conversion, Convert]], value: Any) -> Any:
    for conversion, convert in steps:
        if (value is ABSENT or value is None) and not conversion.fills:
            continue
        try:
            value = convert(value)
        except ValueError as error:
            raise ValueError(f"{conversion.name}: {seen(value)} {error}") from None
        value = ABSENT if value == "" else value
    return value
