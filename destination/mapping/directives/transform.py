"""``@transform``: a mapping of what another mapping gave."""

from __future__ import annotations

from typing import Any

from destination.errors import MappingError
from destination.mapping.budget import Budget
from destination.mapping.check import Checker, object_or_directive
from destination.mapping.compiler import Site, options_of
from destination.mapping.directive import Directive, Example, Unusable
from destination.mapping.flat import as_function
from destination.mapping.javascript import kind
from destination.mapping.missing import MISSING
from destination.mapping.plan import Computed, Plan
from destination.mapping.problem import Place, Problem


def _check(checker: Checker, option: Any, place: Place) -> list[Problem]:
    required = {"apply": object_or_directive, "mapping": object_or_directive}
    return checker.options(option, place, required)


def _compile(option: Any, site: Site) -> Plan:
    options = options_of(option, "mapping", "apply")
    if not isinstance(options["apply"], dict):
        raise Unusable(f"apply should be an object, not {kind(options['apply'])}")
    # Segment checks it again here, where it may stand in a list that was not checked before.
    problems = Checker(site.compiler.directives).whole(options["apply"], ("apply",))
    if problems:
        raise Unusable(f"{problems[0].path}: {problems[0].message}")
    site.compiler.amplifies = True
    apply = as_function(site.compiler.root(options["apply"], site.at("apply")))
    mapping = as_function(site.outcome(options["mapping"], "mapping"))
    at = site.path

    def resolve(payload: Any, budget: Budget) -> Any:
        if payload is MISSING:
            payload = {}
        if not isinstance(payload, dict):
            raise MappingError(
                at, f"what is transformed should be an object but is {kind(payload)}"
            )
        return mapping(apply(payload, budget), budget)

    return Computed(resolve)


TRANSFORM = Directive(
    name="@transform",
    description="""\
Resolves `apply`, then resolves `mapping` with the result in place of the event. `mapping` cannot
reach the event any more.""",
    check=_check,
    compile=_compile,
    examples=(
        Example(
            {
                "@transform": {
                    "apply": {"cart": {"@json": {"mode": "decode", "value": {"@path": "$.cart"}}}},
                    "mapping": {"total": {"@path": "$.cart.total"}},
                }
            },
            {"cart": '{"total": 12}'},
            {"total": 12},
        ),
    ),
)
