"""What Klaviyo holds is what was posted, once: I3, I4, I5, I7, I8."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

from tests.chaos import expected
from tests.chaos.evidence import Evidence
from tests.chaos.invariants.conservation import dead_ids
from tests.chaos.invariants.finding import Finding
from tests.chaos.traffic import METRICS, Message

Json = dict[str, Any]


def _accepted(evidence: Evidence) -> list[Message]:
    """The messages in force, in the order of posting: accepted, not dead."""
    dead = dead_ids(evidence)
    return [
        posted.message
        for mid, posted in evidence.posted.items()
        if posted.acked is not None and mid not in dead
    ]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _emails(evidence: Evidence) -> dict[str, str]:
    return {each["id"]: each.get("email") or "" for each in evidence.state["profiles"]}


def _key(event: Json) -> expected.Key:
    properties = event["properties"]
    product = event["metric"] == METRICS["product"]
    line = properties.get("line") if product else None
    return (str(properties.get("mid")), event["metric"], line)


def invented(evidence: Evidence) -> Finding:
    """I3: every recorded event was posted and says what the message said; so does every profile."""
    finding = Finding("I3", "nothing at Klaviyo that nobody posted")
    messages = [posted.message for posted in evidence.posted.values()]
    wanted = expected.events(messages)
    emails = _emails(evidence)
    for event in evidence.state["events"]:
        finding.checked += 1
        key = _key(event)
        want = wanted.get(key)
        if want is None:
            finding.wrong(f"event {event['metric']} {event['unique_id']} was never posted", key[0])
            continue
        if key[1] != METRICS["product"]:
            finding.expect(event["unique_id"], key[0], f"unique_id of {key}", key[0])
        finding.expect(emails.get(event["profile"]), want.email, f"profile of {key}", key[0])
        finding.expect(event["properties"], want.properties, f"properties of {key}", key[0])
        finding.expect(_instant(event["time"]), _instant(want.time), f"time of {key}", key[0])
    people = {message.email for message in messages}
    for profile in evidence.state["profiles"]:
        finding.checked += 1
        if profile.get("email") not in people:
            finding.wrong(f"profile {profile.get('email') or profile['id']} was never posted")
    for address, count in Counter(emails.values()).items():
        if count > 1:
            finding.wrong(f"{count} profiles of {address}")
    return finding


def once(evidence: Evidence) -> Finding:
    """I4: each event is recorded once, under one ``unique_id`` over all attempts to deliver it."""
    finding = Finding("I4", "every event counts once, with one unique_id over all attempts")
    dead = dead_ids(evidence)
    recorded = Counter(_key(event) for event in evidence.state["events"])
    wanted = expected.events(_accepted(evidence))
    for key in wanted:
        finding.expect(recorded[key], 1, f"times that {key} is recorded", key[0])
    for key, count in recorded.items():
        if key not in wanted and key[0] not in dead:
            finding.wrong(f"{key} is recorded {count} times and has no accepted message", key[0])
    ids: dict[expected.Key, set[str]] = defaultdict(set)
    for row in evidence.rows():
        line = row.line if row.metric == METRICS["product"] else None
        ids[row.mid, row.metric, line].add(row.unique_id)
    owners = Counter(unique for each in ids.values() for unique in each)
    for key, seen in ids.items():
        finding.checked += 1
        if len(seen) > 1 or "" in seen:
            finding.wrong(f"{key} was sent as {sorted(seen)[:3]}", key[0])
        elif owners[next(iter(seen))] > 1:
            finding.wrong(f"{key} shares its unique_id with another event", key[0])
    return finding


def latest(evidence: Evidence) -> Finding:
    """I5: profiles are the fold of the identify calls in the order accepted."""
    finding = Finding("I5", "the last write to a profile has won")
    held = {each.get("email"): each["properties"] for each in evidence.state["profiles"]}
    for address, wanted in expected.profiles(_accepted(evidence)).items():
        finding.expect(held.get(address), wanted, f"properties of {address}")
    return finding


def memberships(evidence: Evidence) -> Finding:
    """I7: who is on a list is who was last added and not removed, and nobody else."""
    finding = Finding("I7", "lists hold whom the last message says")
    emails = _emails(evidence)
    held = {
        each["id"]: {emails.get(member, member) for member in each["members"]}
        for each in evidence.state["lists"]
    }
    wanted = expected.members(_accepted(evidence))
    for name in sorted({*held, *wanted}):
        people = held.get(name, set()) | wanted.get(name, set())
        finding.checked += len(people)
        for address in sorted(people):
            want, seen = address in wanted.get(name, set()), address in held.get(name, set())
            if want != seen:
                finding.wrong(f"{address} {'misses on' if want else 'is on'} {name}")
    return finding


def consent(evidence: Evidence) -> Finding:
    """I8: consent follows from the last word of the person alone; no mail that nobody caused."""
    finding = Finding("I8", "consent is the last word, and only that")
    messages = _accepted(evidence)
    last = expected.consents(messages)
    for profile in evidence.state["profiles"]:
        address = profile.get("email") or profile["id"]
        state = profile["consent"]
        subscribed = state.get("email.marketing") == "SUBSCRIBED"
        finding.expect(subscribed, last.get(address) == "subscribe", f"{address} is subscribed")
        if address not in last:
            finding.expect(state.get("suppressions"), None, f"suppression of {address}")
        finding.expect(state.get("list_suppressions"), None, f"list suppressions of {address}")
    finding.expect(evidence.state["mails"], [], "mails")
    return finding
