"""Compiling fields to one function that cleans, converts and checks a payload.

The order of work is Segment's: what is empty is removed, what is not a list is wrapped where a
list is wanted, values are converted, then every rule is tried and every breach reported. Most
payloads are right already, so a value of the wanted type passes without a call where no further
rule stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from destination.fields.coercion import FAILED, coerce
from destination.fields.field import Field
from destination.fields.problem import FieldProblem, PayloadError, seen
from destination.fields.rules import rules_of

ABSENT: Final[Any] = object()
"""What the check of a field gives for a value that is not sent."""

Problems = list[FieldProblem]
Check = Callable[[Any, Problems], Any]
"""Gives the value that is sent, or ``ABSENT``; adds what is wrong to the list."""


@dataclass(frozen=True, slots=True)
class FieldCheck:
    """The check of one field. A truthy value of class ``kind`` that ``fits`` passes as it is, which
    most do; any other is for ``put``. ``inside`` is set where nothing but its members is checked of
    an object.
    """

    name: str
    check: Check
    kind: type | None = None
    fits: Callable[[Any], object] | None = None
    drop_blank: bool = False
    inside: ObjectCheck | None = None

    def put(self, clean: dict[str, Any], value: Any, problems: Problems) -> None:
        """Put what is to be sent for ``value`` into ``clean``, what is wrong into ``problems``."""
        if not (self.drop_blank and value == ""):
            result = self.check(value, problems)
            if result is not ABSENT:
                clean[self.name] = result


@dataclass(frozen=True, slots=True)
class ObjectCheck:
    """The check of an object's members. Others are passed on if ``additional``, else dropped."""

    fields: Mapping[str, FieldCheck]
    required: tuple[tuple[str, FieldProblem], ...]
    additional: bool

    def members(self, value: dict[str, Any], problems: Problems) -> dict[str, Any]:
        """A new object of what is to be sent of ``value``."""
        fields, clean = self.fields, {}
        for name, item in value.items():
            field = fields.get(name)
            if field is None:
                if self.additional:
                    clean[name] = item
            elif item and item.__class__ is field.kind and (not field.fits or field.fits(item)):
                clean[name] = item
            else:
                field.put(clean, item, problems)
        for name, missing in self.required:
            if name not in clean:
                problems.append(missing)
        return clean


_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "string": ("string",),
    "text": ("string",),
    "password": ("string",),
    "number": ("number",),
    "integer": ("integer",),
    "boolean": ("boolean",),
    "datetime": ("string", "number"),
    "object": ("object",),
}
_CLASSES: Final[dict[str, type]] = {
    "string": str,
    "number": int,  # a float may be infinite and is looked at
    "integer": int,
    "boolean": bool,
    "object": dict,
}


def compile_fields(
    fields: tuple[Field, ...], *, batch: bool = False
) -> Callable[[Any], dict[str, Any]]:
    """Make the function that turns what a mapping gave into a payload by the rules of ``fields``.

    It returns a new dictionary, drops what no field names, and raises ``PayloadError`` with all
    problems. What lies inside a free-form object is passed on as it is, not copied. As at Segment,
    an empty text at the top is removed, with ``batch`` kept. Raises ``ValueError`` for a field
    with an unknown type or format.
    """
    members = object_check(fields, batch=batch).members

    def check(payload: Any) -> dict[str, Any]:
        if not isinstance(payload, dict):
            problem = FieldProblem("", f"must be an object, not {seen(payload)}", "type")
            raise PayloadError((problem,))
        problems: Problems = []
        clean = members(payload, problems)
        if problems:
            raise PayloadError(tuple(problems))
        return clean

    return check


def object_check(fields: tuple[Field, ...], *, batch: bool = False) -> ObjectCheck:
    """The parts of ``compile_fields``, for those who make a payload member by member."""
    return _object(fields, "", additional=False, drop_blank=not batch)


def _object(
    fields: tuple[Field, ...], prefix: str, *, additional: bool, drop_blank: bool
) -> ObjectCheck:
    checks = {field.name: _field(field, prefix + field.name, drop_blank) for field in fields}
    required = tuple((each.name, _missing(prefix + each.name)) for each in fields if each.required)
    return ObjectCheck(checks, required, additional)


def _field(field: Field, path: str, drop_blank: bool) -> FieldCheck:
    inside = _inside(field, path)
    check = _list(field, path) if field.multiple else _single(field, path, inside, null=field.null)
    kind: type | None = None
    fits = None
    if _is_free(field):
        kind = _CLASSES[_TYPES[field.type][0]]
    elif _has_one_rule(field):
        (rule,) = rules_of(field)
        kind, fits = str, rule.surely or rule.fits
    plain = inside is not None and not field.multiple and not rules_of(field)
    return FieldCheck(field.name, check, kind, fits, drop_blank, inside if plain else None)


def _inside(field: Field, path: str) -> ObjectCheck | None:
    if not field.properties:
        return None
    return _object(field.properties, f"{path}.", additional=field.additional, drop_blank=False)


def _is_free(field: Field) -> bool:
    ruled = field.choices or field.format or field.minimum or field.maximum or field.properties
    return not (ruled or field.multiple or field.type == "datetime")


def _has_one_rule(field: Field) -> bool:
    """Whether a text needs to obey one rule and nothing else."""
    texts = "string" in _TYPES.get(field.type, ())
    return texts and not field.multiple and len(rules_of(field)) == 1


def _missing(path: str) -> FieldProblem:
    return FieldProblem(path, "is required but has no value; map it", "required")


def _single(field: Field, path: str, inside: ObjectCheck | None, *, null: bool) -> Check:
    if field.type not in _TYPES:
        raise ValueError(f"field {field.name}: unknown type {field.type!r}")
    types = _TYPES[field.type]
    right = frozenset(_CLASSES[wanted] for wanted in types)
    fractions = "number" in types
    blank_goes = "string" not in types
    allowed = (*types, "null") if null else types
    rules = rules_of(field)

    def check(value: Any, problems: Problems) -> Any:
        cls = value.__class__
        if cls not in right and not (cls is float and fractions and isfinite(value)):
            if value is None:
                return None if null else ABSENT
            if blank_goes and value == "":
                return ABSENT
            turned = coerce(allowed, value)
            if turned is FAILED:
                message = f"must be {_a(field.type)}, not {seen(value)}"
                problems.append(FieldProblem(path, message, "type"))
                return value
            if turned is None:
                return None
            value = turned
        for rule in rules:
            if not rule.fits(value):
                problems.append(FieldProblem(path, rule.message(value), rule.kind))
        return inside.members(value, problems) if inside else value

    return check


def _list(field: Field, path: str) -> Check:
    item_check = _single(field, "", _inside(field, ""), null=False)

    def check(value: Any, problems: Problems) -> Any:
        if not isinstance(value, list):
            if value is None or value == "":
                return ABSENT
            value = [value]
        clean: list[Any] = []
        for item in value:
            index, before = len(clean), len(problems)
            result = item_check(item, problems)
            if result is not ABSENT:
                clean.append(result)
            for at in range(before, len(problems)):
                problem = problems[at]
                problems[at] = FieldProblem(
                    f"{path}[{index}]{problem.path}", problem.message, problem.kind
                )
        return clean

    return check


def _a(name: str) -> str:
    return {
        "integer": "a whole number",
        "object": "an object",
        "datetime": "a date",
        "text": "a string",
        "password": "a string",
    }.get(name, f"a {name}")
