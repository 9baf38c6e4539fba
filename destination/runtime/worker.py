"""RQ's side: the ``send`` job, and what a worker process keeps between jobs.

RQ jobs are wake-ups: ``send(connection, mapping)`` says that a lane has work. A job that is lost,
doubled or killed changes nothing but time, since lanes are due again after a while by themselves.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import redis

from destination.delivery import Halt, Outcome, Retry
from destination.errors import Ended, NoRoom, Unanswered
from destination.event import decode
from destination.pipeline import Delivery, Route, deliver, outcome_of, plan
from destination.runtime.connections import Exchange, Working
from destination.runtime.lanes import Lane, LeaseLost, Record
from destination.runtime.logs import log
from destination.runtime.settling import Settling, retry_of
from destination.runtime.store import PREFIX, Row, Scripts, connect
from destination.settings import Settings

JOB_SECONDS = 5.0
"""A job gives its lane back after this time, so that others get their turn."""

PASS_SECONDS = 20.0
"""No new request is started when a pass has lasted this long."""

THREADS = 8
"""Single-record requests under way at once; more only queue for the account's rate limit."""

GIVE_BACK = 20
"""Half-seconds for which a worker tries to give a lane back after Redis failed."""

MISSING_MAPPING = 30.0
"""Seconds until a lane looks again for its mapping, gone or disabled."""


