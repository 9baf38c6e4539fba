"""A request that passed every check outside its meaning, and the answer to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from destination.sandbox.operations import Operation
from destination.sandbox.switches import Switches
from destination.sandbox.world.account import Account


@dataclass(frozen=True, slots=True)
class Call:
    """One call. ``id`` is the path's parameter or empty; ``size`` the body's length in bytes."""

    operation: Operation
    account: Account
    now: float
    id: str
    query: Mapping[str, str]
    body: Any
    size: int
    link_base: str
    switches: Switches

    def asked(self, parameter: str) -> list[str]:
        """The values of a comma-separated parameter."""
        return [each for each in self.query.get(parameter, "").split(",") if each]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, JSON document (None: an empty body) and further headers."""

    status: int
    document: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Answer]
EMPTY = Answer(204)
ACCEPTED = Answer(202)
