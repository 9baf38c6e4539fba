"""How long rows wait after what was answered."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from destination.delivery import Retry
from destination.pipeline import backoff
from destination.runtime.delivery.settling import SEARCHING, Settling
from destination.runtime.store import Row
from destination.settings import load_settings

CHANCE = 0.75


def operations(folder: Path, outcome: Retry, attempts: int) -> list[object]:
    """What is recorded for one row that failed ``attempts`` times before."""
    settings = load_settings(folder=folder, environ={}, sandbox_url="http://127.0.0.1:9")
    settling = Settling("default", "a", {}, settings, 1_000.0, lambda: CHANCE)
    row = Row(msgspec.Raw(b"{}"), "e1", "web", "p", attempts=attempts, since=999.0, mapping="a")
    return settling.settle([row], [outcome], {}).operations


def waits(folder: Path, outcome: Retry, attempts: int) -> dict[str, int]:
    """Milliseconds for which the row is parked and the lane held."""
    told = operations(folder, outcome, attempts)
    after = {"park": 2, "hold": 1}
    return {
        what: int(str(told[told.index(what) + step]))
        for what, step in after.items()
        if what in told
    }


@pytest.mark.parametrize("attempts", [0, 3, 7])
@pytest.mark.parametrize("asked", [None, 0.2, 2.0, 900.0])
def test_an_answer_never_shortens_the_usual_wait(
    tmp_path: Path, attempts: int, asked: float | None
) -> None:
    """A failing Klaviyo that asks for a fifth of a second is not asked five times a second."""
    usual = backoff(attempts + 1, CHANCE)
    found = waits(tmp_path, Retry("klaviyo_unavailable", after=asked), attempts)
    assert found == {"park": int(max(usual, asked or 0) * 1000)}


@pytest.mark.parametrize("asked", [None, 0.2, 900.0])
def test_a_lane_that_waits_as_one_keeps_to_both(tmp_path: Path, asked: float | None) -> None:
    """It waits no longer than a search does, unless more was asked for; jitter is only added."""
    usual = min(backoff(4, CHANCE), SEARCHING)
    found = waits(tmp_path, Retry("klaviyo_unavailable", after=asked, whole=True), 3)
    least = max(usual, asked or 0) * 1000
    assert least <= found["hold"] <= least + 1000
