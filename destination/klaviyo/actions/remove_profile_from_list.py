"""``removeProfileFromList`` and ``removeProfile``: end a membership; consent stays as it is."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

from destination.action import Action, Batch, Payload
from destination.delivery import Delivered, Discard, Dropped, Outcome
from destination.errors import Ended
from destination.klaviyo import requests
from destination.klaviyo.batch import send_rows
from destination.klaviyo.identifiers import PROFILE, with_identifiers
from destination.klaviyo.limits import BULK
from destination.klaviyo.lists import about_list, list_id, list_key
from destination.klaviyo.order import membership
from destination.klaviyo.payloads import (
    COUNTRY,
    EMAIL,
    EXTERNAL_ID,
    EXTERNAL_ID_BOUNDED,
    LIST_ID,
    PHONE,
    require_list,
)
from destination.klaviyo.people import Found, Who, find, who
from destination.sending import Account

LIMIT = BULK["remove_profiles_from_list"]
LIST_NAME = replace(LIST_ID, name="list_name", description="Name of the list, in place of its id.")


def prepare(payload: Payload, _now: float) -> Payload:
    """The payload with its identifiers checked and a list. Raises ``Ended``."""
    require_list(payload)
    return with_identifiers(payload, PROFILE)


def perform(payload: Payload, account: Account) -> Outcome:
    """End the membership of the profiles that have the payload's identifiers."""
    return remove([payload], account)[0]


def remove(payloads: Sequence[Payload], account: Account) -> list[Outcome]:
    """End memberships in one list; who is unknown to Klaviyo is no member."""
    try:
        return _remove(payloads, account)
    except Ended as ended:
        return [about_list(ended.outcome, payloads[0])] * len(payloads)


def _remove(payloads: Sequence[Payload], account: Account) -> list[Outcome]:
    target = list_id(payloads[0], account, create=False)
    if not target:
        return [Dropped("list_not_found", "no list has that name, so nobody is on it")] * len(
            payloads
        )
    found = find(payloads, account)
    wanted = frozenset[Who]().union(*(who(each) for each in payloads if not _refused(each, found)))
    ids = found.ids(wanted) if wanted else []
    sent = send_rows(
        ids, lambda some: requests.remove_profiles_from_list(target, some), account, LIMIT
    )
    ends = dict(zip(ids, (about_list(outcome, payloads[0]) for outcome in sent), strict=True))
    return [_end(payload, found, ends) for payload in payloads]


def _end(payload: Payload, found: Found, ends: dict[str, Outcome]) -> Outcome:
    """The worst that became of the payload's profiles; a refused identifier ends it before."""
    refused = _refused(payload, found)
    if refused:
        return refused[0]
    mine = [ends[id_] for id_ in found.ids(who(payload))]
    for outcome in mine:
        if not isinstance(outcome, Delivered) and not _gone(outcome):
            return outcome
    if not mine:
        return Dropped("profile_not_found", "Klaviyo knows nobody by these identifiers")
    return Delivered()


def _refused(payload: Payload, found: Found) -> list[Discard]:
    return [found.refused[name] for name in sorted(who(payload)) if name in found.refused]


def _gone(outcome: Outcome) -> bool:
    # Merged or deleted since the look-up: not on the list any more.
    return isinstance(outcome, Discard) and "Invalid profile IDs" in outcome.message


def group(payload: Payload) -> Hashable:
    """Rows of one request leave the same list."""
    return list_key(payload)


BATCH = Batch(LIMIT.rows, LIMIT.bytes, LIMIT.row_bytes, remove, group)

ACTION = Action(
    name="removeProfileFromList",
    title="Remove Profile from List (Engage)",
    description="End a person's membership of a list. Consent stays as it is.",
    trigger='event = "Audience Exited"',
    fields=(EMAIL, EXTERNAL_ID_BOUNDED, LIST_ID, LIST_NAME, PHONE, COUNTRY),
    prepare=prepare,
    perform=perform,
    batch=BATCH,
    order=membership,
)

REMOVE_PROFILE = Action(
    name="removeProfile",
    title="Remove Profile",
    description="End a person's membership of a list. Consent stays as it is.",
    # Segment's default compares with "Identify", which no event's type is.
    trigger='type = "identify"',
    fields=(EMAIL, EXTERNAL_ID, LIST_ID, LIST_NAME, PHONE, COUNTRY),
    prepare=prepare,
    perform=perform,
    batch=BATCH,
    order=membership,
)
