"""``suppressProfile`` and ``unsuppressProfile``: stop all marketing e-mail to an address, or not.

Suppression is apart from consent: lifting it gives nobody consent, and it lifts only what was put
by hand or by API, not what a person's own unsubscribing or a bounce has put.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from destination.action import Action, Batch, Payload
from destination.delivery import Outcome
from destination.klaviyo import requests
from destination.klaviyo.batch import send_rows
from destination.klaviyo.consent import (
    DECIDED_AT,
    STAMP,
    TOO_OLD,
    note_no,
    still_wanted,
    with_decision,
)
from destination.klaviyo.identifiers import with_identifiers
from destination.klaviyo.jobs import poll, submitted
from destination.klaviyo.limits import BULK
from destination.klaviyo.order import consent
from destination.klaviyo.payloads import EMAIL
from destination.sending import Account, Request

Build = Callable[[Iterable[str]], Request]

BY_EMAIL = ("email",)


def prepare(payload: Payload, now: float, *, needed: bool = False) -> Payload:
    """The payload with its address checked; ``needed`` is whether its time must be readable.

    Raises ``Ended``.
    """
    mine = {name: payload[name] for name in ("email", STAMP) if name in payload}
    return with_decision(with_identifiers(mine, BY_EMAIL), now, needed=needed)


def suppress(payloads: Sequence[Payload], account: Account) -> list[Outcome]:
    """Stop all marketing to the addresses."""
    note_no(payloads, account)
    return send_addresses(payloads, account, requests.bulk_suppress_profiles)


def unsuppress(payloads: Sequence[Payload], account: Account) -> list[Outcome]:
    """Lift suppressions, but none that was put, and none of a person who unsubscribed, since."""
    wanted = still_wanted(payloads, account)
    kept = [index for index, each in enumerate(wanted) if each.payload is not None]
    sent = send_addresses(
        [payloads[index] for index in kept], account, requests.bulk_unsuppress_profiles
    )
    outcomes: list[Outcome] = [TOO_OLD] * len(payloads)
    for index, outcome in zip(kept, sent, strict=True):
        outcomes[index] = outcome
    return outcomes


def send_addresses(payloads: Sequence[Payload], account: Account, build: Build) -> list[Outcome]:
    """Send each address once; an outcome per row, in order."""
    emails = list(dict.fromkeys(payload["email"] for payload in payloads))
    outcomes = send_rows(
        emails,
        build,
        account,
        BULK[build(()).operation],
        lambda response, some: submitted(response, some, account),
    )
    ends = dict(zip(emails, outcomes, strict=True))
    return [ends[payload["email"]] for payload in payloads]


LIMIT = BULK["bulk_suppress_profiles"]

SUPPRESS = Action(
    name="suppressProfile",
    title="Suppress Profile",
    description="Stop all marketing e-mail to an address, whatever its consent.",
    trigger='type = "track" and event = "User Suppressed"',
    fields=(replace(EMAIL, required=True), DECIDED_AT),
    prepare=prepare,
    perform=lambda payload, account: suppress([payload], account)[0],
    batch=Batch(
        LIMIT.rows,
        LIMIT.bytes,
        LIMIT.row_bytes,
        suppress,
        poll=partial(poll, requests.get_bulk_suppress_profiles_job),
    ),
    order=consent,
    stamp=STAMP,
    withdraws=True,
)

UNSUPPRESS = replace(
    SUPPRESS,
    name="unsuppressProfile",
    title="Unsuppress Profile",
    description="Lift a suppression that was put by hand or by API. Consent stays as it is.",
    trigger='type = "track" and event = "User Unsuppressed"',
    prepare=partial(prepare, needed=True),
    perform=lambda payload, account: unsuppress([payload], account)[0],
    batch=Batch(
        LIMIT.rows,
        LIMIT.bytes,
        LIMIT.row_bytes,
        unsuppress,
        poll=partial(poll, requests.get_bulk_unsuppress_profiles_job),
    ),
    withdraws=False,
)
