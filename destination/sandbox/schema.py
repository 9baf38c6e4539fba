"""Closed request schemas, compiled from the compact form in ``description.json`` into checks.

A check takes a value, its JSON pointer and the name of the enclosing resource, and appends every
problem it finds. tests/contract/describe.py explains the compact form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from destination.sandbox.clock import moment
from destination.sandbox.errors import Problem

Check = Callable[[Any, str, str, list[Problem]], None]
BOUND = 100


class Schemas:
    """Compiles nodes of the compact form; objects that are named are compiled once."""

    def __init__(self, objects: Mapping[str, Any]) -> None:
        self._objects = objects
        self._compiled: dict[str, Check] = {}

    def compile(self, node: Any) -> Check:
        """The check of one node."""
        if isinstance(node, str):
            check = self._named(node.removesuffix("?"))
            return _or_null(check) if node.endswith("?") else check
        if isinstance(node, list):
            return _array(self.compile(node[0]))
        if "fields" in node:
            check = self._object(node["fields"], "")
        elif "enum" in node:
            check = _enumeration(tuple(node["enum"]))
        else:
            check = _either([self.compile(each) for each in node["either"]])
        return _or_null(check) if node.get("null") else check

    def _named(self, name: str) -> Check:
        if name.startswith("="):
            return _enumeration(tuple(name[1:].split("|")))
        if not name.startswith("@"):
            return PLAIN[name]
        if name not in self._compiled:
            self._compiled[name] = self._object(self._objects[name[1:]], name[1:])
        return self._compiled[name]

    def _object(self, fields: Mapping[str, Any], name: str) -> Check:
        checks = {key.rstrip("!"): self.compile(node) for key, node in fields.items()}
        required = [key[:-1] for key in fields if key.endswith("!")]
        kind = fields.get("type!", "")
        own = kind[1:] if isinstance(kind, str) and "|" not in kind else ""
        return _closed(checks, required, own or name)


def _closed(checks: Mapping[str, Check], order: list[str], name: str) -> Check:
    required = frozenset(order)

    def check(value: Any, pointer: str, resource: str, problems: list[Problem]) -> None:
        if not isinstance(value, dict):
            problems.append(_wrong("an object", value, pointer))
            return
        resource = name or resource
        for key, item in value.items():
            found = checks.get(key)
            if found is not None:
                found(item, f"{pointer}/{key}", resource, problems)
            else:
                problems.append(_unknown(key, pointer, resource))
        if not required <= value.keys():
            missing = [key for key in order if key not in value]
            problems.extend(_missing(key, pointer, resource) for key in missing)

    return check


def _array(item: Check) -> Check:
    def check(value: Any, pointer: str, resource: str, problems: list[Problem]) -> None:
        if not isinstance(value, list):
            problems.append(_wrong("an array", value, pointer))
            return
        for index, each in enumerate(value):
            item(each, f"{pointer}/{index}", resource, problems)

    return check


def _either(checks: list[Check]) -> Check:
    def check(value: Any, pointer: str, resource: str, problems: list[Problem]) -> None:
        nearest: list[Problem] | None = None
        for each in checks:
            found: list[Problem] = []
            each(value, pointer, resource, found)
            if not found:
                return
            if nearest is None or len(found) < len(nearest):
                nearest = found
        problems.extend(nearest or [])

    return check


def _or_null(inner: Check) -> Check:
    def check(value: Any, pointer: str, resource: str, problems: list[Problem]) -> None:
        if value is not None:
            inner(value, pointer, resource, problems)

    return check


def _enumeration(values: tuple[Any, ...]) -> Check:
    allowed = ", ".join(str(value) for value in values)

    def check(value: Any, pointer: str, _resource: str, problems: list[Problem]) -> None:
        # True == 1 in Python, not in JSON.
        if not any(value == each and type(value) is type(each) for each in values):
            detail = f"{_shown(value)} is not a valid choice. Valid choices: {allowed}."
            problems.append(Problem(detail, pointer))

    return check


def _kind(words: str, *kinds: type) -> Check:
    def check(value: Any, pointer: str, _resource: str, problems: list[Problem]) -> None:
        if type(value) not in kinds:
            problems.append(_wrong(words, value, pointer))

    return check


def _parsed(words: str, parse: Callable[[str], object]) -> Check:
    def check(value: Any, pointer: str, _resource: str, problems: list[Problem]) -> None:
        try:
            parse(value)
        except (ValueError, TypeError, OverflowError):
            problems.append(_wrong(words, value, pointer))

    return check


def _anything(_value: Any, _pointer: str, _resource: str, _problems: list[Problem]) -> None:
    return


PLAIN: Mapping[str, Check] = {
    "string": _kind("a string", str),
    "integer": _kind("an integer", int),
    "number": _kind("a number", int, float),
    "boolean": _kind("a boolean", bool),
    "object": _kind("an object", dict),
    "date": _parsed("a date such as 2026-11-20", date.fromisoformat),
    "date-time": _parsed("a date and time such as 2026-11-20T10:00:00Z", moment),
    "any": _anything,
}


def _wrong(words: str, value: Any, pointer: str) -> Problem:
    return Problem(f"Invalid value {_shown(value)}: expected {words}.", pointer)


def _unknown(key: str, pointer: str, resource: str) -> Problem:
    place = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
    return Problem(f"'{key[:BOUND]}' is not a valid field for the resource '{resource}'.", place)


def _missing(key: str, pointer: str, resource: str) -> Problem:
    detail = f"'{key}' is a required field for the resource '{resource}'."
    return Problem(detail, f"{pointer}/{key}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= BOUND else text[:BOUND] + "…"
