"""What happened to one message, from all ledgers, in the order of time."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from tests.chaos.evidence import Attempt, Evidence

MOST = 40
"""Lines of one history; the middle is left out of a longer one."""


def history(evidence: Evidence, mid: str) -> list[str]:
    """Post, accept, attempts, log, effect, and what was disturbed meanwhile."""
    posted = evidence.posted.get(mid)
    if posted is None:
        return [f"{mid} was never posted"]
    steps = [
        (each.t, f"posted, status {each.status} after {each.seconds:.2f} s")
        for each in posted.tries
    ]
    if posted.acked is not None:
        steps.append((posted.acked, "ACCEPTED"))
    needle = f'"{mid}"'
    steps += [
        (attempt.t, _said(attempt))
        for attempt in evidence.attempts
        if needle in json.dumps(attempt.body)
    ]
    for line in evidence.deliveries:
        if line["id"] == mid:
            moment = datetime.fromisoformat(line["time"]).timestamp()
            steps.append((moment, f"worker: {line['outcome']} {line['code']}"))
    first = min((t for t, _ in steps), default=0.0)
    last = max((t for t, _ in steps), default=0.0)
    for t, what in evidence.disturbances:
        if first - 1 <= t <= last + 1:
            steps.append((t, f"    * {what}"))
    steps += [
        (letter["time"], f"DEAD: {letter['code']} {letter['message'][:160]}")
        for letter in evidence.dead
        if f":{mid}:" in letter["id"]
    ]
    steps.sort(key=lambda step: step[0])
    lines = [f"{_clock(t)} {what}" for t, what in steps]
    if len(lines) > MOST:
        lines = [*lines[: MOST // 2], f"... {len(lines) - MOST} more ...", *lines[-MOST // 2 :]]
    message = posted.message
    recorded = [
        event["unique_id"]
        for event in evidence.state["events"]
        if event["properties"].get("mid") == mid
    ]
    head = f"{mid}: {message.kind} number {message.n} of {message.email}"
    return [head, *lines, f"recorded at Klaviyo as {recorded or 'nothing'}"]


def _said(attempt: Attempt) -> str:
    applied = "applied" if attempt.applied else "not applied"
    fault = f", fault {attempt.fault!r}" if attempt.fault else ""
    return f"request {attempt.seq} {attempt.operation}: {attempt.status or 'cut'}, {applied}{fault}"


def _clock(t: float) -> str:
    return datetime.fromtimestamp(t, UTC).strftime("%H:%M:%S.%f")[:-3]
