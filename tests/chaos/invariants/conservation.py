"""Nothing is lost, and the numbers say so: I1, I2."""

from __future__ import annotations

from collections import Counter

from prometheus_client.parser import text_string_to_metric_families

from tests.chaos.evidence import Evidence
from tests.chaos.invariants.finding import Finding
from tests.chaos.poster import Posted

STATES = ("accepted", "delivered", "dropped", "dead", "pending")
ENDS = frozenset({"delivered", "dropped", "dead"})
LEGITIMATE_DROPS = frozenset({"profile_not_found"})


def durable(evidence: Evidence) -> Finding:
    """I1: what was answered 2xx has an end that can be shown, or is pending.

    Shown by the worker's log of ends or a dead letter; events also by Klaviyo's record of them.
    """
    finding = Finding("I1", "what was answered 2xx is kept")
    ended = {line["id"] for line in evidence.deliveries if line.get("outcome") in ENDS}
    dead = dead_ids(evidence)
    recorded = {str(each["properties"].get("mid")) for each in evidence.state["events"]}
    missing = []
    for mid, posted in evidence.posted.items():
        if posted.acked is None:
            continue
        finding.checked += 1
        shown = mid in dead or mid in ended
        if posted.message.kind in {"track", "order"}:
            shown = mid in dead or mid in recorded
        if not shown:
            missing.append(mid)
    if len(missing) > _pending(evidence):
        for mid in missing:
            finding.wrong(f"{mid} was answered 2xx and has no end", mid)
    return finding


def conserved(evidence: Evidence) -> Finding:
    """I2: accepted = delivered + dropped + dead + pending, everywhere the same, nothing pending."""
    finding = Finding("I2", "counts add up, and are those of the posted messages")
    totals = evidence.counts["connections"][evidence.connection]
    wanted = Counter(posted.message.mapping for posted in _acked(evidence))
    letters = Counter(letter["mapping"] for letter in evidence.dead)
    for mapping in sorted({*wanted, *totals["mappings"]}):
        states = totals["mappings"].get(mapping, dict.fromkeys(STATES, 0))
        parts = sum(states[state] for state in STATES[1:])
        finding.expect(states["accepted"], wanted[mapping], f"{mapping}: accepted")
        finding.expect(parts, states["accepted"], f"{mapping}: accounted for")
        finding.expect(states["pending"], 0, f"{mapping}: pending")
        finding.expect(states["dead"], letters[mapping], f"{mapping}: dead")
        dropped = {
            name.partition(":")[2]
            for name, count in states.get("reasons", {}).items()
            if count and name.startswith("dropped:")
        }
        finding.expect(dropped - LEGITIMATE_DROPS, set(), f"{mapping}: reasons for dropping")
    finding.expect(evidence.counts.get("imbalance"), [], "imbalance")
    _sources(evidence, finding)
    _metrics(evidence, finding)
    _doomed(evidence, finding)
    return finding


def _acked(evidence: Evidence) -> list[Posted]:
    return [posted for posted in evidence.posted.values() if posted.acked is not None]


def _pending(evidence: Evidence) -> int:
    return int(evidence.counts["connections"][evidence.connection]["pending"])


def dead_ids(evidence: Evidence) -> set[str]:
    """The messageIds in the dead letters, whose own ids are ``source:messageId:mapping``."""
    return {_message_id(letter) for letter in evidence.dead}


def _message_id(letter: dict[str, str]) -> str:
    return letter["id"].removeprefix(f"{letter['source']}:").removesuffix(f":{letter['mapping']}")


def _sources(evidence: Evidence, finding: Finding) -> None:
    """Each event is accepted once, and every repetition that got an answer is a duplicate."""
    distinct = len(evidence.posted)
    answered = sum(each.number for each in evidence.trips if 200 <= each.status < 300)
    sent = sum(each.number for each in evidence.trips)
    counts = Counter[str]()
    for source in evidence.counts["sources"].values():
        counts.update(source)
    finding.expect(counts["accepted"], distinct, "accepted at the sources")
    parts = sum(counts[state] for state in ("accepted", "duplicate", "unmatched", "refused"))
    finding.expect(parts, counts["received"], "accounted for at the sources")
    finding.expect((counts["unmatched"], counts["refused"]), (0, 0), "unmatched and refused")
    finding.checked += 1
    if not answered - distinct <= counts["duplicate"] <= sent - distinct:
        finding.wrong(
            f"duplicates: {counts['duplicate']}, expected between {answered - distinct} and"
            f" {sent - distinct}"
        )


def _metrics(evidence: Evidence, finding: Finding) -> None:
    """The metrics are the counts."""
    if not evidence.metrics:
        return
    shown = {
        (sample.labels["mapping"], family.name.rpartition("_")[2]): sample.value
        for family in text_string_to_metric_families(evidence.metrics)
        for sample in family.samples
        if family.name.startswith("destination_deliveries_")
        and sample.labels.get("connection") == evidence.connection
    }
    totals = evidence.counts["connections"][evidence.connection]["mappings"]
    for mapping, states in totals.items():
        for state in STATES:
            seen = shown.get((mapping, state))
            finding.expect(seen, float(states[state]), f"metric {state} of {mapping}")


def _doomed(evidence: Evidence, finding: Finding) -> None:
    """What cannot be delivered is dead, and nothing else."""
    dead = dead_ids(evidence)
    for mid in sorted(evidence.doomed - dead):
        finding.wrong(f"{mid} cannot be delivered and is no dead letter", mid)
    for letter in evidence.dead:
        finding.checked += 1
        mid = _message_id(letter)
        if mid not in evidence.doomed | evidence.doubtful:
            finding.wrong(f"{mid} is dead: {letter['code']} {letter['message'][:120]}", mid)
