"""Jobs that Klaviyo works off after it has answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

QUEUED, PROCESSING, COMPLETE, CANCELLED = "queued", "processing", "complete", "cancelled"


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row of an import was not applied."""

    id: str
    row: int
    code: str
    title: str
    detail: str
    payload: Any


@dataclass(slots=True)
class Job:
    """One job of any kind; ``kind`` is its resource type. Times are seconds since 1970."""

    id: str
    number: int
    kind: str
    created: float
    total: int
    status: str = QUEUED
    done: int = 0
    failed: int = 0
    skipped: int = 0
    started: float | None = None
    completed: float | None = None
    expires: float | None = None
    lists: list[str] = field(default_factory=list)
    segments: list[str] = field(default_factory=list)
    profiles: list[str] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)


class Jobs:
    """All jobs of an account, by kind and id; a job is gone once it has expired."""

    def __init__(self) -> None:
        self._by_id: dict[tuple[str, str], Job] = {}

    def __iter__(self) -> Iterator[Job]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, identifier: str, kind: str, now: float, total: int, **details: Any) -> Job:
        """A new job, queued."""
        job = Job(identifier, len(self) + 1, kind, now, total, **details)
        self._by_id[kind, identifier] = job
        return job

    def get(self, kind: str, identifier: str, now: float) -> Job | None:
        """The job, unless it has expired."""
        job = self._by_id.get((kind, identifier))
        return None if job is None or (job.expires and job.expires <= now) else job

    def of(self, kind: str, now: float) -> list[Job]:
        """All jobs of a kind that have not expired, oldest first."""
        return [
            job
            for job in self._by_id.values()
            if job.kind == kind and not (job.expires and job.expires <= now)
        ]

    def forget(self, identifier: str) -> bool:
        """Make a job of whatever kind vanish; whether there was one."""
        keys = [key for key in self._by_id if key[1] == identifier]
        for key in keys:
            del self._by_id[key]
        return bool(keys)
