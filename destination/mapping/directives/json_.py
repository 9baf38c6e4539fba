"""``@json``: JSON as text, and back."""

from __future__ import annotations

from typing import Any

from destination.errors import MappingError
from destination.event import decode
from destination.mapping.budget import NODE, Budget
from destination.mapping.check import Checker, anything, one_of
from destination.mapping.compiler import Site, options_of
from destination.mapping.directive import Directive, Example, Unusable
from destination.mapping.flat import as_function
from destination.mapping.missing import MISSING
from destination.mapping.plan import Computed, Plan
from destination.mapping.problem import Place, Problem, excerpt
from destination.mapping.text_form import json_of


def _check(checker: Checker, option: Any, place: Place) -> list[Problem]:
    return checker.options(
        option,
        place,
        {"value": anything, "mode": one_of("encode", "decode")},
    )


def _compile(option: Any, site: Site) -> Plan:
    options = options_of(option, "mode", "value")
    value = as_function(site.outcome(options["value"], "value"))
    at = site.path

    def encode(payload: Any, budget: Budget) -> Any:
        found = value(payload, budget)
        return MISSING if found is MISSING else json_of(found, budget, at)

    def decode(payload: Any, budget: Budget) -> Any:
        found = value(payload, budget)
        if not isinstance(found, str):
            return found
        budget.spend(NODE * len(found), at)
        return _decoded(found, at)

    modes = {"encode": encode, "decode": decode}
    mode = options["mode"].lower() if isinstance(options["mode"], str) else None
    if mode not in modes:
        raise Unusable(f'mode should be "encode" or "decode": {excerpt(options["mode"])}')
    return Computed(modes[mode])


def _decoded(text: str, at: str) -> Any:
    """What ``text`` says as JSON; the text itself where it is none that could be sent on."""
    try:
        return decode(text)
    except RecursionError:
        raise MappingError(at, f"the JSON is nested too deep: {excerpt(text)}") from None
    except ValueError:  # msgspec.DecodeError is one
        return text


JSON = Directive(
    name="@json",
    description="""\
With the `mode` `encode` a value as compact JSON, with `decode` what a text says as JSON. A text
that is not JSON stays as it is, and so does what is not a text.""",
    check=_check,
    compile=_compile,
    examples=(
        Example(
            {"raw": {"@json": {"mode": "encode", "value": {"@path": "$.properties"}}}},
            {"properties": {"n": 1.0, "tags": ["é"]}},
            {"raw": '{"n":1,"tags":["é"]}'},
        ),
        Example(
            {"cart": {"@json": {"mode": "decode", "value": {"@path": "$.cart"}}}},
            {"cart": '{"items":[1,2]}'},
            {"cart": {"items": [1, 2]}},
        ),
        Example(
            {"cart": {"@json": {"mode": "decode", "value": {"@path": "$.cart"}}}},
            {"cart": "[1,"},
            {"cart": "[1,"},
        ),
    ),
)
