"""``unsubscribeProfile``: takes consent back, from one list or from everything."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial

from destination.action import Action, Batch, Payload
from destination.delivery import Delivered, Dropped, Outcome
from destination.errors import Ended
from destination.fields import Field
from destination.klaviyo import requests
from destination.klaviyo.actions.remove_profile_from_list import LIST_NAME
from destination.klaviyo.actions.subscribe_profile import REACHABLE
from destination.klaviyo.answers import attributes_of
from destination.klaviyo.batch import send_rows
from destination.klaviyo.limits import BULK
from destination.klaviyo.lists import about_list, list_id, list_key
from destination.klaviyo.model import Json, profile
from destination.klaviyo.order import consent
from destination.klaviyo.payloads import COUNTRY, EMAIL, LIST_ID, PHONE, with_identifiers, without
from destination.klaviyo.people import Who, find, key, who
from destination.sending import Account

LIMIT = BULK["bulk_unsubscribe_profiles"]

EVERYTHING = "unsubscribe_globally"

NOT_ON_LIST = Dropped(
    "not_on_list", "Klaviyo would have unsubscribed the person from everything, not from this list"
)


def prepare(payload: Payload, _now: float) -> Payload:
    """The payload with its identifiers checked. Raises ``Ended``."""
    return with_identifiers(payload, REACHABLE)


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
    try:
        return [about_list(outcome) for outcome in _unsubscribe(payloads, account)]
    except Ended as ended:
        return [about_list(ended.outcome)] * len(payloads)


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
    off = [
        name for name in REACHABLE if name in payload and key(name, payload[name]) not in on_list
    ]
    return without(payload, off)


def _with_note(outcome: Outcome, payload: Payload, sent: Payload) -> Outcome:
    left_out = sorted(name for name in REACHABLE if name in payload and name not in sent)
    if left_out and isinstance(outcome, Delivered):
        return Delivered(outcome.code, " ".join(f"{name}_not_on_list" for name in left_out))
    return outcome


def _send(payloads: Sequence[Payload], target: str, account: Account) -> list[Outcome]:
    return send_rows(
        payloads,
        lambda some: requests.bulk_unsubscribe_profiles(
            [_unsubscription(each) for each in some], target
        ),
        account,
        LIMIT,
    )


def _unsubscription(payload: Payload) -> Json:
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
    ),
    prepare=prepare,
    perform=perform,
    batch=Batch(LIMIT.rows, LIMIT.bytes, LIMIT.row_bytes, perform_batch, group),
    order=consent,
)
