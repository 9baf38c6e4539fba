"""A fault of the catalogue as something that can be done to an installation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.chaos.ordeal import Ordeal


@dataclass(frozen=True, slots=True)
class Scenario:
    """``run`` does it. ``ids`` are its numbers in docs/reliability.md.

    ``alone``: on an installation of its own, which it spoils for others; ``judged``: the invariants
    are checked afterwards, else ``run`` checks what it must itself. ``started`` is False where
    ``run`` starts the processes. ``options`` go to ``Installation``.
    """

    ids: str
    name: str
    run: Callable[[Ordeal], None]
    alone: bool = False
    judged: bool = True
    started: bool = True
    options: dict[str, Any] | None = None
    patience: float = 90.0


SCENARIOS: list[Scenario] = []
"""All of them, in the order in which they run."""


def scenario(
    ids: str,
    *,
    alone: bool = False,
    judged: bool = True,
    started: bool = True,
    options: dict[str, Any] | None = None,
    patience: float = 90.0,
) -> Callable[[Callable[[Ordeal], None]], Callable[[Ordeal], None]]:
    """Add a function to the scenarios."""

    def add(run: Callable[[Ordeal], None]) -> Callable[[Ordeal], None]:
        name = run.__name__.replace("_", "-")
        own = alone or options is not None or not started
        SCENARIOS.append(Scenario(ids, name, run, own, judged, started, options, patience))
        return run

    return add
