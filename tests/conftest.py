"""What every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

VECTORS = Path(__file__).parent / "cases" / "vectors"


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
