"""``@arrayPath``: a list, each item reshaped."""

from __future__ import annotations

from typing import Any

from destination.mapping.budget import NODE, Budget
from destination.mapping.check import Checker, a_list
from destination.mapping.compiler import Site
from destination.mapping.directive import Directive, Example, Unusable
from destination.mapping.flat import as_function
from destination.mapping.javascript import kind
from destination.mapping.missing import MISSING
from destination.mapping.path import split_path
from destination.mapping.plan import Computed, Plan, may_be_missing
from destination.mapping.problem import Place, Problem


def _check(checker: Checker, option: Any, place: Place) -> list[Problem]:
    problems = a_list(option, place)
    if problems:
        return problems
    path, shape = [*option, None, None][:2]
    return checker.directive_or_text(path, place) or checker.mapping(shape, place)


def _compile(option: Any, site: Site) -> Plan:
    if not isinstance(option, list):
        raise Unusable(f"needs a list of a path and a shape, not {kind(option)}")
    path, shape = [*option, MISSING, MISSING][:2]
    root = site.lookup(split_path(path)) if isinstance(path, str) else site.outcome(path, "0")
    if not isinstance(shape, dict) or not shape:
        return root
    items_of = as_function(root)
    plan = site.plan(shape, "1")
    site.compiler.gaps |= may_be_missing(plan)
    item = as_function(plan)
    at = site.path
    cost = NODE * _size(shape)

    def resolve(payload: Any, budget: Budget) -> Any:
        found = items_of(payload, budget)
        if isinstance(found, dict):
            found = [found]
        if not isinstance(found, list):
            return found
        budget.spend(cost * len(found), at)
        return [item(each, budget) for each in found]

    return Computed(resolve)


def _size(tree: Any) -> int:
    """How many values ``tree`` consists of."""
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return 1 + sum(map(_size, parts))


ARRAY_PATH = Directive(
    name="@arrayPath",
    description="""\
A list of two: a path to a list, and a shape for its items, which is a mapping whose paths start at
the item. Nothing outside of the item can be reached. An object in place of a list counts as a
list of one; anything else, or a list without a shape, stays as it is. Where the shape is a
directive that gives nothing for an item, that item is null.""",
    check=_check,
    compile=_compile,
    examples=(
        Example(
            {
                "items": {
                    "@arrayPath": [
                        "$.properties.products",
                        {"sku": {"@path": "$.sku"}, "title": {"@path": "$.name"}},
                    ]
                }
            },
            {"properties": {"products": [{"sku": "A-1", "name": "Rye"}, {"sku": "B-2"}]}},
            {"items": [{"sku": "A-1", "title": "Rye"}, {"sku": "B-2"}]},
        ),
        Example(
            {"skus": {"@arrayPath": ["$.products", {"@path": "$.sku"}]}},
            {"products": [{"sku": "A-1"}, {}]},
            {"skus": ["A-1", None]},
        ),
    ),
)
