"""Whether a mapping's fields suit the action that they are for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from destination.fields import Field, PayloadError, compile_fields
from destination.mapping.directive import ROOT_DIRECTIVE, directive_key
from destination.mapping.problem import Place, Problem, path_text
from destination.mapping.strict_json import unknown_keys

SEGMENT_ONLY = frozenset(
    {"enable_batching", "batch_size", "batch_bytes", "batch_keys", "retlOnMappingSave"}
)
"""Fields of Segment's framework: kept in a file and not looked at, ``batch`` says what they say."""

_INTERNAL = "__segment_internal_"


def field_problems(tree: dict[str, Any], fields: tuple[Field, ...], place: Place) -> list[Problem]:
    """What can be said of ``tree`` before any event, given the ``fields`` of its action.

    Nothing where a directive makes the whole payload: its members are not known.
    """
    if directive_key(tree) or ROOT_DIRECTIVE in tree:
        return []
    known = {
        name: part
        for name, part in tree.items()
        if name not in SEGMENT_ONLY and not name.startswith(_INTERNAL)
    }
    return list(_members(known, fields, place, "the action"))


def _members(
    tree: dict[str, Any], fields: tuple[Field, ...], place: Place, what: str
) -> Iterator[Problem]:
    yield from unknown_keys(tree, [field.name for field in fields], place, what)
    for field in fields:
        inside = (*place, field.name)
        if field.name in tree:
            yield from _member(tree[field.name], field, inside)
        elif field.required:
            yield Problem(path_text(inside), f"{what} requires {field.name}: map it")


def _member(tree: Any, field: Field, place: Place) -> Iterator[Problem]:
    if _is_constant(tree):
        yield from _constant(tree, field, place)
    elif isinstance(tree, dict) and not directive_key(tree) and field.properties:
        if field.additional:
            named = {part.name for part in field.properties}
            tree = {name: part for name, part in tree.items() if name in named}
        yield from _members(tree, field.properties, place, field.name)


def _constant(value: Any, field: Field, place: Place) -> Iterator[Problem]:
    """A value that is the same for every event and would be refused for every event."""
    check = compile_fields((replace(field, required=False),))
    try:
        check({field.name: value})
    except PayloadError as error:
        for problem in error.problems:
            yield Problem(path_text(place), f"{problem.path} {problem.message}")


def _is_constant(tree: Any) -> bool:
    if isinstance(tree, dict):
        return directive_key(tree) is None and all(map(_is_constant, tree.values()))
    return not isinstance(tree, list) or all(map(_is_constant, tree))
