"""``upsertProfile``: creates a profile or updates the one that has its identifiers."""

from __future__ import annotations

from destination.action import Action, Payload
from destination.delivery import Outcome
from destination.fields import Field
from destination.klaviyo import model, requests
from destination.klaviyo.identifiers import PROFILE, with_identifiers
from destination.klaviyo.imports import BATCH
from destination.klaviyo.lists import about_list, list_id, list_key
from destination.klaviyo.model import OPERATIONS
from destination.klaviyo.order import membership_if_listed
from destination.klaviyo.payloads import (
    COUNTRY,
    EMAIL,
    EXTERNAL_ID,
    LIST_ID,
    LIST_NAME,
    NAMES_AND_PLACES,
    PHONE,
    PROFILE_ID,
    PROPERTIES,
    PROPERTY_OPERATIONS,
)
from destination.klaviyo.profiles import save_profile
from destination.klaviyo.token import KX, KX_FIELD
from destination.klaviyo.verdict import noted, verdict
from destination.sending import Account

WHO = ("id", *PROFILE, KX)
"""What a profile may be known by."""


def prepare(payload: Payload, _now: float) -> Payload:
    """The payload with its identifiers checked. Raises ``Ended``."""
    return with_identifiers(payload, WHO)


def perform(payload: Payload, account: Account) -> Outcome:
    """Save the profile, then make it a member of the list, if one is given. Raises ``Ended``."""
    saved = save_profile(payload, account)
    outcome = saved.outcome(account)
    target = list_id(payload, account)
    if not target:
        return outcome
    response = account.send(requests.add_profiles_to_list(target, [saved.id()]))
    return noted(about_list(verdict(response, account.now), payload), outcome)


def digest(payload: Payload) -> str:
    """Of a payload that says how the profile is to be; empty for one that says what to do with it.

    A membership may have been ended meanwhile, and to append twice is not to append once.
    """
    does = any(payload.get(name) for name in OPERATIONS) or list_key(payload) != ("", "")
    return "" if does else model.digest(payload)


ACTION = Action(
    name="upsertProfile",
    title="Upsert Profile",
    description="Create a profile or update the one that has its identifiers.",
    trigger='type = "identify"',
    fields=(
        EMAIL,
        PHONE,
        COUNTRY,
        EXTERNAL_ID,
        *NAMES_AND_PLACES,
        PROPERTIES,
        *PROPERTY_OPERATIONS,
        LIST_ID,
        Field("override_list_id", description="Id of a list that goes before list_id."),
        LIST_NAME,
        PROFILE_ID,
        KX_FIELD,
    ),
    prepare=prepare,
    perform=perform,
    batch=BATCH,
    order=membership_if_listed,
    goes_before=("trackEvent", "orderCompleted"),  # what they set off at Klaviyo reads the profile
    digest=digest,
)
