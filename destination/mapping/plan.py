"""What a mapping was compiled to, before it becomes one function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from destination.fields.check import FieldCheck
from destination.fields.problem import FieldProblem
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
class Checked:
    """An object of which each member is checked as soon as it is made; one that is ``None`` in
    place of its check is put in as it is. ``required``: the members that must be there at the end,
    with what to say otherwise.
    """

    members: tuple[tuple[str, Plan, FieldCheck | None], ...]
    required: tuple[tuple[str, FieldProblem], ...]


@dataclass(frozen=True, slots=True)
class Computed:
    """Whatever ``resolve`` gives."""

    resolve: Resolver


Plan = Constant | Lookup | Members | Checked | Computed


def may_be_missing(plan: Plan) -> bool:
    """Whether ``plan`` can give ``MISSING``."""
    if isinstance(plan, Constant):
        return plan.value is MISSING
    return not isinstance(plan, Members | Checked)
