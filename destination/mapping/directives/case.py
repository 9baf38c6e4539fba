"""``@case``: upper and lower case."""

from __future__ import annotations

from typing import Any

from destination.errors import MappingError
from destination.mapping.budget import Budget
from destination.mapping.check import Checker, text, text_or_directive
from destination.mapping.compiler import Site, options_of
from destination.mapping.directive import Directive, Example
from destination.mapping.flat import as_function
from destination.mapping.javascript import is_truthy
from destination.mapping.missing import MISSING
from destination.mapping.plan import Computed, Constant, Plan
from destination.mapping.problem import Place, Problem, excerpt

_OPERATORS = {"lower": str.lower, "upper": str.upper}


def _check(checker: Checker, option: Any, place: Place) -> list[Problem]:
    return checker.options(option, place, {}, {"operator": text, "value": text_or_directive})


def _compile(option: Any, site: Site) -> Plan:
    options = options_of(option, "operator")
    operator = options["operator"]
    if not is_truthy(options.get("value")):
        return Constant(MISSING)
    value = as_function(site.outcome(options["value"], "value"))
    convert = _OPERATORS.get(operator) if isinstance(operator, str) else None
    at = site.path

    def resolve(payload: Any, budget: Budget) -> Any:
        found = value(payload, budget)
        if not isinstance(found, str):
            return found
        if convert is None:
            raise MappingError(at, f'operator should be "lower" or "upper": {excerpt(operator)}')
        budget.spend(len(found), at)
        return convert(found)

    return Computed(resolve)


CASE = Directive(
    name="@case",
    description="""\
A text in lower or upper case: `operator` is `lower` or `upper`. What is not a text stays as it
is.""",
    check=_check,
    compile=_compile,
    examples=(
        Example(
            {"email": {"@case": {"operator": "lower", "value": {"@path": "$.email"}}}},
            {"email": "Ada@Example.com"},
            {"email": "ada@example.com"},
        ),
        Example(
            {"n": {"@case": {"operator": "upper", "value": {"@path": "$.n"}}}}, {"n": 5}, {"n": 5}
        ),
    ),
)
