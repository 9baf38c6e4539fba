"""``@flatten``: nested objects as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from destination.errors import MappingError
from destination.mapping.budget import NODE, Budget, deeper
from destination.mapping.check import Checker, anything, text
from destination.mapping.compiler import Site, options_of
from destination.mapping.directive import Directive, Example
from destination.mapping.flat import as_function
from destination.mapping.javascript import is_truthy, kind
from destination.mapping.missing import MISSING
from destination.mapping.plan import Computed, Plan
from destination.mapping.problem import Place, Problem
from destination.mapping.text_form import ordered_keys


def _check(checker: Checker, option: Any, place: Place) -> list[Problem]:
    return checker.options(option, place, {"value": anything}, {"separator": text})


def _compile(option: Any, site: Site) -> Plan:
    options = options_of(option, "separator")
    separator_of = site.resolver(options["separator"], "separator")
    value = as_function(site.outcome(options.get("value", MISSING), "value"))
    whole_lists = is_truthy(options.get("omitArrays"))
    keep = site.keep
    at = site.path

    def resolve(payload: Any, budget: Budget) -> dict[str, Any]:
        separator = separator_of(payload, budget)
        if not isinstance(separator, str):
            raise MappingError(at, f"separator should be a text but is {kind(separator)}")
        leaves = _Leaves(separator, whole_lists, budget, at)
        leaves.add("", value(payload, budget), 0)
        if keep:
            return leaves.found
        return {key: leaf for key, leaf in leaves.found.items() if leaf is not MISSING}

    return Computed(resolve)


class _Leaves:
    """The leaves of a value under their joined names."""

    def __init__(self, separator: str, whole_lists: bool, budget: Budget, at: str) -> None:
        self.separator = separator
        self.whole_lists = whole_lists
        self.budget = budget
        self.at = at
        self.found: dict[str, Any] = {}

    def add(self, name: str, value: Any, depth: int) -> None:
        self.budget.spend(NODE + len(name), self.at)
        parts: Iterable[tuple[str, Any]]
        if isinstance(value, dict):
            parts = ((key, value[key]) for key in ordered_keys(value))
        elif isinstance(value, list) and not self.whole_lists:
            parts = ((str(index), item) for index, item in enumerate(value))
        else:
            self.found[name] = value
            return
        depth = deeper(depth, self.at)
        prefix = name + self.separator if name else ""
        for key, part in parts:
            self.add(prefix + key, part, depth)


FLATTEN = Directive(
    name="@flatten",
    description="""\
Nested objects as one object whose names are joined by `separator`. Items of lists get their index
as a name, unless `omitArrays` is true: then lists stay whole. Empty objects vanish. A value that
is neither object nor list stands under an empty name.""",
    check=_check,
    compile=_compile,
    examples=(
        Example(
            {"traits": {"@flatten": {"value": {"@path": "$.traits"}, "separator": "_"}}},
            {"traits": {"company": {"name": "Crumb", "tags": ["b2b"]}, "plan": "pro"}},
            {"traits": {"company_name": "Crumb", "company_tags_0": "b2b", "plan": "pro"}},
        ),
        Example(
            {"t": {"@flatten": {"value": {"@path": "$.t"}, "separator": ".", "omitArrays": True}}},
            {"t": {"a": {"b": [1, 2]}}},
            {"t": {"a.b": [1, 2]}},
        ),
    ),
)
