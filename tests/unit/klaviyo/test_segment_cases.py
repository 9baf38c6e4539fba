"""Every recorded case of Segment's Klaviyo destination: the same requests, the same ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.klaviyo.segment_cases import comparable, ours_in_short, run, theirs_in_short
from tests.unit.klaviyo.segment_ends import ends_otherwise
from tests.unit.klaviyo.segment_forms import recorded, same, seen
from tests.unit.klaviyo.segment_rules import deviate


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each recorded case, from the folder that ``--vectors`` names."""
    if "case" in metafunc.fixturenames:
        folder: Path = metafunc.config.getoption("--vectors")
        cases = json.loads((folder / "klaviyo-actions.json").read_text())
        metafunc.parametrize("case", cases, ids=[case["id"] for case in cases])


def test_requests_are_segments_but_for_the_deviations(case: dict[str, Any]) -> None:
    """Method, path, filter and body agree, once every deliberate deviation is taken out."""
    done = run(case)
    assert len(done.outcomes) == len(case["events"])
    if not comparable(case):
        return
    ours, theirs = deviate(
        case, list(map(seen, done.requests)), list(map(recorded, case["requests"]))
    )
    assert same(ours, theirs), (ours, theirs)


def test_each_event_ends_as_at_segment(case: dict[str, Any]) -> None:
    """Done, waiting or refused."""
    if not comparable(case):
        return
    for outcome, theirs in zip(run(case).outcomes, theirs_in_short(case), strict=True):
        assert ours_in_short(outcome) == theirs or ends_otherwise(case, outcome), outcome
