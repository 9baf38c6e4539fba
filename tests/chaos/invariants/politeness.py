"""Klaviyo is asked no more often than it allows: I9, I10, I12."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from importlib import resources
from math import ceil, log2

import msgspec

from tests.chaos.evidence import UNSURE, Attempt, Evidence
from tests.chaos.invariants.finding import Finding
from tests.chaos.traffic import METRICS

IN_FLIGHT = 0.4
"""Seconds after a 429 in which requests may still arrive that were on their way when it came."""

WINDOWS = {"burst": 1, "steady": 60}


@cache
def limits() -> dict[str, dict[str, int]]:
    """``burst`` and ``steady`` of each operation, as the sandbox has them from Klaviyo."""
    text = (resources.files("destination.sandbox") / "description.json").read_bytes()
    return {each["id"]: each for each in msgspec.json.decode(text)["operations"]}


def polite(evidence: Evidence) -> Finding:
    """I9: no fixed window holds more requests than allowed, and none comes within Retry-After."""
    finding = Finding("I9", "no more requests than allowed, none before Retry-After is over")
    by_operation: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in evidence.attempts:
        by_operation[attempt.key, attempt.operation].append(attempt)
    for (_key, operation), attempts in by_operation.items():
        if operation in limits():
            _windows(operation, attempts, finding)
            _pauses(evidence, operation, attempts, finding)
    return finding


def _windows(operation: str, attempts: list[Attempt], finding: Finding) -> None:
    for name, seconds in WINDOWS.items():
        most = limits()[operation][name]
        for start, count in Counter(int(each.t // seconds) for each in attempts).items():
            finding.checked += 1
            if count > most:
                finding.wrong(f"{count} {operation} in the {seconds} s from {start * seconds}")


def _pauses(evidence: Evidence, operation: str, attempts: list[Attempt], finding: Finding) -> None:
    until = since = 0.0
    for attempt in attempts:
        finding.checked += 1
        if since + IN_FLIGHT < attempt.t < until - 0.01:
            finding.wrong(
                f"{operation} (request {attempt.seq}) came {attempt.t - since:.2f} s after a 429"
                f" that asked for {until - since:.2f} s"
            )
        if attempt.status == 429:
            asked = _asked(evidence, attempt)
            if asked is None:
                if not attempt.fault:
                    finding.wrong(f"{operation} (request {attempt.seq}) was over the limit")
                continue
            if attempt.t >= until:
                since = attempt.t
            until = max(until, attempt.t + asked)


def _asked(evidence: Evidence, attempt: Attempt) -> float | None:
    """The seconds of Retry-After in a 429 given on purpose; None when unknown or unreadable."""
    text = ""
    if attempt.rule:
        text = str(evidence.rules.get(attempt.rule, {}).get("retry_after") or "")
    elif attempt.fault.startswith("429"):
        text = attempt.fault.partition(":")[2] or "1"
    try:
        found = float(text)
    except ValueError:
        return None
    return found if 0 <= found < 1e6 else None


def budgeted(evidence: Evidence) -> Finding:
    """I10: nothing is sent again after it was answered, and no budget was spent.

    An order is one delivery and several requests, so it may be sent again from the start.
    """
    finding = Finding("I10", "no attempt after the end, no budget spent early")
    for letter in evidence.dead:
        finding.checked += 1
        if letter["code"] == "exhausted":
            finding.wrong(f"{letter['id']} was given up: {letter['message'][:120]}")
    taken: dict[tuple[str, str, object], int] = {}
    sure: dict[int, bool] = {}
    for row in evidence.rows():
        finding.checked += 1
        key, attempt = (row.mid, row.metric, row.line), row.attempt
        if key in taken:
            text = f"{key} was sent again after request {taken[key]} had been answered"
            finding.wrong(text, row.mid)
        elif attempt.taken and row.metric == METRICS["track"]:
            if attempt.seq not in sure:
                sure[attempt.seq] = not evidence.disturbed(attempt.t - 1, attempt.t + UNSURE)
            if sure[attempt.seq]:
                taken[key] = attempt.seq
    return finding


def poison(evidence: Evidence) -> Finding:
    """I12: a bad row costs at most ``ceil(log2 n) + 2`` further requests.

    A worker that is disturbed may have to search once more.
    """
    finding = Finding("I12", "a bad row costs few requests and no neighbour")
    refused = [
        each
        for each in evidence.attempts
        if each.operation == "bulk_create_events" and each.status == 400
    ]
    if not refused:
        return finding
    sizes = Counter[int]()
    bad: set[str] = set()
    for row in evidence.rows():
        sizes[row.attempt.seq] += 1
        if row.mid in evidence.doomed:
            bad.add(row.mid)
    most = max(sizes[each.seq] for each in refused)
    bound = max(1, len(bad)) * (ceil(log2(max(2, most))) + 2)
    finding.checked += len(refused)
    for count in Counter(_calm(evidence, each.t) for each in refused).values():
        if count > bound:
            finding.wrong(f"{count} refused requests for {len(bad)} bad rows, at most {bound}")
    return finding


def _calm(evidence: Evidence, t: float) -> int:
    """The number of the calm between two disturbances of workers or Redis in which ``t`` lies."""
    return sum(
        when < t and ("work" in what or "redis" in what) for when, what in evidence.disturbances
    )
