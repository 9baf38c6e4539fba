"""What a directive is: one record that behaviour, checks, documentation and tests come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from destination.mapping.missing import MISSING
from destination.mapping.plan import Plan
from destination.mapping.problem import Place, Problem

if TYPE_CHECKING:
    from destination.mapping.check import Checker
    from destination.mapping.compiler import Site


class Unusable(Exception):
    """Raised by ``Directive.compile``: the option can give nothing for any event. The check may
    have let it pass; the mapping then fails where it is resolved, as at Segment.
    """


ROOT_DIRECTIVE = "__segment_internal_directive"
"""A top-level key whose directive takes all other top-level keys as its ``mapping``."""

METADATA = "_metadata"
"""The one key that may stand beside a directive; editors keep notes in it, we ignore it."""


@dataclass(frozen=True, slots=True)
class Example:
    """``mapping`` applied to ``event`` gives ``result``; a missing ``result`` is ``MISSING``."""

    mapping: Any
    event: dict[str, Any]
    result: Any = MISSING


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive.

    ``description`` is Markdown for the documentation. ``check`` finds what is wrong with an option
    before any event is seen; ``compile`` makes the plan and must take any JSON value, because what
    stands inside a list is not checked. A ``light`` directive gives nothing larger than what it
    got, so it needs no budget.
    """

    name: str
    description: str
    check: Callable[[Checker, Any, Place], list[Problem]]
    compile: Callable[[Any, Site], Plan]
    examples: tuple[Example, ...]
    light: bool = False


Directives = Mapping[str, Directive]


def directive_key(tree: Mapping[str, Any]) -> str | None:
    """The directive that the object ``tree`` is, None for an ordinary object.

    The first ``@`` key counts, and only if every key has an ``@`` or is ``_metadata``; anything
    else with an ``@`` key is refused by the check where it looks, and an ordinary object elsewhere.
    """
    found = None
    for key in tree:
        if key.startswith("@"):
            found = found or key
        elif key != METADATA:
            return None
    return found
