"""What is wrong with a mapping, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Place = tuple[str, ...]
"""The keys that lead from the top of a mapping to a part of it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding.

    ``path`` is the place inside the mapping, ``/email/@path``; ``message`` says what is wrong
    there, with the value seen and the remedy. ``mapping`` and ``file`` are set where a file is
    checked. An ``error`` keeps a mapping from being used, a ``warning`` does not.
    """

    path: str
    message: str
    severity: Literal["error", "warning"] = "error"
    mapping: str = ""
    file: str = ""

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.file, self.mapping, self.path) if part)
        return f"{where}: {self.severity}: {self.message}"


def path_text(place: Place) -> str:
    """A place as text: ``/a/b/@path``, and ``/`` for the top."""
    return "/" + "/".join(place)


def excerpt(value: object, limit: int = 60) -> str:
    """``value`` as it may stand in a message: one line of bounded length."""
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    text = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text[: limit + 1])
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
