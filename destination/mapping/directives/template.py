"""``@template``: a text with values of the event in it."""

from __future__ import annotations

from typing import Any

from destination.errors import MappingError
from destination.mapping.budget import Budget
from destination.mapping.check import Checker
from destination.mapping.compiler import Site
from destination.mapping.directive import Directive, Example
from destination.mapping.javascript import kind
from destination.mapping.plan import Computed, Plan
from destination.mapping.template import parts_of, render


def _compile(option: Any, site: Site) -> Plan:
    at = site.path
    if isinstance(option, str):
        parts = parts_of(option)
        return Computed(lambda payload, budget: render(parts, payload, budget, at))
    template = site.resolver(option)

    def resolve(payload: Any, budget: Budget) -> str:
        found = template(payload, budget)
        if not isinstance(found, str):
            raise MappingError(at, f"the template should be a text but is {kind(found)}")
        budget.spend(len(found), at)
        return render(parts_of(found), payload, budget, at)

    return Computed(resolve)


TEMPLATE = Directive(
    name="@template",
    description="""\
A text in which `{{path}}` stands for a value of the event. What is missing or null becomes an
empty text, a list its items with commas between, an object `[object Object]`. Nothing is escaped;
`{{{path}}}` does the same. What is inserted is never read as a template again. No `$.` here.

The template may itself be a directive that gives a text.""",
    check=Checker.directive_or_text,
    compile=_compile,
    examples=(
        Example(
            {"name": {"@template": "{{traits.first}} {{ traits.last }}"}},
            {"traits": {"first": "Ada", "last": "Lovelace"}},
            {"name": "Ada Lovelace"},
        ),
        Example(
            {"note": {"@template": "{{{comment}}} ({{missing}})"}},
            {"comment": "{{secret}}", "secret": "s3cret"},
            {"note": "{{secret}} ()"},
        ),
        Example({"id": {"@template": "order-{{n}}"}}, {"n": 7.0}, {"id": "order-7"}),
    ),
)
