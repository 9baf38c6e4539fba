"""A real Redis for the tests of everything that stands in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from destination.runtime.local.embedded import EmbeddedRedis
from destination.runtime.store import Scripts, connect


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """One server for the session; its folder is short, since socket paths are."""
    with tempfile.TemporaryDirectory(prefix="dst") as folder, EmbeddedRedis(Path(folder)) as server:
        yield server.url


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """An empty Redis."""
    client = connect(redis_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def scripts(client: redis.Redis) -> Scripts:
    """The scripts on an empty Redis."""
    return Scripts(client)
