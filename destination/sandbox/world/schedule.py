"""Work that is due later: what Klaviyo does after it has answered."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Work = Callable[[float], None]


class Schedule:
    """Work by due time; work for the same time runs in the order it was put in."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Work]] = []
        self._number = count()

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, due: float, work: Work) -> None:
        """Have ``work(due)`` done once ``due`` has come."""
        heapq.heappush(self._heap, (due, next(self._number), work))

    def settle(self, now: float) -> None:
        """Do all that is due by ``now``, also what that work schedules in turn."""
        while self._heap and self._heap[0][0] <= now:
            due, _, work = heapq.heappop(self._heap)
            work(due)
