"""``mergeProfiles``: makes one profile of two, as when a person gets another id."""

from __future__ import annotations

from dataclasses import replace

from destination.action import Action, Payload
from destination.delivery import Dropped, Outcome
from destination.klaviyo import requests
from destination.klaviyo.actions.delete_profile import the_one_profile
from destination.klaviyo.identifiers import PROFILE, with_identifiers
from destination.klaviyo.payloads import COUNTRY, EMAIL, EXTERNAL_ID, PHONE, PROFILE_ID
from destination.klaviyo.people import find
from destination.klaviyo.verdict import verdict
from destination.sending import Account

KEPT = (EMAIL, PHONE, COUNTRY, EXTERNAL_ID, PROFILE_ID)
PREVIOUS = "previous_"
WHO = ("id", *PROFILE)


def prepare(payload: Payload, _now: float) -> Payload:
    """The payload with both sides' identifiers checked, under ``kept`` and ``previous``.

    Raises ``Ended``.
    """
    previous = {
        name.removeprefix(PREVIOUS): value
        for name, value in payload.items()
        if name.startswith(PREVIOUS)
    }
    kept = {name: value for name, value in payload.items() if not name.startswith(PREVIOUS)}
    return {"kept": with_identifiers(kept, WHO), "previous": with_identifiers(previous, WHO)}


def perform(payload: Payload, account: Account) -> Outcome:
    """Move all that the previous profile has into the kept one; the previous one is deleted.

    Safe to repeat: once merged, both sides are one profile or the previous one is unknown. Raises
    ``Ended``.
    """
    sides = [payload["kept"], payload["previous"]]
    found = find([side for side in sides if "id" not in side], account)
    kept, previous = (side.get("id") or the_one_profile(side, found) for side in sides)
    if kept == previous:
        return Dropped("same_profile", "both sides are one profile already")
    return verdict(account.send(requests.merge_profiles(kept, previous)), account.now)


ACTION = Action(
    name="mergeProfiles",
    title="Merge Profiles",
    description="Move everything of a person's previous profile into the one that is kept.",
    trigger='type = "alias"',
    fields=(
        *KEPT,
        *(
            replace(
                each,
                name=PREVIOUS + each.name,
                description=f"Of the profile that goes: {each.description[0].lower()}{each.description[1:]}",
            )
            for each in KEPT
        ),
    ),
    prepare=prepare,
    perform=perform,
    voids=True,
)
