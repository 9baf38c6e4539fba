"""What a mapping was compiled to, before it becomes one function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from destination.mapping.budget import Budget
from destination.mapping.missing import MISSING
from destination.mapping.path import Segments

Resolver = Callable[[Any, Budget], Any]
"""``resolve(payload, budget)``: the value for one payload."""


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value for every event."""

    value: Any


@dataclass(frozen=True, slots=True)
class Lookup:
    """A value of the payload itself, not a copy."""

    segments: Segments


@dataclass(frozen=True, slots=True)
class Members:
    """An object. Members that are missing are left out, unless ``keep``: ``@merge`` must see them,
    because there a missing member takes away an earlier one.
    """

    members: tuple[tuple[str, Plan], ...]
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Computed:
    """Whatever ``resolve`` gives."""

    resolve: Resolver


Plan = Constant | Lookup | Members | Computed


def may_be_missing(plan: Plan) -> bool:
    """Whether ``plan`` can give ``MISSING``."""
    if isinstance(plan, Constant):
        return plan.value is MISSING
    return not isinstance(plan, Members)