class Worker:
    """Does the ``send`` jobs of one process."""

    def __init__(self, settings: Settings, redis_url: str) -> None:
        self._settings = settings
        self.redis = connect(redis_url)
        self.scripts = Scripts(self.redis)
        self._working: dict[str, Working] = {}
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="send")
        self.stopping = threading.Event()

    def close(self) -> None:
        """Let go of threads and connections."""
        self._pool.shutdown()
        for working in self._working.values():
            working.close()
        self.redis.close()

    def _connection(self, name: str) -> Working | None:
        if name not in self._working and name in self._settings.connections:
            connection = self._settings.connections[name]
            self._working[name] = Working(connection, self._settings, self.scripts)
        return self._working.get(name)

    def send(self, connection: str, mapping: str) -> None:
        """Work on one lane until it is empty, must wait, or has had its time."""
        working = self._connection(connection)
        if working is None:
            return  # another installation's lane; it stays due for whoever knows it
        self._reconnect()
        lane = Lane(self.scripts, connection, mapping, lease=self._settings.lease)
        try:
            taken = lane.begin()
            if taken.state == "halted" and taken.probe:
                self._probe(working)
            if taken.state == "taken":
                self._work(lane, working, taken.jobs)
        except LeaseLost:
            log.warning("lease_lost", connection=connection, mapping=mapping)
        except redis.RedisError as error:
            log.warning("redis_failed", connection=connection, mapping=mapping, error=str(error))
            self._give_back(lane)

    def _reconnect(self) -> None:
        """Find out now, not in the middle of a pass, that Redis has been restarted."""
        try:
            self.redis.ping()
        except redis.RedisError:
            self.redis.connection_pool.disconnect()

    def _give_back(self, lane: Lane) -> None:
        """After trouble with Redis: try for a while to free the lane, else its lease runs out."""
        for _ in range(GIVE_BACK):
            if self.stopping.wait(0.5):
                return
            try:
                lane.release()
                self.redis.zadd(f"{PREFIX}due", {lane.member: 0})
            except redis.RedisError:
                self.redis.connection_pool.disconnect()
            else:
                return

    def _work(self, lane: Lane, working: Working, jobs: Sequence[str]) -> None:
        end = time.monotonic() + JOB_SECONDS
        with lane.kept():
            for job in jobs:
                self._poll(lane, working, job)
            while time.monotonic() < end and not self.stopping.is_set():
                if not self._pass(lane, working):
                    break
        lane.release()

    def _route(self, lane: Lane, working: Working) -> Route | None:
        route = working.mappings.routes().get(lane.mapping)
        if route is not None and route.mapping.enabled:
            return route
        record = Record()
        record.hold(MISSING_MAPPING, "mapping_missing" if route is None else "mapping_disabled")
        lane.commit(record)
        return None

    def _pass(self, lane: Lane, working: Working) -> bool:
        """One read, plan, send, commit. False when there is nothing more to do now."""
        route = self._route(lane, working)
        if route is None:
            return False
        first = lane.read(1)
        if not first:
            return False
        # Rows that have failed as a batch are tried in ever smaller ones: a row that breaks the
        # whole request is alone in the end, and its mates are delivered.
        rows = lane.read(max(1, route.rows >> max(0, first[0].attempts - 2)))
        exchanges: dict[int, list[Exchange]] = {}
        blocked = lane.parked({row.person for row in rows})
        free = [row for row in rows if row.person not in blocked]
        outcomes = self._deliver(free, route, working, exchanges)
        settling = self._settling(lane, route)
        record = settling.settle(free, outcomes, exchanges)
        record.taken = len(rows)
        for row in rows:
            if row.person in blocked:
                record.park(row, 0)
        lane.commit(record)
        held = any(isinstance(o, Halt) or (isinstance(o, Retry) and o.whole) for o in outcomes)
        return not held

    def _settling(self, lane: Lane, route: Route) -> Settling:
        return Settling(lane.connection, route, self._settings, time.time(), random.random)

    def _deliver(
        self,
        rows: Sequence[Row],
        route: Route,
        working: Working,
        exchanges: dict[int, list[Exchange]],
    ) -> list[Outcome]:
        """Plan and send; every row gets an outcome, whatever goes wrong."""
        now = time.time()
        outcomes: list[Outcome | None] = [None] * len(rows)
        planned: list[Delivery] = []
        numbers: list[int] = []
        for number, row in enumerate(rows):
            try:
                payload = plan(decode(row.event), route, now)
            except Ended as ended:
                outcomes[number] = ended.outcome
                continue
            except Exception as error:  # noqa: BLE001 a fault of ours must not stop the lane
                log.exception("plan_failed", mapping=route.mapping.name, id=row.id)
                outcomes[number] = retry_of(error)
                continue
            planned.append(Delivery(row.person, payload))
            numbers.append(number)
        seen: dict[int, list[Exchange]] = {}
        account_for = working.account_for(seen, time.monotonic() + PASS_SECONDS)
        try:
            ends = deliver(
                planned,
                route.action,
                account_for,
                batched=route.mapping.batch.enabled,
                spread=self._spread,
            )
        except Exception as error:  # noqa: BLE001 as above
            log.exception("send_failed", mapping=route.mapping.name)
            ends = [retry_of(error)] * len(planned)
        for position, number in enumerate(numbers):
            outcomes[number] = ends[position]
            exchanges[number] = seen.get(position, [])
        assert all(outcome is not None for outcome in outcomes)
        return [outcome for outcome in outcomes if outcome is not None]

    def _spread(self, tasks: Sequence[Callable[[], None]]) -> None:
        if len(tasks) == 1:
            tasks[0]()
            return
        for future in [self._pool.submit(task) for task in tasks]:
            future.result()

    def _poll(self, lane: Lane, working: Working, job: str) -> None:
        """Ask what became of a job at Klaviyo and record the ends of its rows."""
        route = working.mappings.routes().get(lane.mapping)
        if route is None or route.action.batch is None or route.action.batch.poll is None:
            return
        submitted = lane.submitted(job)
        keys = [msgspec.json.decode(key) for key, _row in submitted]
        try:
            ends: list[Outcome] | Retry = route.action.batch.poll(job, keys, working.account())
        except (Ended, Unanswered, NoRoom) as error:
            found = outcome_of(error)
            ends = found if isinstance(found, Retry) else Retry("poll_failed", after=PASS_SECONDS)
        if isinstance(ends, Retry):
            record = Record()
            record.poll(job, 2.0 if ends.after is None else max(0.5, ends.after))
        else:
            rows = [row for _key, row in submitted]
            record = self._settling(lane, route).settle_job(job, rows, ends)
        lane.commit(record)

    def _probe(self, working: Working) -> None:
        """Ask whether a halted connection may go on, and let it."""
        try:
            outcome = working.destination.probe(working.account())
        except (Ended, Unanswered, NoRoom) as error:
            outcome = outcome_of(error)
        if isinstance(outcome, Halt | Retry):
            return
        self.redis.delete(f"{PREFIX}{working.name}:halt")
        for name in working.mappings.routes():
            self.redis.zadd(f"{PREFIX}due", {f"{working.name}\t{name}": 0})
        log.warning("connection_resumed", connection=working.name)


_worker: Worker | None = None


def install(worker: Worker) -> None:
    """Make ``worker`` the one that this process's ``send`` jobs run on."""
    global _worker  # noqa: PLW0603 RQ calls jobs by name, so what they work on must be found by name
    _worker = worker


def send(connection: str, mapping: str) -> None:
    """The RQ job: work on one lane. Its arguments are names only; the rows stand in Redis."""
    if _worker is None:
        raise RuntimeError("this process is no worker; start one with `destination work`")
    _worker.send(connection, mapping)
