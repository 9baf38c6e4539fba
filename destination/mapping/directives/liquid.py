"""``@liquid``: a Liquid template."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from destination.mapping.check import Checker, text
from destination.mapping.compiler import Site
from destination.mapping.directive import Directive, Example, Unusable
from destination.mapping.javascript import kind, text_length
from destination.mapping.plan import Computed, Constant, Plan
from destination.mapping.problem import Place, Problem, path_text

_LONGEST = 1_000  # UTF-16 code units: Segment's limit
_NOT_INSTALLED = "@liquid needs a package: run pip install 'destination[liquid]'"


def _check(_checker: Checker, option: Any, place: Place) -> list[Problem]:
    problems = text(option, place)
    if not problems and not _is_installed():
        problems = [Problem(path_text(place), _NOT_INSTALLED)]
    return problems


def _is_installed() -> bool:
    try:
        return find_spec("liquid") is not None
    except ValueError:  # the import is switched off
        return False


def _compile(option: Any, site: Site) -> Plan:
    if not isinstance(option, str):
        raise Unusable(f"needs a text, not {kind(option)}")
    if not option:
        return Constant("")
    if text_length(option) > _LONGEST:
        raise Unusable(f"a Liquid text has at most {_LONGEST} characters, this {len(option)}")
    if not _is_installed():
        raise Unusable(_NOT_INSTALLED)
    from destination.mapping.liquid.engine import (  # noqa: PLC0415  an extra, see above
        compile_text,
    )

    try:
        return Computed(compile_text(option, site.path))
    except ValueError as error:
        raise Unusable(str(error)) from error


LIQUID = Directive(
    name="@liquid",
    description="""\
A [Liquid](https://shopify.github.io/liquid/) text of at most 1,000 characters, with the event as
its variables. As at Segment there are no loops (`for`, `tablerow`), no `case`, `include`, `layout`
and `render`, and no filters that sort, search or group lists. Times are in UTC, and there is no
`now`: the same event always gives the same text. A filter that Liquid does not know passes its
value through.

Needs the extra: `pip install 'destination[liquid]'`.""",
    check=_check,
    compile=_compile,
    examples=(
        Example(
            {"greeting": {"@liquid": "Hello {{ traits.name | default: 'you' | capitalize }}!"}},
            {"traits": {"name": "ada"}},
            {"greeting": "Hello Ada!"},
        ),
        Example(
            {"tier": {"@liquid": "{% if total > 100 %}gold{% else %}basic{% endif %}"}},
            {"total": 31.44},
            {"tier": "basic"},
        ),
        Example(
            {"day": {"@liquid": "{{ timestamp | date: '%Y-%m-%d' }}"}},
            {"timestamp": "2024-04-05T23:30:00-02:00"},
            {"day": "2024-04-06"},
        ),
    ),
)
