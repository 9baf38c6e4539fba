"""A fresh installation for each test that asks for one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.stack import Stack
from tests.contract.openapi import DESCRIPTION, Contract, assert_requests_valid


@pytest.fixture(scope="session")
def described() -> Contract | None:
    """Klaviyo's OpenAPI description, None where the file is not at hand."""
    return Contract.load() if DESCRIPTION.exists() else None


@pytest.fixture
def stack(described: Contract | None) -> Iterator[Stack]:
    """A fresh installation, with everything running.

    Whatever a test does, every request it made Klaviyo is valid against Klaviyo's description.
    """
    with tempfile.TemporaryDirectory(prefix="dst") as folder:
        found = Stack(Path(folder))
        try:
            found.up()
            yield found
            if described:
                assert_requests_valid(described, found.requests())
        finally:
            found.down()
