"""RQ: the queue of wake-ups, the scheduler that fills it, the worker that empties it."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

import redis
from rq import Queue, SimpleWorker
from rq.exceptions import DeserializationError
from rq.serializers import JSONSerializer

from destination.runtime.alerts.alerting import Alerting
from destination.runtime.delivery.worker import Worker, install
from destination.runtime.erasure.erasing import Erasing
from destination.runtime.logs import log
from destination.runtime.store import PREFIX, Scripts, connect
from destination.settings import Settings

QUEUE = "destination"
TICK = 0.05
"""Seconds between two looks at the due lanes."""

SWEEP = 5.0
"""Seconds between two sweeps for lanes that nothing would wake."""

SWITCH = 0.0005
"""Seconds that a thread may hold the interpreter while others wait for it: a lane that only has an
answer to read must not stand in line behind each of those that map thousands of events.
"""

AHEAD = 64
"""Jobs that may wait in the queue; more would only be stale by the time they run."""

SEND = "destination.runtime.delivery.worker.send"


def queue(client: redis.Redis) -> Queue:
    """The one queue. One per worker process: with two, RQ can lose a job for good."""
    return Queue(QUEUE, connection=client, serializer=JSONSerializer)


class Scheduler(threading.Thread):
    """Turns due lanes into ``send`` jobs. Any number may run: handing out a lane is atomic."""

    def __init__(self, redis_url: str, *, visibility: float) -> None:
        super().__init__(name="scheduler", daemon=True)
        self._url = redis_url
        self._visibility = int(visibility * 1000)
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Hand out nothing more."""
        self._stopped.set()

    def run(self) -> None:
        """Until stopped, through any trouble with Redis."""
        full = False
        while not self._stopped.is_set():
            client = connect(self._url)
            try:
                if full:
                    # A lane handed out for a job that has no room would wait for its next turn;
                    # meanwhile workers find theirs without jobs.
                    client.set(f"{PREFIX}room", 1, ex=1)
                full = False
                self._serve(client)
            except redis.OutOfMemoryError:
                full = True
                self._stopped.wait(0.5)
            except Exception as error:  # noqa: BLE001 whatever it is, lanes must go on being handed out
                log.warning("scheduler_waits", error=type(error).__name__)
                self._stopped.wait(0.5)
            finally:
                client.close()

    def _serve(self, client: redis.Redis) -> None:
        scripts, jobs, ticks = Scripts(client), queue(client), 0
        while not self._stopped.wait(TICK):
            if ticks % int(SWEEP / TICK) == 0:
                self._sweep(scripts)
            ticks += 1
            room = AHEAD - jobs.count
            if room > 0:
                for member in scripts.run("dispatch", [PREFIX, room, self._visibility]):
                    connection, _, lane = member.decode().partition("\t")
                    jobs.enqueue(
                        SEND, connection, lane, result_ttl=0, failure_ttl=3600, job_timeout=-1
                    )

    @staticmethod
    def _sweep(scripts: Scripts) -> None:
        found = scripts.run("sweep", [PREFIX])
        if found:
            log.warning("lanes_swept", lanes=found)


class SendWorker(SimpleWorker):
    """An RQ worker whose job in hand ends early when the process is asked to stop."""

    worker: Worker

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Let the lane in hand be given back, then stop."""
        self.worker.stop()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]  # RQ's is untyped

    def handle_job_failure(self, job: Any, *args: Any, **kwargs: Any) -> None:
        """A failed wake-up is no failed delivery: say so and leave the lane to its due time."""
        try:
            log.error("job_failed", job=job.func_name, args=list(job.args))
        except DeserializationError:
            log.error("job_unreadable", id=job.id)  # not one of ours: nothing of it is looked at
        super().handle_job_failure(job, *args, **kwargs)


def _worker(settings: Settings, redis_url: str) -> Worker:
    """A worker, once Redis answers: it may be starting, or loading what it holds."""
    while True:
        try:
            return Worker(settings, redis_url)
        except redis.RedisError as error:
            log.info("waiting_for_redis", error=type(error).__name__)
            time.sleep(0.2)


def work(settings: Settings, redis_url: str) -> None:
    """Run one worker process until it is told to stop."""
    sys.setswitchinterval(SWITCH)
    worker = _worker(settings, redis_url)
    install(worker)
    _tune_garbage_collection()
    visibility = settings.lease + 5
    scheduler = Scheduler(redis_url, visibility=visibility)
    scheduler.start()
    alerting = Alerting(settings, redis_url)
    alerting.start()
    erasing = Erasing(settings, redis_url)
    erasing.start()
    try:
        while not worker.stopping.is_set():
            try:
                _run_jobs(worker, redis_url)
                if not worker.stopping.is_set():
                    log.error("worker_loop_ended", remedy="it begins anew")
                    worker.stopping.wait(0.5)
            except redis.OutOfMemoryError:
                _heed_signals(worker)
                # RQ writes before it works, so it cannot work on a full Redis; our scripts can.
                log.error("redis_full", remedy="the worker drains without RQ until there is room")
                _drain(worker, int(visibility * 1000))
            except redis.RedisError as error:
                _heed_signals(worker)
                log.warning("worker_waits_for_redis", error=type(error).__name__)
                worker.stopping.wait(0.5)
    finally:
        alerting.stop()
        erasing.stop()
        scheduler.stop()
        scheduler.join(2)
        worker.close()


def _tune_garbage_collection() -> None:
    # Measured: a batch is hundreds of thousands of objects that die together; to look at them again and again
    # took a sixth to a third of a worker's time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def _run_jobs(worker: Worker, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        rq = SendWorker(
            [queue(client)],
            connection=client,
            serializer=JSONSerializer,
            default_worker_ttl=20,
            maintenance_interval=5,
            job_monitoring_interval=5,
            log_job_description=False,
        )
        rq.worker = worker
        rq.work(logging_level="WARNING")


def _heed_signals(worker: Worker) -> None:
    """Stop when asked to, while RQ, which otherwise sees to that, does not run."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: worker.stop())


def _drain(worker: Worker, visibility: int) -> None:
    """Work on due lanes in this process until Redis takes writes again."""
    while not worker.stopping.is_set():
        for member in worker.scripts.run("dispatch", [PREFIX, 1, visibility]):
            connection, _, lane = member.decode().partition("\t")
            worker.send(connection, lane)
        try:
            worker.redis.set(f"{PREFIX}room", 1, ex=1)
        except redis.OutOfMemoryError:
            worker.stopping.wait(TICK)
        else:
            return
