"""Rates of sources: what a flood is told, and that nobody else hears of it."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from destination.errors import Rejected
from destination.runtime.intake.floods import BURST_SECONDS, Bucket, Floods
from destination.settings import load_settings
from tests.unit.runtime.serving import Server, serving

EVENT = {"type": "track", "event": "Done", "userId": "u-1"}


@given(
    rate=st.floats(0.1, 1000),
    asked=st.lists(st.tuples(st.floats(0, 10), st.integers(1, 500)), max_size=60),
)
def test_no_stretch_of_time_lets_more_in_than_rate_and_burst(
    rate: float, asked: list[tuple[float, int]]
) -> None:
    """Beyond one batch, which may be larger than the bucket."""
    bucket, now, let_in = Bucket(rate, 0.0), 0.0, 0
    for pause, count in asked:
        now += pause
        if bucket.take(count, now) == 0:
            let_in += count
    largest = max((count for _pause, count in asked), default=0)
    assert let_in <= rate * (now + BURST_SECONDS) + 1 + largest


@given(rate=st.floats(0.1, 1000), count=st.integers(1, 5000), used=st.integers(0, 5000))
def test_who_waits_as_told_is_let_in(rate: float, count: int, used: int) -> None:
    """And not a moment before."""
    bucket = Bucket(rate, 0.0)
    bucket.take(used, 0.0)
    wait = bucket.take(count, 0.0)
    if wait:
        assert bucket.take(count, wait * 0.999 - 1e-9) > 0
        assert bucket.take(count, wait + 1e-6) == 0


def test_a_flood_is_told_when_to_come_again() -> None:
    """Whole seconds, at most a minute; a source without a rate is never told."""
    floods = Floods({"web": 10}, now=0.0)
    floods.admit("web", 20, 0.0)
    floods.admit("other", 1_000_000, 0.0)
    with pytest.raises(Rejected) as error:
        floods.admit("web", 5, 0.1)
    assert (error.value.status, error.value.code, error.value.retry_after) == (
        429,
        "rate_limited",
        1,
    )
    floods.admit("web", 5, 0.5)
    floods.admit("web", 5000, 30.0)
    with pytest.raises(Rejected) as error:
        floods.admit("web", 1, 31.0)
    assert error.value.retry_after == 60


def test_a_source_has_its_own_rate_or_that_of_all(tmp_path: Path) -> None:
    """The source's own wins."""
    (tmp_path / "destination.toml").write_text(
        'source_rate = 50\n[sources.shop]\nwrite_keys = "a"\nrate = 5\n'
        '[sources.web]\nwrite_keys = "b"\n'
    )
    assert load_settings(folder=tmp_path, environ={}).rates() == {"shop": 5, "web": 50}
    assert load_settings(folder=tmp_path / "nowhere", environ={}).rates() == {}


def test_a_flooding_source_is_refused_alone(
    tmp_path: Path, redis_url: str, client: redis.Redis
) -> None:
    """429 with Retry-After for it, 200 for its neighbour; what is refused is not counted."""
    toml = """
        [sources.flood]
        write_keys = "flood"
        rate = 3
        [sources.calm]
        write_keys = "calm"
        """
    with serving(tmp_path, redis_url, toml) as server:
        answers = [server.post("/v1/track", EVENT, auth=("flood", "")) for _number in range(20)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert {answer.status_code for answer in answers} == {200, 429}
        assert len(refused) >= 12
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert {answer.json()["code"] for answer in refused} == {"rate_limited"}
        calm = [server.post("/v1/track", EVENT, auth=("calm", "")) for _number in range(20)]
        assert {answer.status_code for answer in calm} == {200}
        assert server.source("flood")["received"] == 20 - len(refused)
        assert server.source("calm")["received"] == 20


def test_a_lane_that_is_full_refuses_those_who_would_join_it(
    tmp_path: Path, redis_url: str, client: redis.Redis
) -> None:
    """503 for them, 200 for everybody else, and for them again when there is room."""

    def until(server: Server, status: int) -> dict[str, Any]:
        """Post until the answer is this one."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            event = {**EVENT, "messageId": f"m-{next(numbers)}"}
            answer = server.post("/v1/track", event, auth=("k", ""))
            if answer.status_code == status:
                return {**answer.json(), **answer.headers}
        pytest.fail(f"no {status}")

    other, numbers = {"type": "identify", "userId": "u-1"}, itertools.count()
    with serving(
        tmp_path, redis_url, DESTINATION_WRITE_KEY="k", DESTINATION_LANE_LIMIT="5"
    ) as server:
        refused = until(server, 503)
        assert (refused["code"], refused["retry-after"]) == ("lane_full", "30")
        assert client.llen("destination:default:lane:test/events") > 5
        assert server.post("/v1/identify", other, auth=("k", "")).status_code == 200
        client.ltrim("destination:default:lane:test/events", 0, 2)
        until(server, 200)
