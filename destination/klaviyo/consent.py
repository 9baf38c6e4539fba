"""An older yes never undoes a newer no, in whatever order the two arrive.

Every unsubscription, suppression and deletion is remembered, before it is sent, under each address
it concerns, with the time at which the person decided it. A subscription, or the lifting of a
suppression, that was decided before that time leaves the address out. What is remembered is the
wish and not its success: who wanted out is not let in by an older event because Klaviyo could not
be reached, nor because they were on no list.

A list makes no difference: whether leaving one list ends consent as a whole is Klaviyo's to decide,
so an older subscription to another list counts as undone too. Decided at the same instant (one
event that several mappings want), both are sent, in the order in which they were accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from destination.action import Payload
from destination.delivery import Dropped, Outcome
from destination.errors import Ended
from destination.fields import Field
from destination.klaviyo.identifiers import with_identifiers
from destination.klaviyo.model import digest
from destination.klaviyo.payloads import with_time, without
from destination.klaviyo.people import key
from destination.klaviyo.verdict import PHONE_IGNORED, with_note
from destination.sending import Account

STAMP = "decided_at"
"""The payload field that says when the person decided."""

DECIDED_AT = Field(
    STAMP,
    "datetime",
    description="When the person decided; the event's own time where it is not mapped.",
)

CHANNELS = {"email": "email", "phone_number": "sms"}
"""The identifiers that consent is given for, and their channels."""

TOO_OLD = Dropped(
    "older_than_unsubscribe", "since then the person has unsubscribed or was suppressed"
)


def with_reachable(payload: Payload) -> Payload:
    """The payload with the addresses of its channels checked. Raises ``Ended``.

    A phone number that cannot be read costs nobody what they decided about their e-mail: it is left
    out, and ``phone_number_ignored`` says so, as Klaviyo itself does.
    """
    ready = with_identifiers(payload, tuple(CHANNELS), on_bad_phone="drop")
    if payload.get("phone_number") and "phone_number" not in ready:
        ready[PHONE_IGNORED] = True
    return ready


def about_phone(outcome: Outcome, payload: Payload) -> Outcome:
    """The outcome with the note that the payload's phone number was left out, if it was."""
    return with_note(outcome, PHONE_IGNORED) if payload.get(PHONE_IGNORED) else outcome


def with_decision(payload: Payload, now: float, *, needed: bool) -> Payload:
    """The payload with ``decided_at`` in ISO 8601.

    A time that cannot be read is left out, so that the decision counts as made when it is sent;
    with ``needed`` (for a yes, which must not look newer than it is) it raises ``Ended``
    (``invalid_time``) instead.
    """
    try:
        return with_time(payload, STAMP, now)
    except Ended:
        if needed:
            raise
        return without(payload, [STAMP])


def decided(payload: Payload, account: Account) -> float:
    """When the person decided, unix seconds: a consent of the past when it was given.

    Never later than now: a wrong clock would keep the person from subscribing until then.
    """
    historical = payload.get("historical_import") and payload.get("consented_at")
    text = historical or payload.get(STAMP)
    return min(datetime.fromisoformat(text).timestamp(), account.now) if text else account.now


def marks(payload: Payload) -> dict[str, str]:
    """Identifier -> what a no is remembered under: a digest of channel and address."""
    return {
        name: f"no:{channel}:{digest(key(name, payload[name]))}"
        for name, channel in CHANNELS.items()
        if payload.get(name)
    }


def note_no(payloads: Sequence[Payload], account: Account) -> None:
    """Remember that the addresses of ``payloads`` were withdrawn."""
    times: dict[str, float] = {}
    for payload in payloads:
        when = decided(payload, account)
        for mark in marks(payload).values():
            times[mark] = max(when, times.get(mark, 0.0))
    if times:
        account.remember(times)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is left of a yes: ``payload`` without the addresses whose no is newer, which ``older``
    names. ``payload`` is None when none is left.
    """

    payload: Payload | None
    older: tuple[str, ...] = ()

    def outcome(self, sent: Outcome) -> Outcome:
        """The end of the row, given that of what was sent of it."""
        return with_note(sent, *(f"{name}_older_than_unsubscribe" for name in self.older))


def still_wanted(payloads: Sequence[Payload], account: Account) -> list[Wanted]:
    """What may still be sent of each yes."""
    named = [marks(payload) for payload in payloads]
    keys = list(dict.fromkeys(mark for each in named for mark in each.values()))
    newest_no = dict(zip(keys, account.recall(keys), strict=True)) if keys else {}
    found = []
    for payload, mine in zip(payloads, named, strict=True):
        when = decided(payload, account)
        older = tuple(name for name, mark in mine.items() if when < newest_no[mark])
        left = payload if not older else without(payload, older)
        found.append(Wanted(left if len(older) < len(mine) else None, older))
    return found
