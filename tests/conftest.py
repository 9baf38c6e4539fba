"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

# How fast the machine is proves nothing, so no example has a deadline and drawing them may be slow.
# Explaining a failure traces every line that an example runs; where that is a long loop, the trace
# takes gigabytes.
settings.register_profile(
    "local",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
# CI draws the same examples every time, so that no merge hangs on luck; other runs draw new ones.
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")

VECTORS = Path(__file__).parent / "cases" / "vectors"


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name what is no text by its length: gzip writes the time down, and a test has one name in all
    the processes that collect it.
    """
    return f"{len(val)} bytes" if isinstance(val, bytes) and not val.isascii() else None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let another set of recorded cases of the same form be run."""
    parser.addoption(
        "--vectors", type=Path, default=VECTORS, help="folder of recorded cases (default: ours)"
    )


@pytest.fixture(scope="session")
def vectors(request: pytest.FixtureRequest) -> Path:
    """The folder of recorded cases."""
    folder: Path = request.config.getoption("--vectors")
    return folder
