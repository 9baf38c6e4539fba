"""``@merge``: several objects as one."""

from __future__ import annotations

from typing import Any

from destination.errors import MappingError
from destination.mapping.budget import NODE, Budget
from destination.mapping.check import Checker, a_list, one_of
from destination.mapping.compiler import Site, options_of
from destination.mapping.directive import Directive, Example, Unusable
from destination.mapping.javascript import kind, text_length
from destination.mapping.missing import MISSING
from destination.mapping.plan import Computed, Plan
from destination.mapping.problem import Place, Problem, excerpt

_DIRECTIONS = ("left", "right")


def _check(checker: Checker, option: Any, place: Place) -> list[Problem]:
    problems = checker.options(
        option, place, {"objects": a_list}, {"direction": one_of("left", "right")}
    )
    if problems:
        return problems
    # Segment reports what is wrong with an item as if the item were a mapping of its own, and only
    # the first item that is wrong.
    for item in option["objects"]:
        problems = checker.directive_or_object(item, ())
        if problems:
            return problems
    return []


def _compile(option: Any, site: Site) -> Plan:
    options = options_of(option, "direction", "objects")
    objects = options["objects"]
    if not isinstance(objects, list):
        raise Unusable(f"objects should be a list, not {kind(objects)}")
    if isinstance(options["direction"], str) and options["direction"].lower() not in _DIRECTIONS:
        raise Unusable(_wrong_direction(options["direction"]))
    direction = site.resolver(options["direction"], "direction")
    values = tuple(site.kept(item, "objects", str(index)) for index, item in enumerate(objects))
    keep = site.keep
    at = site.path

    def resolve(payload: Any, budget: Budget) -> dict[str, Any]:
        backwards = _is_left(direction(payload, budget), at)
        found = [value(payload, budget) for value in values]
        merged: dict[str, Any] = {}
        for each in reversed(found) if backwards else found:
            members = _members(each)
            budget.spend(NODE * len(members), at)
            merged.update(members)
        if keep:
            return merged
        return {key: member for key, member in merged.items() if member is not MISSING}

    return Computed(resolve)


def _is_left(direction: Any, at: str) -> bool:
    if not isinstance(direction, str) or direction.lower() not in _DIRECTIONS:
        raise MappingError(at, _wrong_direction(direction))
    return direction.lower() == "left"


def _wrong_direction(direction: Any) -> str:
    return f'direction should be "left" or "right": {excerpt(direction)}'


def _members(value: Any) -> dict[str, Any]:
    """What ``value`` adds to an object: its members; a list its items and a text its characters,
    by their positions (a character of two UTF-16 code units takes two).
    """
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(value)}
    members: dict[str, Any] = {}
    position = 0
    for character in value if isinstance(value, str) else "":
        members[str(position)] = character
        position += text_length(character)
    return members


MERGE = Directive(
    name="@merge",
    description="""\
Several `objects` as one. With the `direction` `right` the later ones win, with `left` the earlier.
Nested objects are not merged but replaced. A member that is null, or written in the mapping and
missing from the event, wins too: a missing one takes the earlier one away. An object that is
missing or null adds nothing.""",
    check=_check,
    compile=_compile,
    examples=(
        Example(
            {
                "properties": {
                    "@merge": {
                        "direction": "right",
                        "objects": [
                            {"plan": "free", "source": "web"},
                            {"@path": "$.traits"},
                        ],
                    }
                }
            },
            {"traits": {"plan": "pro", "seats": 3}},
            {"properties": {"plan": "pro", "source": "web", "seats": 3}},
        ),
        Example(
            {"@merge": {"direction": "left", "objects": [{"a": 1}, {"a": 2, "b": 2}]}},
            {},
            {"a": 1, "b": 2},
        ),
        Example(
            {"@merge": {"direction": "right", "objects": [{"a": 1}, {"a": {"@path": "$.none"}}]}},
            {},
            {},
        ),
    ),
)
