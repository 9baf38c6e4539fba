"""A fresh installation for each test that asks for one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.stack import Stack


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A fresh installation, with everything running."""
    with tempfile.TemporaryDirectory(prefix="dst") as folder:
        found = Stack(Path(folder))
        try:
            found.up()
            yield found
        finally:
            found.down()
