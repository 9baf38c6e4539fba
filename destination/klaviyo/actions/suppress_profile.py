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
from destination.klaviyo.limits import BULK
from destination.klaviyo.order import consent
from destination.klaviyo.payloads import EMAIL, with_identifiers
from destination.sending import Account, Request

Build = Callable[[Iterable[str]], Request]

BY_EMAIL = frozenset({"email"})


def prepare(payload: Payload, _now: float) -> Payload:
    """The payload with its address checked. Raises ``Ended``."""
    return with_identifiers(payload, BY_EMAIL)


def send_addresses(
    operation: str, build: Build, payloads: Sequence[Payload], account: Account
) -> list[Outcome]:
    """Send each address once; an outcome per row, in order."""
    emails = list(dict.fromkeys(payload["email"] for payload in payloads))
    outcomes = send_rows(emails, build, account, BULK[operation])
    ends = dict(zip(emails, outcomes, strict=True))
    return [ends[payload["email"]] for payload in payloads]


def _action(name: str, title: str, description: str, event: str, build: Build) -> Action:
    operation = build(()).operation
    perform = partial(send_addresses, operation, build)
    limit = BULK[operation]
    return Action(
        name=name,
        title=title,
        description=description,
        trigger=f'type = "track" and event = "{event}"',
        fields=(replace(EMAIL, required=True),),
        prepare=prepare,
        perform=lambda payload, account: perform([payload], account)[0],
        batch=Batch(limit.rows, limit.bytes, limit.row_bytes, perform),
        order=consent,
    )


SUPPRESS = _action(
    "suppressProfile",
    "Suppress Profile",
    "Stop all marketing e-mail to an address, whatever its consent.",
    "User Suppressed",
    requests.bulk_suppress_profiles,
)

UNSUPPRESS = _action(
    "unsuppressProfile",
    "Unsuppress Profile",
    "Lift a suppression that was put by hand or by API. Consent stays as it is.",
    "User Unsuppressed",
    requests.bulk_unsuppress_profiles,
)
