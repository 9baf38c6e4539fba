"""Nobody's later message is overtaken by an earlier one: I6."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.chaos.evidence import UNSURE, Attempt, Evidence
from tests.chaos.invariants.finding import Finding
from tests.chaos.traffic import METRICS


@dataclass(frozen=True, slots=True)
class _Step:
    """The ``n``-th message posted, somebody's in one lane, in an applied request.

    ``alone`` is False where it may stand for earlier ones too, as in an import.
    """

    who: tuple[str, str]
    n: int
    mid: str
    attempt: Attempt
    alone: bool = True


def ordered(evidence: Evidence) -> Finding:
    """I6: per person and lane, what is applied for the first time never steps back.

    Rows that share a request have no order at Klaviyo. Nor may anything older be applied again
    once the newer was answered, unless whoever heard the answer was disturbed since.
    """
    finding = Finding("I6", "nobody's message overtakes an earlier one of theirs")
    newest: dict[tuple[str, str], _Step] = {}
    sure: dict[tuple[str, str], _Step] = {}
    seen: set[tuple[tuple[str, str], int]] = set()
    for steps in _applied(evidence):
        for step in steps:
            finding.checked += 1
            before, known = newest.get(step.who), sure.get(step.who)
            first = step.alone and (step.who, step.n) not in seen
            if first and before and step.n < before.n:
                finding.wrong(f"{_said(step)} was first applied after {_said(before)}", step.mid)
            elif known and step.n < known.n and not _unsure(evidence, known, step):
                finding.wrong(f"{_said(step)} was applied again after {_said(known)}", step.mid)
        for step in steps:
            seen.add((step.who, step.n))
            if step.who not in newest or newest[step.who].n < step.n:
                newest[step.who] = step
            if step.attempt.taken and (step.who not in sure or sure[step.who].n <= step.n):
                sure[step.who] = step
    return finding


def _said(step: _Step) -> str:
    return f"{step.mid or step.n} of {step.who[0]} (request {step.attempt.seq})"


def _unsure(evidence: Evidence, known: _Step, step: _Step) -> bool:
    return evidence.disturbed(known.attempt.t - 1, max(step.attempt.t, known.attempt.t + UNSURE))


def _applied(evidence: Evidence) -> Iterator[list[_Step]]:
    """What each applied request says about whom, request by request."""
    places = {mid: place for place, mid in enumerate(evidence.posted)}
    events: dict[int, list[_Step]] = defaultdict(list)
    for row in evidence.rows():
        if row.metric != METRICS["product"] and row.attempt.applied and row.mid in places:
            step = _Step((row.email, row.metric), places[row.mid], row.mid, row.attempt)
            events[row.attempt.seq].append(step)
    for attempt in evidence.attempts:
        if attempt.operation == "bulk_import_profiles" and attempt.applied:
            yield list(_imported(attempt, places))
        elif attempt.seq in events:
            yield events[attempt.seq]


def _imported(attempt: Attempt, places: Mapping[str, int]) -> Iterator[_Step]:
    for each in attempt.body["data"]["attributes"]["profiles"]["data"]:
        found = each["attributes"]
        mid = str((found.get("properties") or {}).get("mid"))
        if mid in places:
            who = (found.get("email", ""), "identify")
            yield _Step(who, places[mid], mid, attempt, alone=False)
