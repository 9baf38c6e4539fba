"""Every recorded case of Segment's mapping kit gives what it gave there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.mapping.mapping_cases import DEVIATIONS, answer, expected, parametrize, same


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each case."""
    parametrize(metafunc, "mapping-kit.json")


def test_mapping_gives_what_it_gives_at_segment(case: dict[str, Any]) -> None:
    """The same value or an error as there; deliberate deviations are listed by rule."""
    ours, theirs = answer(case), expected(case)
    if same(ours, theirs):
        return
    excused = [rule for rule, applies in DEVIATIONS.items() if applies(case)]
    assert case.get("tags"), f"gave {ours!r}, Segment {theirs!r}"
    assert excused, f"gave {ours!r}, Segment {theirs!r}, and no deviation is listed for it"
