"""Compiling fields to one function that cleans, converts and checks a payload.

The order of work is Segment's: what is empty is removed, what is not a list is wrapped where a
list is wanted, values are converted, then every rule is tried and every breach reported. Most
payloads are right already, so a value of the wanted type passes without a call where no further
rule stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from destination.fields.coercion import FAILED, coerce
from destination.fields.field import Field
from destination.fields.problem import FieldProblem, PayloadError, seen
from destination.fields.rules import rules_of

_ABSENT: Final[Any] = object()

Problems = list[FieldProblem]
Check = Callable[[Any, Problems], Any]
"""Gives the value that is sent, or ``_ABSENT``; adds what is wrong to the list."""

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
    members = _members(fields, "", additional=False, drop_blank=not batch)

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


def _members(
    fields: tuple[Field, ...], prefix: str, *, additional: bool, drop_blank: bool
) -> Callable[[dict[str, Any], Problems], dict[str, Any]]:
    checks = {field.name: _check(field, prefix + field.name) for field in fields}
    free = {field.name: _CLASSES[_TYPES[field.type][0]] for field in fields if _is_free(field)}
    ruled = {field.name: rules_of(field)[0].fits for field in fields if _has_one_rule(field)}
    required = tuple(field.name for field in fields if field.required)

    def members(value: dict[str, Any], problems: Problems) -> dict[str, Any]:
        clean = {}
        for name, item in value.items():
            if item:
                kind = item.__class__
                if kind is free.get(name) or (kind is str and name in ruled and ruled[name](item)):
                    clean[name] = item
                    continue
            check = checks.get(name)
            if check is None:
                if additional:
                    clean[name] = item
            elif not (drop_blank and item == ""):
                result = check(item, problems)
                if result is not _ABSENT:
                    clean[name] = result
        for name in required:
            if name not in clean:
                problems.append(_missing(prefix + name))
        return clean

    return members


def _is_free(field: Field) -> bool:
    ruled = field.choices or field.format or field.minimum or field.maximum or field.properties
    return not (ruled or field.multiple or field.type == "datetime")


def _has_one_rule(field: Field) -> bool:
    """Whether a text needs to obey one rule and nothing else."""
    texts = "string" in _TYPES.get(field.type, ())
    return texts and not field.multiple and len(rules_of(field)) == 1


def _missing(path: str) -> FieldProblem:
    return FieldProblem(path, "is required but has no value; map it", "required")


def _check(field: Field, path: str) -> Check:
    return _list(field, path) if field.multiple else _single(field, path, null=field.null)


def _single(field: Field, path: str, *, null: bool) -> Check:
    if field.type not in _TYPES:
        raise ValueError(f"field {field.name}: unknown type {field.type!r}")
    types = _TYPES[field.type]
    right = frozenset(_CLASSES[wanted] for wanted in types)
    blank_goes = "string" not in types
    allowed = (*types, "null") if null else types
    rules = rules_of(field)
    inside = (
        _members(field.properties, f"{path}.", additional=field.additional, drop_blank=False)
        if field.properties
        else None
    )

    def check(value: Any, problems: Problems) -> Any:
        if value.__class__ not in right:
            if value is None:
                return None if null else _ABSENT
            if blank_goes and value == "":
                return _ABSENT
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
        return inside(value, problems) if inside else value

    return check


def _list(field: Field, path: str) -> Check:
    item_check = _single(field, "", null=False)

    def check(value: Any, problems: Problems) -> Any:
        if not isinstance(value, list):
            if value is None or value == "":
                return _ABSENT
            value = [value]
        clean: list[Any] = []
        for item in value:
            index, before = len(clean), len(problems)
            result = item_check(item, problems)
            if result is not _ABSENT:
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
