"""``@excludeWhenNull``: nothing in place of null."""

from __future__ import annotations

from typing import Any

from destination.mapping.budget import NODE, Budget, deeper
from destination.mapping.check import Checker
from destination.mapping.compiler import Site
from destination.mapping.directive import Directive, Example
from destination.mapping.flat import as_function
from destination.mapping.missing import MISSING
from destination.mapping.plan import Computed, Plan


def _compile(option: Any, site: Site) -> Plan:
    value = as_function(site.outcome(option))
    keep = site.keep
    at = site.path

    def resolve(payload: Any, budget: Budget) -> Any:
        found = value(payload, budget)
        if found is None:
            return MISSING
        if not isinstance(found, dict):
            return found
        cleaned = _without_nulls(found, budget, at, 0)
        if keep:  # for ``@merge`` a null that is excluded still takes an earlier member away
            return {key: cleaned.get(key, MISSING) for key in found}
        return cleaned

    return Computed(resolve)


def _without_nulls(value: dict[str, Any], budget: Budget, at: str, depth: int) -> dict[str, Any]:
    depth = deeper(depth, at)
    budget.spend(NODE * len(value), at)
    return {
        key: _without_nulls(member, budget, at, depth) if isinstance(member, dict) else member
        for key, member in value.items()
        if member is not None
    }


EXCLUDE_WHEN_NULL = Directive(
    name="@excludeWhenNull",
    description="""\
The value without its nulls: null itself becomes missing, and an object loses its null members at
every depth. Lists stay as they are.""",
    check=Checker.directive_or_value,
    compile=_compile,
    examples=(
        Example({"phone": {"@excludeWhenNull": {"@path": "$.phone"}}}, {"phone": None}, {}),
        Example(
            {"traits": {"@excludeWhenNull": {"@path": "$.traits"}}},
            {"traits": {"a": None, "b": {"c": None, "d": 1}, "e": [None]}},
            {"traits": {"b": {"d": 1}, "e": [None]}},
        ),
    ),
)
