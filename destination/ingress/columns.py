"""From a file's columns to the fields of a row: which column becomes what, and how.

::

    {"object": "profile", "operation": "upsert", "key": "external_id",
     "chunk_size": 500, "chunk_waiting_time": 1,
     "mapped_fields": [
       {"origin_field": "E-Mail", "destination_field": "email", "convert_function": "trim | lower"},
       {"origin_field": "City", "destination_field": "location.city"}
     ]}

Columns that are not named are not sent. An empty cell is absent, unless a conversion fills it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from destination.errors import MappingError
from destination.ingress.conversions import ABSENT, Convert, compile_conversion
from destination.ingress.normalise import Malformed, seen

LARGEST_CHUNK: Final = 10_000
"""Rows that one request to the server may hold."""

LONGEST_WAIT: Final = 60.0
"""Seconds between chunks; a larger figure is most likely meant as milliseconds."""

_MEMBERS: Final = (
    "mapped_fields",
    "object",
    "operation",
    "key",
    "chunk_size",
    "chunk_waiting_time",
    "name",
    "description",
)
_FIELD: Final = ("origin_field", "destination_field", "convert_function")


@dataclass(frozen=True, slots=True)
class MappedField:
    """One column: its name in the file, its place in the row, its conversion."""

    origin: str
    destination: tuple[str, ...]
    convert: Convert


@dataclass(frozen=True, slots=True)
class Columns:
    """A column mapping. Without ``fields`` every column stays as it is.

    ``object``, ``operation`` and ``key`` are those of ``POST /rows/{object}?op=&key=``, empty where
    the file says nothing; ``chunk_size`` is in rows, 0 for the sender's own; ``chunk_waiting_time``
    in seconds.
    """

    fields: tuple[MappedField, ...] = ()
    object: str = ""
    operation: str = ""
    key: str = ""
    chunk_size: int = 0
    chunk_waiting_time: float = 0.0

    def row(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """The row to send. Raises ``Malformed``: ``conversion_failed``, ``row_empty``."""
        if not self.fields:
            row = {name: value for name, value in found.items() if value != ""}
        else:
            row = self._mapped(found)
        if not row:
            raise Malformed("row_empty", "no column that is sent has a value in this row")
        return row

    def _mapped(self, found: Mapping[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for field in self.fields:
            try:
                value = field.convert(_value(found, field.origin))
            except ValueError as error:
                message = f"column {field.origin!r}: {error}"
                raise Malformed("conversion_failed", message) from None
            if value is not ABSENT:
                _put(row, field.destination, value)
        return row

    def check_header(self, header: Iterable[str]) -> None:
        """Raise ``MappingError`` for a column that the file has not."""
        known = list(header)
        for number, field in enumerate(self.fields):
            if field.origin not in known:
                close = difflib.get_close_matches(field.origin, known, n=1)
                hint = f"Did you mean {close[0]!r}? " if close else ""
                raise MappingError(
                    f"mapped_fields[{number}].origin_field",
                    f"the file has no column {field.origin!r}. {hint}It has: {', '.join(known)}",
                )


AS_THEY_ARE: Final = Columns()
"""The mapping that changes nothing."""


def read_columns(document: Any) -> Columns:
    """The column mapping that a JSON document holds. Raises ``MappingError`` with the place."""
    if not isinstance(document, dict):
        raise MappingError("", f"a column mapping is an object, not {seen(document)}")
    _refuse_unknown(document, _MEMBERS, "")
    listed = document.get("mapped_fields", [])
    if not isinstance(listed, list):
        raise MappingError("mapped_fields", f"must be a list, not {seen(listed)}")
    fields = tuple(_field(each, f"mapped_fields[{number}]") for number, each in enumerate(listed))
    _check_places(fields)
    return Columns(
        fields,
        object=_text(document, "object"),
        operation=_text(document, "operation"),
        key=_text(document, "key"),
        chunk_size=_chunk_size(document.get("chunk_size", 0)),
        chunk_waiting_time=_waiting(document.get("chunk_waiting_time", 0)),
    )


def _field(each: Any, place: str) -> MappedField:
    if not isinstance(each, dict):
        raise MappingError(place, f"must be an object with {', '.join(_FIELD)}, not {seen(each)}")
    _refuse_unknown(each, _FIELD, f"{place}.")
    origin = _text(each, "origin_field", f"{place}.", required=True)
    named = _text(each, "destination_field", f"{place}.", required=True)
    parts = tuple(named.split("."))
    if not all(parts):
        raise MappingError(f"{place}.destination_field", f"{seen(named)} has an empty part")
    call = _text(each, "convert_function", f"{place}.")
    return MappedField(origin, parts, compile_conversion(call, f"{place}.convert_function"))


def _check_places(fields: tuple[MappedField, ...]) -> None:
    """Raise ``MappingError`` where two fields would write to one place, or into each other."""
    for number, field in enumerate(fields):
        for earlier, place in enumerate(each.destination for each in fields[:number]):
            shorter = min(len(place), len(field.destination))
            if place[:shorter] == field.destination[:shorter]:
                raise MappingError(
                    f"mapped_fields[{number}].destination_field",
                    f"{'.'.join(field.destination)} and {'.'.join(place)} of"
                    f" mapped_fields[{earlier}] are one place; give each its own",
                )


def _refuse_unknown(document: Mapping[str, Any], known: tuple[str, ...], before: str) -> None:
    for name in document:
        if name not in known:
            raise MappingError(
                f"{before}{name}", f"is not known here; there are: {', '.join(known)}"
            )


def _text(
    document: Mapping[str, Any], name: str, before: str = "", *, required: bool = False
) -> str:
    value = document.get(name)
    if value is None:
        value = ""
    if not isinstance(value, str) or (required and not value):
        raise MappingError(f"{before}{name}", f"must be a text, not {seen(value)}")
    return value


def _chunk_size(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_CHUNK:
        raise MappingError("chunk_size", f"must be 1 to {LARGEST_CHUNK:,} rows, not {seen(value)}")
    return value


def _waiting(value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= LONGEST_WAIT:
        raise MappingError(
            "chunk_waiting_time",
            f"must be 0 to {LONGEST_WAIT:g} seconds, not {seen(value)}; milliseconds are not read"
            " here: write 1 for 1000",
        )
    return float(value)


def _value(found: Mapping[str, Any], origin: str) -> Any:
    """The cell of that name, else what a path of names with dots between leads to."""
    if origin in found:
        value = found[origin]
        return ABSENT if value == "" else value
    place: Any = found
    for name in origin.split("."):
        if not isinstance(place, Mapping) or name not in place:
            return ABSENT
        place = place[name]
    return ABSENT if place == "" else place


def _put(row: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    for name in place[:-1]:
        row = row.setdefault(name, {})
    row[place[-1]] = value
