"""What a value of the right type must still obey: format, bounds, choices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from destination.fields.dates import is_common_date, is_written_date
from destination.fields.field import Field
from destination.fields.formats import FORMATS, is_date
from destination.fields.problem import seen

_TEXTS: Final = frozenset({"string", "text", "password"})
_NUMBERS: Final = frozenset({"number", "integer"})
_LISTED: Final = 10


@dataclass(frozen=True, slots=True)
class Rule:
    """``fits`` is truthy for a value that obeys; ``message`` says what is wrong with another.
    ``surely`` is truthy for most that obey and for no other, if that is quicker to tell.
    """

    kind: str
    fits: Callable[[Any], object]
    message: Callable[[Any], str]
    surely: Callable[[str], object] | None = None


def rules_of(field: Field) -> tuple[Rule, ...]:
    """The rules for one value of ``field``. Raises ``ValueError`` for an unknown format."""
    return tuple(_rules(field))


def _rules(field: Field) -> Iterator[Rule]:
    if field.type == "datetime":
        wanted = "is not a date; send one such as 2026-01-31T12:00:00Z"
        yield Rule("format", _is_moment, lambda value: f"{seen(value)} {wanted}", is_common_date)
    elif field.format:
        yield _format(field.format)
    low, high = field.minimum or None, field.maximum or None
    if (low or high) and field.type in _TEXTS:
        yield _length(low, high)
    if (low or high) and field.type in _NUMBERS:
        yield _range(low, high)
    if field.choices:
        yield _choice(field.choices)


def _is_moment(value: Any) -> bool:
    return not isinstance(value, str) or is_written_date(value) or is_date(value)


def _format(name: str) -> Rule:
    if name not in FORMATS:
        raise ValueError(f"unknown format {name!r}; there are {', '.join(FORMATS)}")
    fits, wanted = FORMATS[name]
    return Rule("format", fits, lambda value: f"{seen(value)} is not {wanted}")


def _length(low: float | None, high: float | None) -> Rule:
    least, most = low or 0, high or float("inf")
    wanted = _bounds(low, high)
    return Rule(
        "length",
        lambda value: least <= len(value) <= most,
        lambda value: f"{seen(value)} has {len(value)} characters; allowed are {wanted}",
    )


def _range(low: float | None, high: float | None) -> Rule:
    least, most = low or float("-inf"), high or float("inf")
    wanted = _bounds(low, high)
    return Rule(
        "range",
        lambda value: least <= value <= most,
        lambda value: f"{seen(value)} is out of range; allowed is {wanted}",
    )


def _bounds(low: float | None, high: float | None) -> str:
    least = f"at least {low:g}" if low else ""
    most = f"at most {high:g}" if high else ""
    return " and ".join(filter(None, (least, most)))


def _choice(choices: tuple[str, ...]) -> Rule:
    allowed = frozenset(choices)
    listed = ", ".join(map(str, choices[:_LISTED])) + (", ..." if len(choices) > _LISTED else "")
    return Rule(
        "choice",
        lambda value: not isinstance(value, dict) and value in allowed,
        lambda value: f"{seen(value)} is not one of {listed}",
    )
