"""RQ's side: the ``send`` job, and what a worker process keeps between jobs.

RQ jobs are wake-ups: ``send(connection, lane)`` says that a lane has work. A job that is lost,
doubled or killed changes nothing but time, since lanes are due again after a while by themselves.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import redis

from destination.delivery import Discard, Halt, Outcome, Retry
from destination.errors import Ended, NoRoom, Unanswered
from destination.pipeline import Route, outcome_of
from destination.runtime.delivery.connections import Exchange, Working
from destination.runtime.delivery.lanes import Lane, LeaseLost, Record, Taken
from destination.runtime.delivery.passing import LOOK_AGAIN, Pass
from destination.runtime.delivery.precedence import LOOK_AGAIN as AFTER_OTHERS
from destination.runtime.delivery.precedence import Precedence, leaders
from destination.runtime.delivery.settling import Settling
from destination.runtime.delivery.side_by_side import side_by_side
from destination.runtime.delivery.skipping import job_committed
from destination.runtime.delivery.slots import Slots
from destination.runtime.logs import log, told
from destination.runtime.store import PREFIX, Row, Scripts, connect, missing_key
from destination.settings import Settings

JOB_SECONDS, TURN_SECONDS = 5.0, 1.0
"""A lane is given back after this time, so that others get their turn; sooner when some wait."""

THREADS = 8
"""Single-record requests under way at once; more only queue for the account's rate limit."""

SIDE_BY_SIDE, PASS_ROWS = 4, 8000
"""A pass may grow to so many times a request's rows, which then travel at once: measured with 0.3 s
for an answer, a third faster. But not beyond so many rows: a pass is held in memory.
"""

DEADLY = 20
"""Workers that died in a row with one row in hand before that row is buried."""

FAULT_PAUSE = 5.0
"""Seconds that a lane waits after a fault of ours that no row can be blamed for."""

POLL_AGAIN = 20.0
"""Seconds until a job at Klaviyo is asked about again when nothing else is said."""

LAST_ANSWERS = 5.0
"""Seconds that requests under way get for their answers when the process is asked to stop."""

PATIENT = 10.0
"""Seconds for which rows of a lane wait for company after calls have become scarce."""

MISSING = 2700.0
"""Seconds for which something that rows wait for counts as missing: they look every half hour."""

LONGEST_THING = 100
"""Characters of its name that are told: events may name lists."""

GIVE_BACK = 20
"""Half-seconds for which a worker tries to give a lane back after Redis failed."""


