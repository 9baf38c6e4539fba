"""The order lane: fifty people, forty messages each, every message with its own list of failures."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from click import echo as say

from tests.chaos.installation import Installation
from tests.chaos.ordeal import Ordeal
from tests.chaos.reconciler import reconcile, report
from tests.chaos.traffic import Message, message

PEOPLE, MESSAGES = 50, 40
SCRIPTS = (
    ["500"],
    ["500", "500"],
    ["429:0.3"],
    ["reset_before_apply"],
    ["reset_after_apply"],
    ["500_after_apply", "reset_before_apply"],
    ["html:502", "500"],
    ["503", "429:0.2", "reset_after_apply"],
)
SMALL = {"size": 50}
"""Batches in which few messages share a failure."""

FAILING = {True: 0.05, False: 0.1}
"""Share of messages that fail, by whether they travel in batches."""


def run(seed: int, *, batched: bool) -> bool:
    """No message overtakes an earlier one of its person. True when every invariant holds."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        ordeal = Ordeal(
            Installation(Path(folder), batch=SMALL if batched else {"enabled": False}), seed
        )
        try:
            ordeal.start()
            ordeal.post(_messages(rng, FAILING[batched]), threads=4)
            evidence = ordeal.settle(400)
        finally:
            ordeal.close()
    findings = reconcile(evidence)
    failed = sum(bool(each.fault) for each in evidence.attempts)
    how = "in batches" if batched else "one by one"
    say(f"{how}: {len(evidence.attempts)} requests, {failed} of them failed on purpose")
    say(report(findings, evidence))
    return all(finding.holds for finding in findings)


def _messages(rng: random.Random, failing: float) -> list[Message]:
    """Everybody's messages in order, the people shuffled among each other."""
    turns = [person for person in range(PEOPLE) for _ in range(MESSAGES)]
    rng.shuffle(turns)
    return [
        message(
            "track",
            n,
            person,
            script=rng.choice(SCRIPTS) if rng.random() < failing else (),
        )
        for n, person in enumerate(turns)
    ]
