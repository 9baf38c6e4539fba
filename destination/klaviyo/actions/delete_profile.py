"""``deleteProfile``: has Klaviyo delete all it knows of a person (a data privacy request)."""

from __future__ import annotations

from destination.action import Action, Payload
from destination.delivery import Discard, Dropped, Outcome
from destination.errors import Ended
from destination.fields import Field
from destination.klaviyo import requests
from destination.klaviyo.consent import DECIDED_AT, STAMP, note_no, with_decision
from destination.klaviyo.identifiers import PROFILE, with_identifiers
from destination.klaviyo.payloads import COUNTRY, EMAIL, EXTERNAL_ID, PHONE
from destination.klaviyo.people import Found, find, who
from destination.klaviyo.verdict import verdict
from destination.sending import Account

PROFILE_ID = Field("id", description="Klaviyo's own id of the profile; not your id of the person.")
NOBODY = Dropped("profile_not_found", "Klaviyo knows nobody by these identifiers")


def prepare(payload: Payload, now: float) -> Payload:
    """The payload with its identifiers checked. Raises ``Ended``."""
    return with_decision(with_identifiers(payload, PROFILE | {"id"}), now, needed=False)


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
    if given in (["email"], ["phone_number"]):
        return given[0], payload[given[0]]
    found = find([payload], account)
    return "id", the_one_profile(payload, found)


def the_one_profile(payload: Payload, found: Found) -> str:
    """The id of the profile that has the payload's identifiers, among those found.

    Raises ``Ended``: dropped (``profile_not_found``) when nobody has them, discarded when Klaviyo
    refuses one of them, or (``ambiguous_identifier``) when several profiles have them.
    """
    for name in who(payload) & found.refused.keys():
        raise Ended(found.refused[name])
    ids = found.ids(who(payload))
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
    fields=(EMAIL, PHONE, COUNTRY, EXTERNAL_ID, PROFILE_ID, DECIDED_AT),
    prepare=prepare,
    perform=perform,
    stamp=STAMP,
    voids=True,
    withdraws=True,
)
