"""The queue of wake-ups: what stands in it is names in JSON, and nothing else is taken from it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import redis
from rq.job import JobStatus
from rq.serializers import JSONSerializer

from destination.runtime.queue import SEND, SendWorker, queue


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
