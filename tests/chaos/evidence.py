"""What a run has left behind: plain records, gathered once, that the invariants are judged by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from destination.sandbox.ledger import Entry, read
from tests.chaos.poster import Posted, Try

Json = dict[str, Any]

UNSURE = 12.0
"""Seconds before a disturbance within which its victim may have lost an answer it was given, and
then does again what it had done.
"""

EVENTS = ("create_event", "bulk_create_events")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request at the sandbox. ``status`` 0: the connection was cut. ``fault`` is what was done
    to it on purpose, ``rule`` the number of the rule that did.
    """

    seq: int
    t: float
    operation: str
    status: int
    applied: bool
    fault: str
    rule: int
    body: Any
    key: str = ""
    account: str = ""

    @property
    def taken(self) -> bool:
        """Applied, and its sender was told so."""
        return self.applied and 200 <= self.status < 300 and not self.fault


@dataclass(frozen=True, slots=True)
class Row:
    """One event within a request to the event endpoints."""

    attempt: Attempt
    metric: str
    unique_id: str
    email: str
    properties: Json

    @property
    def mid(self) -> str:
        """The messageId of the event that it was made of."""
        return str(self.properties.get("mid", ""))

    @property
    def line(self) -> Any:
        """The product's line of an order, None for everything else."""
        return self.properties.get("line")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process used at an instant."""

    t: float
    name: str
    rss: int
    fds: int
    threads: int


@dataclass(slots=True)
class Evidence:
    """Everything that the reconciler looks at.

    ``posted`` by messageId; ``state``, ``counts``, ``dead``, ``metrics`` after the run;
    ``deliveries`` the workers' log lines; ``disturbances`` (time, what) of all that was done to
    processes and cables; ``fired`` how often each fault was met; ``doomed`` the messages that must
    end as dead letters, ``doubtful`` those that may; ``texts`` whatever an outsider may see, by name; ``doors`` the status that
    a stranger got from each closed route; ``readiness`` (time, status of /ready); ``deaths`` the
    processes that ended without being told to, which is allowed where a supervisor restarts them.
    """

    posted: Mapping[str, Posted]
    trips: list[Try]
    attempts: list[Attempt]
    state: Json
    counts: Json
    dead: list[Json]
    metrics: str = ""
    connection: str = "default"
    deliveries: list[Json] = field(default_factory=list)
    disturbances: list[tuple[float, str]] = field(default_factory=list)
    fired: dict[str, int] = field(default_factory=dict)
    rules: dict[int, Json] = field(default_factory=dict)
    doomed: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    canaries: tuple[str, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)
    doors: dict[str, int] = field(default_factory=dict)
    readiness: list[tuple[float, int]] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)
    lifted: float = 0.0
    drained: float | None = None
    _known_troubles: list[tuple[float, float]] | None = None

    def disturbed(self, begin: float, end: float) -> bool:
        """Whether anything but the server was disturbed at some moment between."""
        return any(since <= end and until >= begin for since, until in self._troubles())

    def _troubles(self) -> list[tuple[float, float]]:
        """When each disturbance began and ended; a kill is a moment."""
        if self._known_troubles is None:
            found = []
            for t, what in self.disturbances:
                if about_server(what) or what.startswith(("end of", "SIGCONT")):
                    continue
                name = what.replace("SIGSTOP", "SIGCONT") if "SIGSTOP" in what else f"end of {what}"
                later = [when for when, said in self.disturbances if said == name and when >= t]
                found.append((t, later[0] if later else t))
            self._known_troubles = found
        return self._known_troubles

    def rows(self) -> Iterator[Row]:
        """Every event in every request to the event endpoints, in the order of arrival."""
        for attempt in self.attempts:
            if attempt.operation in EVENTS:
                yield from _rows(attempt)


def about_server(what: str) -> bool:
    """Whether a disturbance concerns a server: ``SIGTERM serve``, ``SIGKILL serve-2``."""
    return what.rpartition(" ")[2].partition("-")[0] == "serve"


def attempts_in(ledger: Path) -> list[Attempt]:
    """The API requests in a sandbox's ledger."""
    return [_attempt(entry) for entry in read(ledger) if entry.kind == "api"]


def _attempt(entry: Entry) -> Attempt:
    body = None if entry.body is msgspec.UNSET else msgspec.json.decode(entry.body)
    return Attempt(
        entry.seq,
        entry.t,
        entry.operation,
        entry.status,
        entry.applied,
        entry.fault,
        entry.rule,
        body,
        entry.key,
        entry.account,
    )


def _rows(attempt: Attempt) -> Iterator[Row]:
    data = (attempt.body or {}).get("data", {})
    if attempt.operation == "create_event":
        yield _row(attempt, data["attributes"], data["attributes"]["profile"])
        return
    for each in data["attributes"]["events-bulk-create"]["data"]:
        for event in each["attributes"]["events"]["data"]:
            yield _row(attempt, event["attributes"], each["attributes"]["profile"])


def _row(attempt: Attempt, event: Json, profile: Json) -> Row:
    who = profile["data"]["attributes"]
    return Row(
        attempt,
        event["metric"]["data"]["attributes"]["name"],
        event.get("unique_id", ""),
        who.get("email", ""),
        event.get("properties", {}),
    )
