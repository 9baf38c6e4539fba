"""Judges a run by what it left behind: one line per invariant, and the histories of what failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tests.chaos.evidence import Evidence
from tests.chaos.histories import history
from tests.chaos.invariants import conservation, effects, order, politeness, surroundings
from tests.chaos.invariants.finding import Finding

INVARIANTS: tuple[Callable[[Evidence], Finding], ...] = (
    conservation.durable,
    conservation.conserved,
    effects.invented,
    effects.once,
    effects.latest,
    order.ordered,
    effects.memberships,
    effects.consent,
    politeness.polite,
    politeness.budgeted,
    politeness.poison,
    surroundings.bounded,
    surroundings.secret,
    surroundings.closed,
    surroundings.healed,
    surroundings.honest,
    surroundings.fired,
)
"""I1 to I18 but I11, which needs two runs to compare (isolation.py)."""

HISTORIES = 5


def reconcile(evidence: Evidence) -> list[Finding]:
    """Check every invariant."""
    return [invariant(evidence) for invariant in INVARIANTS]


def report(findings: Sequence[Finding], evidence: Evidence) -> str:
    """A line per invariant, then what is wrong, then the histories of the first messages concerned."""
    lines = [finding.line() for finding in findings]
    if evidence.deaths:
        lines.append(
            f"note: {', '.join(evidence.deaths[:HISTORIES])} ({len(evidence.deaths)} in all)"
        )
    wrong = [finding for finding in findings if not finding.holds]
    for finding in wrong:
        lines.append(f"--- {finding.name}")
        lines += [f"    {violation.text}" for violation in finding.violations[:HISTORIES]]
    for mid in _concerned(wrong):
        lines += ["--- history", *(f"    {line}" for line in history(evidence, mid))]
    return "\n".join(lines)


def _concerned(wrong: Sequence[Finding]) -> list[str]:
    def mids() -> Iterator[str]:
        for finding in wrong:
            for violation in finding.violations:
                if violation.mid:
                    yield violation.mid

    return list(dict.fromkeys(mids()))[:HISTORIES]
