"""The queue of wake-ups: what stands in it is names in JSON, and nothing else is taken from it."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from rq.job import JobStatus
from rq.serializers import JSONSerializer

from destination.runtime.queue import SEND, Scheduler, SendWorker, queue
from destination.runtime.store import PREFIX


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait for ``condition``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def refusals(client: redis.Redis) -> int:
    """How often Redis has refused a write since it was full."""
    found: Any = client.info("errorstats")
    return int(found.get("errorstat_OOM", {}).get("count", 0))


class Trap:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("junk", [None, b"", b"{}", b'["no.such.function", null, [], {}]'])
def test_a_job_that_is_none_of_ours_is_refused_and_the_next_is_done(
    client: redis.Redis, tmp_path: Path, junk: bytes | None
) -> None:
    """A pickled one is not loaded: whoever can write to Redis must not thereby run code."""
    jobs, trace = queue(client), tmp_path / "trace"
    bad, good = jobs.enqueue(SEND, "x", "y"), jobs.enqueue("builtins.len", "ab", result_ttl=60)
    assert bad.args == ("x", "y")
    data = junk if junk is not None else pickle.dumps((SEND, None, [Trap(trace)], {}))
    client.hset(f"rq:job:{bad.id}", "data", data)
    worker = SendWorker([jobs], connection=client, serializer=JSONSerializer)
    worker.work(burst=True, logging_level="CRITICAL")
    assert not trace.exists()
    assert jobs.count == 0
    assert good.get_status(refresh=True) == JobStatus.FINISHED


def test_no_lane_is_handed_out_while_redis_has_no_room_for_its_job(
    redis_url: str, client: redis.Redis
) -> None:
    """It would wait for its next turn meanwhile; so it stays due, and has its job once there is room."""
    due, now = f"{PREFIX}due", time.time() * 1000
    client.zadd(due, {"shop\tfirst": now, "shop\tsecond": now + 1000})
    before = refusals(client)
    client.config_set("maxmemory", 1)
    scheduler = Scheduler(redis_url, visibility=60)
    scheduler.start()
    try:
        until(lambda: time.time() * 1000 > now + 1000)
        known = refusals(client)
        assert known > before
        until(lambda: refusals(client) > known + 1)
        assert client.zscore(due, "shop\tsecond") == pytest.approx(now + 1000)
        client.config_set("maxmemory", 0)
        until(lambda: queue(client).count)
        (job,) = queue(client).jobs
        assert job.args == ["shop", "second"]
    finally:
        client.config_set("maxmemory", 0)
        scheduler.stop()
        scheduler.join(2)
