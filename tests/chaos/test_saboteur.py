"""The deliberate bugs still fit the product: a sabotage that does nothing would prove nothing."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.acceptance.stack import ROOT
from tests.chaos.__main__ import LANES, kept_seeds
from tests.chaos.bugs import BUGS
from tests.chaos.sabotage import LANE


def test_every_bug_and_every_point_of_death_can_be_put_in() -> None:
    """What they replace is there as they expect it."""
    found = subprocess.run(
        [sys.executable, "-m", "tests.chaos.saboteur", "--check"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert found.stderr == ""
    assert found.returncode == 0


def test_every_bug_has_its_scenario() -> None:
    """None is written and never used."""
    assert set(BUGS) == set(LANE)
    assert len(BUGS) >= 10


def test_kept_seeds_can_be_read() -> None:
    """Of every lane."""
    for lane in LANES:
        assert all(seed >= 0 for seed in kept_seeds(lane))
