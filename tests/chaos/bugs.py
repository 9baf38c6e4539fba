"""Deliberate bugs, put into the product from outside: each must be found by the reconciler.

They stand here and not in the product, so that no switch of it can ever turn one on. Whatever a
bug replaces must be there as expected, or the bug refuses to be put in: a sabotage that no longer
does anything would prove nothing.
"""

from __future__ import annotations

import asyncio
import importlib
import random
from collections.abc import Callable, Mapping
from typing import Any

from destination.klaviyo.actions import track_event
from destination.runtime import queue, store
from destination.runtime.delivery import lanes
from destination.runtime.intake import accept as intake

verdict = importlib.import_module(
    "destination.klaviyo.verdict"
)  # the package has a function so named


class Outdated(Exception):
    """The product no longer has what a bug replaces: the bug must be written anew."""


def rewrite(script: str, *changes: tuple[str, str]) -> None:
    """Change the text of a Lua script: each first text becomes the second wherever it stands."""
    original = store.script_text

    def changed(name: str, major: int) -> str:
        text = original(name, major)
        if name == script:
            for old, new in changes:
                if old not in text:
                    raise Outdated(f"{name}.lua has no {old!r}")
                text = text.replace(old, new)
        return text

    for module in (intake, store):
        replace(module, "script_text", changed)


def replace(owner: Any, name: str, new: Any) -> Any:
    """Replace an attribute that must be there; the old one."""
    if not hasattr(owner, name):
        raise Outdated(f"{owner.__name__} has no {name}")
    old = getattr(owner, name)
    setattr(owner, name, new)
    return old


def dedupe_off() -> None:
    """Every event is new."""
    rewrite("accept", ("redis.call('HSETNX', current, digest, content) == 0", "false"))


def ack_before_write() -> None:
    """200 is said when the events are still in memory."""
    waiting: set[Any] = set()
    original = intake.Intake.store

    async def hasty(self: intake.Intake, entries: Any, counting: Any) -> str:
        async def later() -> None:
            await asyncio.sleep(0.3)
            await original(self, entries, counting)

        task = asyncio.create_task(later())
        waiting.add(task)
        task.add_done_callback(waiting.discard)
        return "A" * len(entries)

    replace(intake.Intake, "store", hasty)


def random_unique_ids() -> None:
    """Each attempt gives an event another id."""

    def ready(payload: Any) -> Any:
        return {**payload, "unique_id": random.randbytes(8).hex()}

    replace(track_event, "identified", ready)


def retry_after_ignored() -> None:
    """A 429 is tried again at once."""
    replace(verdict, "retry_after", lambda _response, _now: 0.0)
    replace(verdict, "SHORTEST_WAIT", 0.05)


def visibility_off() -> None:
    """Whoever takes a lane takes it off the list, and nothing puts it back but its worker."""
    rewrite(
        "dispatch",
        ("redis.call('ZADD', due, now + ARGV[3], lane)", "redis.call('ZREM', due, lane)"),
    )
    rewrite("begin", ("redis.call('ZADD', due, now + lease, member)", ""))
    renewed = "redis.call('ZADD', ARGV[1] .. 'due', now + ARGV[5], ARGV[2] .. '\\t' .. ARGV[3])"
    rewrite("renew", (renewed, ""))
    replace(queue.Scheduler, "_sweep", staticmethod(lambda _scripts: None))


def fence_off() -> None:
    """Who has lost the lease may still record."""
    rewrite("commit", ("if redis.call('GET', held) ~= token then", "if false then"))
    replace(lanes.Lane, "held", lambda _self: True)


def double_trim() -> None:
    """Twice as many rows leave the lane as were done."""
    rewrite("commit", ("'LTRIM', lane, taken, -1", "'LTRIM', lane, 2 * taken, -1"))


def dead_letters_dropped() -> None:
    """What cannot be delivered is counted and forgotten."""
    replace(lanes.Record, "bury", lambda _self, _letter: None)


def order_ignored() -> None:
    """Nobody waits for their earlier rows."""
    replace(lanes.Lane, "parked", lambda _self, _people: set())


def counts_skipped() -> None:
    """Every third pass forgets to count."""
    original = lanes.Record.end
    turn = iter(range(10**9))

    def end(self: Any, mapping: str, state: str, by: int = 1) -> None:
        if next(turn) % 3 != 1:
            original(self, mapping, state, by)

    replace(lanes.Record, "end", end)


BUGS: Mapping[str, Callable[[], None]] = {
    bug.__name__.replace("_", "-"): bug
    for bug in (
        dedupe_off,
        ack_before_write,
        random_unique_ids,
        retry_after_ignored,
        visibility_off,
        fence_off,
        double_trim,
        dead_letters_dropped,
        order_ignored,
        counts_skipped,
    )
}
