"""How much work one event may cause.

Work is counted, not timed, so that the same mapping and event end the same way on every machine:
one unit for each character that is produced, ``NODE`` units for each value that is visited.
Mappings that can only pick values out of the event need no budget: their work is bounded by their
own size.
"""

from __future__ import annotations

from destination.errors import MappingError

LIMIT = 10_000_000
"""Units for one event, at most about a second of one core on a slow machine."""

NODE = 10
"""Units for visiting one value, about what it costs against copying one character."""

DEPTH = 256
"""How deep a value may be nested where a directive must walk all of it."""


class TooExpensive(MappingError):
    """One event would take more work than an event may."""


class Budget:
    """The work left for one event."""

    __slots__ = ("left",)

    def __init__(self, units: int = LIMIT) -> None:
        self.left = units

    def spend(self, units: int, at: str) -> None:
        """Take ``units``; raises ``TooExpensive`` for the place ``at`` when there are not enough."""
        self.left -= units
        if self.left < 0:
            raise TooExpensive(
                at,
                f"too expensive: this event needs more than {LIMIT:,} units of work here; make the "
                "template, list or object that is used smaller",
            )


class _Unmetered(Budget):
    """A budget that never ends."""

    __slots__ = ()

    def spend(self, units: int, at: str) -> None:
        """Take nothing."""


UNMETERED: Budget = _Unmetered(0)
"""For mappings that can only pick values out of the event."""


def deeper(depth: int, at: str) -> int:
    """One level further down; raises ``MappingError`` below ``DEPTH`` levels."""
    if depth >= DEPTH:
        raise MappingError(at, f"a value is nested deeper than {DEPTH} levels")
    return depth + 1
