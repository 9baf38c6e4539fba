"""Fixtures of the contract tests."""

from __future__ import annotations

import pytest

from tests.contract.openapi import DESCRIPTION, Contract


@pytest.fixture(scope="session")
def contract() -> Contract:
    """Klaviyo's OpenAPI description; skips where the file is not at hand."""
    if not DESCRIPTION.exists():
        pytest.skip(
            f"Klaviyo's OpenAPI description is not at {DESCRIPTION}; set DESTINATION_OPENAPI"
        )
    return Contract.load()
