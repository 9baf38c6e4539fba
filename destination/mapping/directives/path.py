"""``@path``: a value of the event."""

from __future__ import annotations

from typing import Any

from destination.errors import MappingError
from destination.mapping.budget import Budget
from destination.mapping.check import Checker
from destination.mapping.compiler import Site
from destination.mapping.directive import Directive, Example
from destination.mapping.javascript import kind
from destination.mapping.path import split_path, walk
from destination.mapping.plan import Computed, Plan


def _compile(option: Any, site: Site) -> Plan:
    if isinstance(option, str):
        return site.lookup(split_path(option))
    site.compiler.metered = True  # the path may be as long as the event
    path = site.resolver(option)
    at = site.path

    def resolve(payload: Any, budget: Budget) -> Any:
        found = path(payload, budget)
        if not isinstance(found, str):
            raise MappingError(at, f"the path should be a text but is {kind(found)}")
        budget.spend(len(found), at)
        return walk(payload, split_path(found), budget)

    return Computed(resolve)


PATH = Directive(
    name="@path",
    description="""\
Takes a value out of the event. Dots and brackets lead into objects and lists; `$.` at the front
is customary and may be left out. An empty path is the whole event. Where the path leads nowhere the
field is left out. A path that meets null, false, 0 or an empty text on its way gives that value.

The path may itself be a directive that gives a text.""",
    check=Checker.directive_or_text,
    compile=_compile,
    light=True,
    examples=(
        Example(
            {"email": {"@path": "$.traits.email"}},
            {"traits": {"email": "ada@example.com"}},
            {"email": "ada@example.com"},
        ),
        Example(
            {"first_sku": {"@path": "$.properties.products[0].sku"}},
            {"properties": {"products": [{"sku": "A-1"}, {"sku": "B-2"}]}},
            {"first_sku": "A-1"},
        ),
        Example({"phone": {"@path": "$.traits.phone"}}, {"traits": {}}, {}),
        Example(
            {"value": {"@path": {"@template": "$.traits.{{which}}"}}},
            {"which": "plan", "traits": {"plan": "gold"}},
            {"value": "gold"},
        ),
    ),
)
