"""One run: traffic, faults, and the judgement in the end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tests.chaos.evidence import Evidence
from tests.chaos.gathering import Observer, gather
from tests.chaos.installation import Installation
from tests.chaos.invariants.finding import Finding
from tests.chaos.poster import Pace, Poster
from tests.chaos.reconciler import reconcile, report
from tests.chaos.traffic import Message, Traffic

PATIENCE = 20.0
"""Seconds that a fault at the sandbox gets to be met."""


class Failed(AssertionError):
    """An invariant does not hold; the text is the reconciler's report."""


class Ordeal:
    """Posts traffic to an installation while it is mistreated, then judges all that it has done.

    May go through several rounds of posting; each judgement is about everything so far.
    """

    def __init__(self, installation: Installation, seed: int, *, people: int = 40) -> None:
        self.installation = installation
        self.seed = seed
        self.traffic = Traffic(seed, people)
        self.doomed: set[str] = set()
        self.doubtful: set[str] = set()
        self.observer = Observer(installation)
        self.findings: list[Finding] = []
        self._posting = False

    def start(self) -> None:
        """Start the installation, and to look at it."""
        self.installation.up()
        self.observer.start()

    def close(self) -> None:
        """Stop everything."""
        if self.observer.is_alive():
            self.observer.stop()
        self.installation.down()

    @contextlib.contextmanager
    def posting(
        self, messages: int | Sequence[Message], *, patience: float = 90, **how: Any
    ) -> Iterator[Poster]:
        """Post in the background while the block runs; returns when all is answered 2xx.

        One at a time: of two at once nobody could say whose message came first.
        """
        assert not self._posting, "two postings at once have no order"
        self._posting = True
        chosen = self.traffic.take(messages) if isinstance(messages, int) else messages
        pace = how.get("pace")
        poster = self.installation.poster(**how)
        poster.post(chosen)
        try:
            yield poster
        finally:
            self._posting = False
            if isinstance(pace, Pace):
                pace.end()
        if not poster.join(patience):
            raise Failed(f"{poster.answered()} of {len(poster.posted)} messages were accepted")

    def post(self, messages: int | Sequence[Message], **how: Any) -> None:
        """Post and return when all is answered 2xx."""
        with self.posting(messages, **how):
            pass

    def doom(self, messages: Iterable[Message]) -> None:
        """These cannot be delivered: they must end as dead letters, and nothing else may."""
        self.doomed |= {message.id for message in messages}

    def doubt(self, messages: Iterable[Message]) -> None:
        """These may end as dead letters, where their fault leaves no better way."""
        self.doubtful |= {message.id for message in messages}

    def settle(self, seconds: float = 60) -> Evidence:
        """Lift what is left of the faults, wait until nothing is pending, and gather."""
        self.installation.wait_ready()
        end = time.monotonic() + PATIENCE
        while self.installation.unmet() and time.monotonic() < end:
            if self.installation.drained(0.2):
                break  # nothing is left that could meet a fault
        self.installation.lift()
        lifted = time.time()
        drained = time.time() if self.installation.drained(seconds) else None
        # What Klaviyo does after its answer ends within a second; so do requests of the stopped.
        time.sleep(0.5)
        return gather(
            self.installation,
            observer=self.observer,
            doomed=self.doomed,
            doubtful=self.doubtful,
            lifted=lifted,
            drained=drained,
        )

    def judge(self, seconds: float = 60) -> str:
        """Settle and check every invariant; gives the report. Raises ``Failed`` with it."""
        evidence = self.settle(seconds)
        self.findings = reconcile(evidence)
        text = f"CHAOS_SEED={self.seed}\n{report(self.findings, evidence)}"
        if not all(finding.holds for finding in self.findings):
            raise Failed(f"{text}\n{self.installation.logs()}")
        return text
