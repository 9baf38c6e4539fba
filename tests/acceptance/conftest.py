"""A fresh installation for each test that asks for one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.guides import write_files
from tests.acceptance.stack import Stack
from tests.contract.openapi import DESCRIPTION, Contract, assert_requests_valid


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the SDKs for Node be run. Known only when tests of this folder are asked for by path."""
    parser.addoption(
        "--node", type=Path, default=None, help="folder in which npm has installed the Node SDKs"
    )


@pytest.fixture(scope="session")
def described() -> Contract | None:
    """Klaviyo's OpenAPI description, None where the file is not at hand."""
    return Contract.load() if DESCRIPTION.exists() else None


@pytest.fixture(scope="module")
def guided(described: Contract | None) -> Iterator[Stack]:
    """One installation, set up as all guides together say; its requests to Klaviyo are valid."""
    with tempfile.TemporaryDirectory(prefix="dst") as folder:
        found = Stack(Path(folder))
        write_files(found.folder)
        try:
            found.up()
            yield found
            if described:
                assert_requests_valid(described, found.requests())
        finally:
            found.down()


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
