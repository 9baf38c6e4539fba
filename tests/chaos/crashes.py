"""Named points of the product at which a process kills itself, once."""

from __future__ import annotations

import inspect
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from destination.runtime.delivery import lanes, worker
from destination.runtime.delivery.client import Client
from destination.runtime.intake import accept as intake
from tests.chaos.bugs import replace


@dataclass(frozen=True, slots=True)
class Point:
    """The moment before (or ``after``) the ``nth`` call of a function of ``part``."""

    part: str
    owner: Any
    function: str
    after: bool = False
    nth: int = 1


POINTS: Mapping[str, Point] = {
    "before-accept": Point("serve", intake.Intake, "_call"),
    "after-accept": Point("serve", intake.Intake, "_call", after=True),
    "after-dequeue": Point("work", worker, "send"),
    "after-claim": Point("work", lanes.Lane, "begin", after=True),
    "before-send": Point("work", Client, "send"),
    "after-send": Point("work", Client, "send", after=True),
    "mid-batch": Point("work", Client, "send", after=True, nth=3),
    "before-commit": Point("work", lanes.Lane, "commit"),
    "after-commit": Point("work", lanes.Lane, "commit", after=True),
    "mid-poll": Point("work", lanes.Lane, "submitted", after=True),
    "in-dead-letter": Point("work", lanes.Record, "bury", after=True),
    "before-release": Point("work", lanes.Lane, "release"),
}
"""By name; after-claim is where a job has its lane, before-commit where Klaviyo's answer is known."""


def arm(name: str, flag: Path) -> None:
    """Kill this process at a point, unless ``flag`` is there, which is made then."""
    point = POINTS[name]
    calls = iter(range(1, 10**9))

    def die() -> None:
        if next(calls) < point.nth:
            return
        try:
            os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    original = getattr(point.owner, point.function)
    wrap = _deferred if inspect.iscoroutinefunction(original) else _direct
    replace(point.owner, point.function, wrap(original, die, after=point.after))


def _direct(original: Callable[..., Any], die: Callable[[], None], *, after: bool) -> Any:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not after:
            die()
        found = original(*args, **kwargs)
        if after:
            die()
        return found

    return wrapped


def _deferred(original: Callable[..., Any], die: Callable[[], None], *, after: bool) -> Any:
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not after:
            die()
        found = await original(*args, **kwargs)
        if after:
            die()
        return found

    return wrapped
