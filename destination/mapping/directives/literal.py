"""``@literal``: a value as it stands."""

from __future__ import annotations

from typing import Any

from destination.mapping.check import Checker
from destination.mapping.compiler import Site
from destination.mapping.directive import Directive, Example
from destination.mapping.plan import Plan


def _compile(option: Any, site: Site) -> Plan:
    return site.outcome(option)


LITERAL = Directive(
    name="@literal",
    description="""\
The value itself. Directives inside of it still work, so it differs from writing the value alone
only for editors, which take an empty text for "not mapped".""",
    check=Checker.directive_or_value,
    compile=_compile,
    light=True,
    examples=(
        Example({"source": {"@literal": ""}}, {}, {"source": ""}),
        Example({"nothing": {"@literal": None}}, {}, {"nothing": None}),
        Example({"id": {"@literal": {"@path": "$.userId"}}}, {"userId": "u1"}, {"id": "u1"}),
    ),
)
