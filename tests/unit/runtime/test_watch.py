"""The watch says no while Redis would, so that nobody is told yes in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from destination.errors import Rejected
from destination.runtime.intake.accept import accept_client
from destination.runtime.watch import Trouble, Watch
from destination.settings import load_settings


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
