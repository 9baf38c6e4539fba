"""What workers do with events of people who were erased before the events came to their turn."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from destination.event import encode
from destination.pipeline import Route
from destination.runtime.delivery.worker import Worker
from destination.runtime.erased import Erased
from destination.runtime.store import PREFIX, Row, Scripts
from destination.runtime.subject import subject
from destination.settings import load_settings
from tests.unit.runtime.accepting import accept
from tests.unit.runtime.test_worker import Fixed, Klaviyo, counts, mapping, run, whole


@pytest.fixture
def klaviyo() -> Klaviyo:
    """A Klaviyo that takes all."""
    return Klaviyo()


@pytest.fixture
def worker(tmp_path: Path, redis_url: str, scripts: Scripts, klaviyo: Klaviyo) -> Iterator[Worker]:
    """A worker with the mapping ``a``, and with ``no``, which takes back consent."""
    found = Worker(
        load_settings(folder=tmp_path, environ={}, sandbox_url="http://127.0.0.1:9"), redis_url
    )
    withdraws = dataclasses.replace(klaviyo.action("no"), withdraws=True)
    routes = {
        "a": Route(mapping("a", "a"), klaviyo.action("a"), whole),
        "no": Route(mapping("no", "no"), withdraws, whole),
    }
    found.working["default"].mappings = Fixed(routes)  # type: ignore[assignment]  # a fake
    yield found
    found.close()


def accepted(url: str, name: str, user: str, mapping_name: str = "a", **members: str) -> None:
    """An event is accepted."""
    body = encode({"messageId": name, "userId": user, **members})
    item = encode(Row(msgspec.Raw(body), name, "web", user))
    assert accept(url, (name, user, mapping_name), item=item) == "A"


def test_only_what_happened_before_the_erasure_is_dropped(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """Events of others, later ones, and whatever takes something back are delivered."""
    old, new = "2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
    accepted(redis_url, "old", "jane", timestamp=old)
    accepted(redis_url, "new", "jane", timestamp=new)
    accepted(redis_url, "other", "mary", timestamp=old)
    accepted(redis_url, "out", "jane", "no", timestamp=old)
    Erased(worker.redis, "default").note(subject({"user_id": "jane"}), time.time())
    run(worker)
    run(worker, "no")
    assert sorted(klaviyo.sent) == ["new", "other", "out"]
    found = counts(scripts)
    assert (found["delivered"], found["dropped"], found["pending"]) == (2, 1, 0)
    told = worker.redis.hget(f"{PREFIX}default:counts", "a|dropped:erased")
    assert told == b"1"
    assert counts(scripts, "no")["delivered"] == 1


def test_an_erased_event_that_comes_again_is_dropped_whatever_its_time(
    redis_url: str, worker: Worker, scripts: Scripts, klaviyo: Klaviyo
) -> None:
    """It is known by its id and its source."""
    Erased(worker.redis, "default").note_events([("web", "again"), ("app", "mine")], time.time())
    accepted(redis_url, "again", "jane", timestamp="2999-01-01T00:00:00Z")
    accepted(redis_url, "mine", "jane")
    run(worker)
    assert klaviyo.sent == ["mine"]
    assert counts(scripts)["dropped"] == 1
