"""Small files that a command keeps between its runs: written whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from destination.errors import SettingsError
from destination.event import decode, encode


class Saved:
    """One JSON object in one file, which only its owner may read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any] | None:
        """What was saved last, None when there is nothing that can be read."""
        try:
            found = decode(self.path.read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def write(self, document: dict[str, Any]) -> None:
        """Save: after a crash the file holds this document or the one before, never a part."""
        beside = self.path.with_suffix(".new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(encode(document))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)

    def forget(self) -> None:
        """Remove the file, if it is there."""
        self.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """While no other process does the same. Raises ``SettingsError`` when one does already.

        The folder is made if it is not there.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self.path.with_suffix(".lock")
        with lock.open("wb") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SettingsError(
                    f"{what} is under way already in another process; wait for its end"
                ) from None
            yield
