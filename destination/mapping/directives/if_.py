"""``@if``: one value or another."""

from __future__ import annotations

from typing import Any

from destination.mapping.budget import Budget, deeper
from destination.mapping.check import Checker, anything
from destination.mapping.compiler import Site, options_of
from destination.mapping.directive import Directive, Example, Unusable
from destination.mapping.flat import as_function
from destination.mapping.javascript import is_truthy
from destination.mapping.missing import MISSING
from destination.mapping.plan import Computed, Constant, Plan
from destination.mapping.problem import Place, Problem


def _check(checker: Checker, option: Any, place: Place) -> list[Problem]:
    return checker.options(
        option, place, {}, {"exists": anything, "then": anything, "else": anything}
    )


def _compile(option: Any, site: Site) -> Plan:
    options = options_of(option)
    if not is_truthy(options.get("exists")) and not is_truthy(options.get("blank")):
        raise Unusable('needs a condition: "exists" or "blank"')
    name = "exists" if "exists" in options else "blank"
    condition = site.resolver(options[name], name)
    nothing: Plan = Constant(MISSING)
    then = as_function(site.outcome(options["then"], "then") if "then" in options else nothing)
    otherwise = as_function(
        site.outcome(options["else"], "else") if is_truthy(options.get("else")) else nothing
    )
    at = site.path

    def when_exists(payload: Any, budget: Budget) -> Any:
        found = condition(payload, budget)
        if found is None or found is MISSING:
            return otherwise(payload, budget)
        return then(payload, budget)

    def when_not_blank(payload: Any, budget: Budget) -> Any:
        branch = otherwise if _is_blank(condition(payload, budget), at) else then
        return branch(payload, budget)

    return Computed(when_exists if name == "exists" else when_not_blank)


def _is_blank(value: Any, at: str, depth: int = 0) -> bool:
    """Null, missing, or what JavaScript holds equal to the empty text: ``0``, false, ``[]``,
    and a list of one blank item other than 0 and false.
    """
    if isinstance(value, list):
        if len(value) != 1:
            return not value
        (item,) = value
        return item not in (0, False) and _is_blank(item, at, deeper(depth, at))
    return not isinstance(value, dict) and not value


IF = Directive(
    name="@if",
    description="""\
`then` if the value of `exists` is there and not null, else `else`. With `blank` in place of
`exists`, `then` is taken if the value is **not** blank (the name is inverted, as at Segment): blank
are null, a missing value, an empty text or list, 0 and false. A branch that is not given, and an
`else` that is null, false, 0 or an empty text, leaves the field out.""",
    check=_check,
    compile=_compile,
    light=True,
    examples=(
        Example(
            {
                "email": {
                    "@if": {
                        "exists": {"@path": "$.traits.email"},
                        "then": {"@path": "$.traits.email"},
                        "else": {"@path": "$.context.traits.email"},
                    }
                }
            },
            {"traits": {}, "context": {"traits": {"email": "ada@example.com"}}},
            {"email": "ada@example.com"},
        ),
        Example(
            {"plan": {"@if": {"blank": {"@path": "$.plan"}, "then": "paid", "else": "free"}}},
            {"plan": ""},
            {"plan": "free"},
        ),
        Example({"v": {"@if": {"exists": {"@path": "$.v"}, "then": 1}}}, {"v": None}, {}),
    ),
)
