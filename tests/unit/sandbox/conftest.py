"""Fixtures of the sandbox's tests."""

from __future__ import annotations

import pytest

from tests.contract.openapi import DESCRIPTION, Contract
from tests.unit.sandbox.api import Api


@pytest.fixture(scope="session")
def maybe_contract() -> Contract | None:
    """Klaviyo's description where it is at hand: then every answer in these tests is checked."""
    return Contract.load() if DESCRIPTION.exists() else None


@pytest.fixture
def api(maybe_contract: Contract | None) -> Api:
    """A fresh sandbox with a clock that stands still."""
    return Api(contract=maybe_contract)
