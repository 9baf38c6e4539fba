"""An installation that several tests mistreat one after the other."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.installation import Installation
from tests.chaos.ordeal import Ordeal


class Shared:
    """Gives the ordeal in use; a new one after a test has failed, since the old one is spoilt."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._ordeal: Ordeal | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def get(self) -> Ordeal:
        """The ordeal, started when there is none."""
        if self._ordeal is None:
            self._folder = tempfile.TemporaryDirectory(prefix="chaos")
            installation = Installation(Path(self._folder.name))
            self._ordeal = Ordeal(installation, self._seed)
            try:
                self._ordeal.start()
            except BaseException:
                self.drop()
                raise
        return self._ordeal

    def drop(self) -> None:
        """Stop it and forget it."""
        if self._ordeal is not None:
            self._ordeal.close()
            self._ordeal = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    """One installation for a module; CHAOS_SEED chooses its traffic."""
    found = Shared(int(os.environ.get("CHAOS_SEED", "1")))
    yield found
    found.drop()


@pytest.fixture
def ordeal(shared: Shared) -> Iterator[Ordeal]:
    """The module's ordeal; whoever fails leaves a fresh one to the next test."""
    found = shared.get()
    yield found
    if not found.findings or not all(finding.holds for finding in found.findings):
        shared.drop()
    found.findings = []