class Worker:
    """Does the ``send`` jobs of one process. Raises ``SettingsError`` for settings it cannot use."""

    def __init__(self, settings: Settings, redis_url: str) -> None:
        self._settings = settings
        self.redis = connect(redis_url)
        self.scripts = Scripts(self.redis)
        self.working = {
            name: Working(connection, settings, self.scripts)
            for name, connection in settings.connections.items()
        }
        self._slots = Slots(self.send)
        self.stopping = threading.Event()
        self._precedence = Precedence(self.redis, time.monotonic)

    def stop(self) -> None:
        """Ask nothing more of Klaviyo, wait a little for what is under way, and give the lane back.

        What has no answer by then is sent again by whoever takes the lane next.
        """
        self.stopping.set()
        cutting = threading.Timer(LAST_ANSWERS, self._cut)
        cutting.daemon = True
        cutting.start()

    def _cut(self) -> None:
        for working in self.working.values():
            working.cut()

    def close(self) -> None:
        """Let go of threads and connections."""
        self._slots.close()
        for working in self.working.values():
            working.close()
        self.redis.close()

    def take(self, connection: str, lane: str) -> None:
        """Work on one lane beside others; returns when that has begun, or is sure to."""
        self._slots.take(connection, lane)

    def send(self, connection: str, lane: str) -> None:
        """Work on one lane until it is empty, must wait, or has had its time."""
        working = self.working.get(connection)
        if working is None:
            return  # another installation's lane; it stays due for whoever knows it
        self._reconnect()
        mine = Lane(self.scripts, connection, lane, lease=self._settings.lease)
        try:
            taken = mine.begin()
            if taken.state == "halted" and taken.probe:
                self._probe(working)
            if taken.state == "taken":
                self._work(mine, working, taken)
        except LeaseLost:
            log.warning("lease_lost", connection=connection, lane=lane)
        except redis.RedisError as error:
            log.warning("redis_failed", connection=connection, lane=lane, error=str(error))
            self._give_back(mine)

    def _reconnect(self) -> None:
        """Find out now, not in the middle of a pass, that Redis has been restarted."""
        try:
            self.redis.ping()
        except redis.RedisError:
            self.redis.connection_pool.disconnect(inuse_connections=False)

    def _give_back(self, lane: Lane) -> None:
        """After trouble with Redis: try for a while to free the lane, else its lease runs out."""
        for _ in range(GIVE_BACK):
            if self.stopping.wait(0.5):
                return
            try:
                lane.release()
                self.redis.zadd(f"{PREFIX}due", {lane.member: 0})
            except redis.RedisError:
                self.redis.connection_pool.disconnect(inuse_connections=False)
            else:
                return

    def _work(self, lane: Lane, working: Working, taken: Taken) -> None:
        begun = time.monotonic()

        def going_on() -> bool:
            seconds = TURN_SECONDS if self._slots.crowded(lane.connection) else JOB_SECONDS
            return time.monotonic() < begun + seconds and not self.stopping.is_set()

        pause = 0.0
        try:
            with lane.kept():
                for job in taken.jobs:
                    if going_on():
                        self._poll(lane, working, job)
                crashes, grown = taken.crashes, 1
                while going_on() and self._pass(lane, working, crashes, grown):
                    crashes, grown = 0, grown * 4
        except (LeaseLost, redis.RedisError):
            raise
        except Exception as error:  # noqa: BLE001 whatever it is, it must neither spin nor lose a row
            pause = FAULT_PAUSE
            log.error("internal_error", lane=lane.name, **told(error))
        finally:
            lane.release(pause)

    def _pass(self, lane: Lane, working: Working, crashes: int, grown: int) -> bool:
        """One read, plan, send, commit. False when there is nothing more to do now.

        Rows that have failed together, or that ``crashes`` workers died with, are tried in ever
        smaller batches: a row that breaks the whole request is alone in the end, and then waits
        alone. ``grown`` is by how much batches may have grown again since passes went well.
        """
        routes: Mapping[str, Route] = working.mappings.routes()
        working.versions.keep(routes)
        mine = [r.rows for r in routes.values() if r.lane == lane.name and r.mapping.enabled]
        first = lane.read(1)
        if not first:
            return False
        if not mine and not first[0].version:
            record = Record()
            record.hold(LOOK_AGAIN, "mapping_missing")
            lane.commit(record)
            return False
        most = min(max(mine, default=1), lane.length())
        some = (most >> max(first[0].attempts, crashes - 1, 0)) * grown
        rows = lane.read(max(1, min(some, max(most, min(SIDE_BY_SIDE * most, PASS_ROWS)))))
        free_to_go = self._in_turn(lane, leaders(lane.name, routes), rows)
        if not free_to_go:
            record = Record()
            record.hold(AFTER_OTHERS, "waits_for_earlier")
            lane.commit(record)
            return False
        rows = rows[:free_to_go]
        routes = working.versions.routes(routes, rows)
        blocked = lane.parked(row.person for row in rows)
        places: Sequence[int] = range(len(rows))
        if blocked:
            places = [at for at, row in enumerate(rows) if row.person not in blocked]
        free = [rows[at] for at in places]
        if crashes >= DEADLY and len(rows) == 1:
            seen = f"{crashes} workers in a row died while they had it in hand"
            tried: Pass | None = None
            outcomes: list[Outcome] = [Discard("worker_died", seen)] * len(free)
            exchanges: dict[int, list[Exchange]] = {}
        else:

            def ours() -> bool:
                return not self.stopping.is_set() and lane.held()

            tried = Pass(free, routes, working, self._spread, ours)
            outcomes, exchanges = tried.outcomes(), tried.exchanges
        settling = self._settling(lane, routes)
        record = settling.settle(free, outcomes, exchanges, places)
        record.taken = len(rows)
        for at, row in enumerate(rows if blocked else ()):
            if row.person in blocked:
                record.follow(row, at)
        if not working.limiter.ample:
            record.patient(PATIENT)
        lane.commit(record)
        if tried:
            tried.committed(outcomes)
        self._alarm(lane, settling.alarms)
        return not any(isinstance(o, Halt) or (isinstance(o, Retry) and o.whole) for o in outcomes)

    def _in_turn(self, lane: Lane, before: Sequence[str], rows: Sequence[Row]) -> int:
        """How many of the rows may go before what waits in other lanes; waits a little for some."""
        end = time.monotonic() + TURN_SECONDS
        while True:
            free = self._precedence.first(lane.connection, lane.name, before, rows)
            if free or time.monotonic() > end or self.stopping.wait(AFTER_OTHERS):
                return free

    def _alarm(self, lane: Lane, alarms: Iterable[tuple[str, str]]) -> None:
        """One loud line for each thing that rows begin to wait for; alerts tell of it meanwhile."""
        now = time.time()
        for code, whole in alarms:
            thing = whole[:LONGEST_THING]
            missing: Any = self.redis.pipeline()
            key = missing_key(lane.connection)
            missing.zremrangebyscore(key, "-inf", now)
            missing.zadd(key, {thing: now + MISSING})
            missing.expire(key, math.ceil(MISSING))
            if missing.execute()[1]:
                log.error("waiting_for", connection=lane.connection, code=code, what=thing)

    def _settling(self, lane: Lane, routes: Mapping[str, Route]) -> Settling:
        return Settling(
            lane.connection, lane.name, routes, self._settings, time.time(), random.random
        )

    @staticmethod
    def _spread(tasks: Sequence[Callable[[], None]]) -> None:
        # Threads of its own: those of a connection that waits for Klaviyo are no use to another one.
        side_by_side(tasks, THREADS)

    def _poll(self, lane: Lane, working: Working, job: str) -> None:
        """Ask what became of a job at Klaviyo and record the ends of its rows."""
        routes: Mapping[str, Route] = working.mappings.routes()
        submitted = lane.submitted(job)
        rows = [row for _key, row in submitted]
        routes = working.versions.routes(routes, rows)
        ends = self._ends_of(job, submitted, working, routes)
        if isinstance(ends, Retry):
            record = Record()
            record.poll(job, POLL_AGAIN if ends.after is None else max(0.5, ends.after))
            lane.commit(record)
        elif ends and isinstance(ends[0], Halt):
            lane.commit(self._settling(lane, routes).halt_job(job, ends[0]))
        else:
            lane.commit(self._settling(lane, routes).settle_job(job, rows, ends))
            people = [(row.person, row.route) for row in rows]
            job_committed(working.last_sent, people, ends, routes)

    @staticmethod
    def _ends_of(
        job: str,
        submitted: Sequence[tuple[bytes, Row]],
        working: Working,
        routes: Mapping[str, Route],
    ) -> list[Outcome] | Retry:
        """The ends of a job's rows, or when to ask again; rows of several mappings may share it."""
        known = [routes[row.route] for _key, row in submitted if row.route in routes]
        batch = known[0].action.batch if known else None
        if batch is None or batch.poll is None:
            return Retry("mapping_missing", after=LOOK_AGAIN) if submitted else []
        keys = [msgspec.json.decode(key) for key, _row in submitted]
        try:
            return batch.poll(job, keys, working.account())
        except (Ended, Unanswered, NoRoom) as error:
            outcome = outcome_of(error)
            return outcome if isinstance(outcome, Retry) else [outcome] * len(keys)
        except Exception as error:  # noqa: BLE001 the lane's other rows go on
            log.error("poll_failed", job=job, kind=type(error).__name__)
            return Retry("internal_error", after=POLL_AGAIN)

    def _probe(self, working: Working) -> None:
        """Ask whether a halted connection may go on, and let it."""
        try:
            outcome = working.destination.probe(working.account())
        except (Ended, Unanswered, NoRoom) as error:
            outcome = outcome_of(error)
        if isinstance(outcome, Halt | Retry):
            return
        self.redis.delete(f"{PREFIX}{working.name}:halt")
        for name in {route.lane for route in working.mappings.routes().values()}:
            self.redis.zadd(f"{PREFIX}due", {f"{working.name}\t{name}": 0})
        log.warning("connection_resumed", connection=working.name)


_worker: Worker | None = None


def install(worker: Worker) -> None:
    """Make ``worker`` the one that this process's ``send`` jobs run on."""
    global _worker  # noqa: PLW0603 RQ calls jobs by name, so what they work on must be found by name
    _worker = worker


def send(connection: str, lane: str) -> None:
    """The RQ job: work on one lane. Its arguments are names only; the rows stand in Redis."""
    if _worker is None:
        raise RuntimeError("this process is no worker; start one with `destination work`")
    _worker.take(connection, lane)
