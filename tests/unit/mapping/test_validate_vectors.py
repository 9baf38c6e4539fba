"""Every recorded case of Segment's mapping validation ends as it did there."""

from __future__ import annotations

from typing import Any

import pytest

from destination.mapping import check_mapping
from tests.unit.mapping.mapping_cases import parametrize


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each case."""
    parametrize(metafunc, "mapping-validate.json")


def test_check_finds_what_segment_finds(case: dict[str, Any]) -> None:
    """The same mappings are valid, and the others are wrong at the same places."""
    places = sorted(problem.path for problem in check_mapping(case["mapping"]))
    assert places == case.get("error_paths", [])
    assert (places == []) == case["valid"]
