"""``deleteProfile``: has Klaviyo delete all it knows of a person (a data privacy request)."""

from __future__ import annotations

from collections.abc import Sequence

from destination.action import Action, Payload
from destination.delivery import Discard, Dropped, Outcome
from destination.errors import Ended
from destination.klaviyo import requests
from destination.klaviyo.consent import DECIDED_AT, STAMP, note_no, with_decision
from destination.klaviyo.identifiers import PROFILE, with_identifiers
from destination.klaviyo.payloads import COUNTRY, EMAIL, EXTERNAL_ID, PHONE, PROFILE_ID
from destination.klaviyo.people import Found, find, who, with_token
from destination.klaviyo.token import KX, KX_FIELD
from destination.klaviyo.verdict import verdict
from destination.sending import Account

NOBODY = Dropped("profile_not_found", "Klaviyo knows nobody by these identifiers")


def prepare(payload: Payload, now: float) -> Payload:
    """The payload with its identifiers checked. Raises ``Ended``."""
    return with_decision(with_identifiers(payload, ("id", *PROFILE, KX)), now, needed=False)


def perform(payload: Payload, account: Account) -> Outcome:
    """Ask for the deletion of the one profile that the payload means.

    Klaviyo's request takes one identifier, and no external id. Several identifiers of different
    profiles delete nobody: a deletion cannot be taken back. No older event subscribes the person's
    addresses again. Raises ``Ended``.
    """
    note_no([payload], account)
    name, value = _identifier(payload, account)
    response = account.send(requests.request_profile_deletion(name, value))
    return NOBODY if response.status == 404 else verdict(response, account.now)


def _identifier(payload: Payload, account: Account) -> tuple[str, str]:
    if "id" in payload:
        return "id", payload["id"]
    given = [name for name in PROFILE if name in payload]
    if given in (["email"], ["phone_number"]) and KX not in payload:
        return given[0], payload[given[0]]
    by_token = with_token(payload[KX], account) if KX in payload else []
    found = find([payload], account)
    return "id", the_one_profile(payload, found, by_token)


def the_one_profile(payload: Payload, found: Found, by_token: Sequence[str] = ()) -> str:
    """The id of the profile that has the payload's identifiers, among those found, or its token.

    Raises ``Ended``: dropped (``profile_not_found``) when nobody has them, discarded when Klaviyo
    refuses one of them, or (``ambiguous_identifier``) when several profiles have them.
    """
    for name in who(payload) & found.refused.keys():
        raise Ended(found.refused[name])
    ids = sorted({*found.ids(who(payload)), *by_token})
    if not ids:
        raise Ended(NOBODY)
    if len(ids) > 1:
        message = f"the identifiers belong to {len(ids)} profiles; map the one that is meant"
        raise Ended(Discard("ambiguous_identifier", message))
    return ids[0]


ACTION = Action(
    name="deleteProfile",
    title="Delete Profile",
    description="Have Klaviyo delete everything it knows of a person. It cannot be taken back.",
    trigger='type = "delete"',
    fields=(EMAIL, PHONE, COUNTRY, EXTERNAL_ID, PROFILE_ID, KX_FIELD, DECIDED_AT),
    prepare=prepare,
    perform=perform,
    stamp=STAMP,
    voids=True,
    withdraws=True,
)
