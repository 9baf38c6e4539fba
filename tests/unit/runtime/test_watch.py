"""The watch says no while Redis would, so that nobody is told yes in vain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from destination.errors import Rejected
from destination.runtime.intake.accept import accept_client
from destination.runtime.watch import EVERY, Trouble, Watch
from destination.settings import load_settings
from tests.acceptance.stack import free_port


@pytest.fixture
def unwritable(client: redis.Redis) -> Iterator[None]:
    """Redis answers as ever and refuses every write; its INFO tells neither that nor why."""
    client.config_set("min-replicas-to-write", 1)
    yield
    client.config_set("min-replicas-to-write", 0)


def first_look(redis_url: str, folder: Path) -> Trouble | None:
    """What the watch has found when the server begins to listen."""

    async def look() -> Trouble | None:
        client = accept_client(redis_url)
        watch = Watch(client, load_settings(folder=folder, environ={}))
        await watch.start()
        found = watch.trouble
        watch.stop()
        with pytest.raises(Rejected, match="stopping"):
            watch.check()
        await client.aclose()
        return found

    return asyncio.run(look())


@pytest.mark.usefixtures("unwritable")
def test_a_redis_that_takes_no_writes_is_noticed(redis_url: str, tmp_path: Path) -> None:
    """With the reason that it gives itself."""
    trouble = first_look(redis_url, tmp_path)
    assert trouble is not None
    assert trouble.code == "queue_unavailable"
    assert "NOREPLICAS" in trouble.message


def test_a_look_at_a_redis_that_is_well_leaves_nothing_behind(
    redis_url: str, client: redis.Redis, tmp_path: Path
) -> None:
    """Not in its append-only file either: twice a second is often."""

    def changes() -> int:
        info: Any = client.info("persistence")
        return int(info["rdb_changes_since_last_save"])

    before = changes()
    assert first_look(redis_url, tmp_path) is None
    assert changes() == before
    assert client.dbsize() == 0


@pytest.fixture
def tcp(client: redis.Redis) -> Iterator[str]:
    """The same Redis by TCP, where redis-py does not see that an idle connection has ended."""
    port = free_port()
    client.config_set("port", port)
    yield f"redis://127.0.0.1:{port}"
    client.config_set("port", 0)


def test_a_connection_that_ended_while_nobody_used_it_is_no_trouble(
    tcp: str, client: redis.Redis, tmp_path: Path
) -> None:
    """As those end that a Redis with a ``timeout``, or a firewall, takes for forgotten."""

    async def troubles() -> list[Trouble]:
        asking = accept_client(tcp)
        watch = Watch(asking, load_settings(folder=tmp_path, environ={}))
        await watch.start()
        client.client_kill_filter(_type="normal", skipme=True)
        seen, end = [], time.monotonic() + 2 * EVERY
        while time.monotonic() < end:
            await asyncio.sleep(EVERY / 10)
            if watch.trouble:
                seen.append(watch.trouble)
        watch.stop()
        await asking.aclose()
        return seen

    assert asyncio.run(troubles()) == []
