"""Every reason that we or Klaviyo can give for an end or a wait: cause and remedy.

One source for docs, console, logs and dead letters.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """``cause`` says what it means, ``remedy`` what a person can do about it."""

    cause: str
    remedy: str


CATALOGUE: dict[str, Reason] = {}


def remedy(code: str) -> str:
    """What to do about ``code``; empty when nothing needs doing or the code is unknown."""
    reason = CATALOGUE.get(code)
    return reason.remedy if reason else ""
