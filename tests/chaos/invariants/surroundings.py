"""What surrounds the deliveries: I13 to I18."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tests.chaos.evidence import Evidence, about_server
from tests.chaos.invariants.finding import Finding

BOUNDS = {"rss": 400_000_000, "fds": 400, "threads": 80}
"""What one process may use."""

LONGEST_ANSWER = 3.0
"""Seconds for an answer, generous on a busy machine; the server means to answer within two."""

HEALED_WITHIN = 60.0

UNAWARE = 2.5
"""Seconds for which /ready may say yes while one after the other is refused: the server looks twice a
second, for up to 1.5 s, and we look at it twice a second.
"""


def bounded(evidence: Evidence) -> Finding:
    """I13: memory, descriptors and threads stay under their caps, and so do answering times."""
    finding = Finding("I13", "memory, descriptors, threads and answering times are bounded")
    worst: dict[tuple[str, str], int] = defaultdict(int)
    for usage in evidence.usage:
        for what in BOUNDS:
            worst[usage.name, what] = max(worst[usage.name, what], getattr(usage, what))
    for (name, what), value in worst.items():
        finding.checked += 1
        if value > BOUNDS[what]:
            finding.wrong(f"{name} used {value} {what}, at most {BOUNDS[what]}")
    for each in evidence.trips:
        finding.checked += 1
        if each.status and each.seconds > LONGEST_ANSWER and not _paused(evidence, each.t):
            finding.wrong(f"status {each.status} came after {each.seconds:.1f} s")
    return finding


def _paused(evidence: Evidence, t: float) -> bool:
    """Whether the server itself was stopped or started about that time."""
    return any(
        about_server(what) and t - 2 <= when <= t + 10 for when, what in evidence.disturbances
    )


def secret(evidence: Evidence) -> Finding:
    """I14: what was planted appears nowhere that an outsider may look."""
    finding = Finding("I14", "no secret and no personal datum is shown")
    for where, text in evidence.texts.items():
        for canary in evidence.canaries:
            finding.checked += 1
            at = text.find(canary)
            if at >= 0:
                finding.wrong(f"{canary} in {where}: ...{text[max(0, at - 60) : at + 60]!r}...")
    return finding


def closed(evidence: Evidence) -> Finding:
    """I15: a stranger is let in nowhere."""
    finding = Finding("I15", "closed routes are closed to strangers")
    for route, status in evidence.doors.items():
        finding.checked += 1
        if status not in {401, 403, 404, 405}:
            finding.wrong(f"{route} answered a stranger {status}")
    return finding


def healed(evidence: Evidence) -> Finding:
    """I16: with the faults lifted and everything posted, nothing is pending soon after."""
    finding = Finding("I16", f"all is delivered within {HEALED_WITHIN:g} s of the last fault")
    finding.checked += 1
    last = max((each.t for each in evidence.attempts if each.fault), default=0.0)
    if evidence.drained is None:
        totals = evidence.counts["connections"][evidence.connection]
        finding.wrong(f"{totals['pending']} deliveries are still pending")
    elif evidence.drained - max(last, evidence.lifted) > HEALED_WITHIN:
        finding.wrong(f"it took {evidence.drained - max(last, evidence.lifted):.1f} s")
    return finding


def honest(evidence: Evidence) -> Finding:
    """I17: /ready says no while events are refused, and who is refused hears when to come again."""
    finding = Finding("I17", "/ready is false while events are refused")
    trips = sorted(evidence.trips, key=lambda each: each.t)
    streaks: list[tuple[float, float]] = []
    start: float | None = None
    for each in trips:
        if each.status == 503:
            start = each.t if start is None else start
        elif 200 <= each.status < 300 and start is not None:
            streaks.append((start, each.t))
            start = None
    for each in trips:
        if each.status in {429, 503}:
            finding.checked += 1
            if not each.retry_after.isdigit():
                finding.wrong(f"a {each.status} does not say when to come again")
    for begin, end in streaks:
        said = [each for each in evidence.readiness if begin < each[0] < end]
        refused = [(each.t, 0) for each in trips if begin <= each.t < end and each.status == 503]
        finding.checked += len(said)
        span = _refused_while_ready(sorted([*said, *refused]))
        if span > UNAWARE:
            finding.wrong(f"/ready said 200 for {span:.1f} s of {end - begin:.1f} s of 503")
    return finding


def _refused_while_ready(steps: Iterable[tuple[float, int]]) -> float:
    """The longest time between two refusals (status 0) with nothing but 200 from /ready around."""
    longest, first, ready = 0.0, None, False
    for t, status in steps:
        if status:
            ready, first = status == 200, first if status == 200 else None
        elif ready:
            first = t if first is None else first
            longest = max(longest, t - first)
    return longest


def fired(evidence: Evidence) -> Finding:
    """I18: each fault was met; a fault that nothing met proves nothing."""
    finding = Finding("I18", "every fault has fired")
    for name, times in evidence.fired.items():
        finding.checked += 1
        if not times:
            finding.wrong(f"{name} met nothing")
    return finding
