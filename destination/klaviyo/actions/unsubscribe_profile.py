"""``unsubscribeProfile``: takes consent back, from one list or from everything."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial

from destination.action import Action, Batch, Payload
from destination.delivery import Dropped, Outcome
from destination.errors import Ended
from destination.fields import Field
from destination.klaviyo import requests
from destination.klaviyo.actions.remove_profile_from_list import LIST_NAME
from destination.klaviyo.answers import attributes_of
from destination.klaviyo.batch import send_rows
from destination.klaviyo.consent import (
    CHANNELS,
    DECIDED_AT,
    STAMP,
    about_phone,
    note_no,
    with_decision,
    with_reachable,
)
from destination.klaviyo.limits import BULK
from destination.klaviyo.lists import about_list, list_id, list_key
from destination.klaviyo.model import Json, profile
from destination.klaviyo.order import consent
from destination.klaviyo.payloads import COUNTRY, EMAIL, LIST_ID, PHONE, without
from destination.klaviyo.people import Who, find, key, who
from destination.klaviyo.resources import Profile
from destination.klaviyo.verdict import with_note
from destination.sending import Account

LIMIT = BULK["bulk_unsubscribe_profiles"]

EVERYTHING = "unsubscribe_globally"

NOT_ON_LIST = Dropped(
    "not_on_list", "Klaviyo would have unsubscribed the person from everything, not from this list"
)


def prepare(payload: Payload, now: float) -> Payload:
    """The payload with its identifiers checked. Raises ``Ended``."""
    return with_decision(with_reachable(payload), now, needed=False)


def group(payload: Payload) -> Hashable:
    """Rows of one request leave the same list, by the same rule."""
    return (list_key(payload), bool(payload.get(EVERYTHING)))


def perform(payload: Payload, account: Account) -> Outcome:
    """Unsubscribe one person from the channels whose identifiers are given."""
    return perform_batch([payload], account)[0]


def perform_batch(payloads: Sequence[Payload], account: Account) -> list[Outcome]:
    """Unsubscribe people of one ``group``.

    Klaviyo unsubscribes whoever is not on the given list from everything. So only identifiers that
    are on it are sent, unless the payload asks for everything or names no list.
    """
    note_no(payloads, account)
    try:
        outcomes = _unsubscribe(payloads, account)
    except Ended as ended:
        outcomes = [ended.outcome] * len(payloads)
    return [
        about_phone(about_list(outcome, payload), payload)
        for outcome, payload in zip(outcomes, payloads, strict=True)
    ]


def _unsubscribe(payloads: Sequence[Payload], account: Account) -> list[Outcome]:
    named = list_key(payloads[0]) != ("", "")
    target = list_id(payloads[0], account, create=False)
    if named and not target:
        return [Dropped("list_not_found", "no list has that name, so nobody is on it")] * len(
            payloads
        )
    if not target or payloads[0].get(EVERYTHING):
        return _send(payloads, target, account)
    ends = _members(payloads, target, account)
    members = [(index, end) for index, end in enumerate(ends) if isinstance(end, dict)]
    sent = _send([end for _, end in members], target, account)
    outcomes: dict[int, Outcome] = {
        index: _with_note(outcome, payloads[index], end)
        for (index, end), outcome in zip(members, sent, strict=True)
    }
    return [end if not isinstance(end, dict) else outcomes[index] for index, end in enumerate(ends)]


def _members(payloads: Sequence[Payload], target: str, account: Account) -> list[Payload | Outcome]:
    """What may be sent of each payload: its identifiers that are on the list, or how it ended."""
    found = find(payloads, account, partial(requests.get_profiles_for_list, target))
    on_list = {name for each in found.profiles for name in who(attributes_of(each))}
    ends: list[Payload | Outcome] = []
    for payload in payloads:
        refused = [found.refused[name] for name in who(payload) if name in found.refused]
        mine = _only(payload, on_list)
        ends.append(refused[0] if refused else mine if who(mine) else NOT_ON_LIST)
    return ends


def _only(payload: Payload, on_list: set[Who]) -> Payload:
    off = [name for name in CHANNELS if name in payload and key(name, payload[name]) not in on_list]
    return without(payload, off)


def _with_note(outcome: Outcome, payload: Payload, sent: Payload) -> Outcome:
    left_out = sorted(name for name in CHANNELS if name in payload and name not in sent)
    return with_note(outcome, *(f"{name}_not_on_list" for name in left_out))


def _send(payloads: Sequence[Payload], target: str, account: Account) -> list[Outcome]:
    """One outcome per row; rows with the same identifiers are sent once."""
    once = {who(payload): payload for payload in payloads}
    sent = send_rows(
        list(once.values()),
        lambda some: requests.bulk_unsubscribe_profiles(
            [_unsubscription(each) for each in some], target
        ),
        account,
        LIMIT,
    )
    ends = dict(zip(once, sent, strict=True))
    return [ends[who(payload)] for payload in payloads]


def _unsubscription(payload: Payload) -> Profile:
    gone = {"consent": "UNSUBSCRIBED"}
    found: Json = {"subscriptions": {}}
    if "email" in payload:
        found["email"] = payload["email"]
        found["subscriptions"]["email"] = {"marketing": gone}
    if "phone_number" in payload:
        found["phone_number"] = payload["phone_number"]
        found["subscriptions"]["sms"] = {"marketing": gone, "transactional": gone}
    return profile(found)


ACTION = Action(
    name="unsubscribeProfile",
    title="Unsubscribe Profile",
    description="Take back a person's consent, from one list or from everything.",
    trigger='type = "track" and event = "User Unsubscribed"',
    fields=(
        EMAIL,
        PHONE,
        COUNTRY,
        LIST_ID,
        LIST_NAME,
        Field(
            EVERYTHING,
            "boolean",
            description="Also unsubscribe from everything whoever is not on the list.",
        ),
        DECIDED_AT,
    ),
    prepare=prepare,
    perform=perform,
    batch=Batch(LIMIT.rows, LIMIT.bytes, LIMIT.row_bytes, perform_batch, group),
    order=consent,
    stamp=STAMP,
    withdraws=True,
)
