"""Everything restarted in turn, again and again: F15."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from click import echo as say

from tests.chaos.installation import Installation, until
from tests.chaos.ordeal import Ordeal
from tests.chaos.poster import Pace, Posted
from tests.chaos.scenarios.scenario import scenario

LASTS = 120.0
"""Seconds of restarts: politely in the first half, with ``kill -9`` in the second."""

RATE = 60
"""Messages a second meanwhile."""

THREADS, FRESH = 6, 3
"""Who post, and how many of them make a new connection for each post; the others keep theirs."""


@scenario("F15")
def everything_restarted_in_turn(ordeal: Ordeal) -> None:
    """Politely and not, round and round."""
    installation = ordeal.installation
    with ordeal.posting(600, batch=5) as poster:
        for number in range(12):
            poster.wait(40 * number)
            name = ("serve", "work-1", "sandbox", "work-2")[number % 4]
            installation.restart(name, signal.SIGTERM if number % 8 < 4 else signal.SIGKILL)


@scenario("F15", options={"servers": 2})
def two_servers_on_one_port_restarted_in_turn(ordeal: Ordeal) -> None:
    """As long as one of them is up nobody is refused: a post is answered 2xx at once, or, where its
    connection was lost with its server, at the next try. (Redis stays: without it nobody accepts.)
    """
    installation, pace = ordeal.installation, Pace()
    parts = (*installation.servers, "work-1", "sandbox", "work-2")
    restarts, over, rough = Counter[str](), threading.Event(), 0.0
    all_listen(installation)
    with ordeal.posting(
        int(LASTS * RATE), threads=THREADS, fresh=FRESH, batch=5, pace=pace
    ) as poster:
        threading.Thread(target=_tick, args=(pace, over), daemon=True).start()
        began = time.monotonic()
        for name in itertools.cycle(parts):
            spent = time.monotonic() - began
            if spent > LASTS:
                break
            if not rough and spent > LASTS / 2:
                rough = time.time()
            installation.restart(name, signal.SIGKILL if rough else signal.SIGTERM)
            restarts[name] += 1
            all_listen(installation)
            time.sleep(0.5)
        over.set()
    for name in parts:
        installation.count(f"restart of {name}", restarts[name])
    for how, first in (("SIGTERM", True), ("SIGKILL", False)):
        posted = [each for each in poster.posted.values() if (each.tries[0].t < rough) is first]
        say(f"       with {how}: {dict(accepted(posted))}")
    say(f"       restarts: {dict(restarts)}")


def _tick(pace: Pace, over: threading.Event) -> None:
    while not over.wait(0.1):
        pace.allow(RATE // 10)


def accepted(posted: Iterable[Posted]) -> Counter[str]:
    """How many messages were taken at which try; fails when one was refused, or lost twice."""
    told = Counter[str]()
    for each in posted:
        statuses = [tried.status for tried in each.tries]
        refused = [status for status in statuses if status and not 200 <= status < 300]
        lost = statuses.index(next(status for status in statuses if status))
        assert not refused, f"{each.message.id} was answered {refused}"
        assert lost <= 1, f"{each.message.id} found nobody {lost} times"
        how = "new" if each.message.person % THREADS < FRESH else "kept"
        told[f"{how} connection, {'second' if lost else 'first'} try"] += 1
    return told


def all_listen(installation: Installation) -> None:
    """Wait until every server listens on their port."""
    wanted = len(installation.servers)
    until(lambda: _listening(installation) == wanted, 20, installation.logs)


def _listening(installation: Installation) -> int:
    """How many processes listen on the servers' port."""
    port = f":{int(installation.server.rpartition(':')[2]):04X}"
    lines = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
    return sum(line.split()[1].endswith(port) and line.split()[3] == "0A" for line in lines)
