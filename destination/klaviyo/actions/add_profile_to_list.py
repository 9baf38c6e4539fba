"""``addProfileToList``: saves a profile and makes it a member of a list, without consent."""

from __future__ import annotations

from destination.action import Action, Payload
from destination.klaviyo.actions import upsert_profile
from destination.klaviyo.email import is_public_email
from destination.klaviyo.identifiers import with_identifiers
from destination.klaviyo.imports import BATCH
from destination.klaviyo.order import membership
from destination.klaviyo.payloads import (
    COUNTRY,
    EMAIL,
    EXTERNAL_ID_BOUNDED,
    LIST_ID,
    LIST_NAME,
    NAMES_AND_PLACES,
    PHONE,
    PROFILE_ID,
    PROPERTIES,
    PROPERTY_OPERATIONS,
    require_list,
)
from destination.klaviyo.token import KX_FIELD


def prepare(payload: Payload, _now: float) -> Payload:
    """The payload with its identifiers checked and a list. Raises ``Ended``.

    Only here Segment asks of an address that it ends like a public domain.
    """
    require_list(payload)
    return with_identifiers(payload, upsert_profile.WHO, is_public_email)


ACTION = Action(
    name="addProfileToList",
    title="Add Profile to List",
    description="Save a profile and make it a member of a list. Consent stays as it is.",
    trigger='event = "Audience Entered"',
    fields=(
        EMAIL,
        PHONE,
        LIST_ID,
        LIST_NAME,
        EXTERNAL_ID_BOUNDED,
        *NAMES_AND_PLACES,
        PROPERTIES,
        *PROPERTY_OPERATIONS,
        COUNTRY,
        PROFILE_ID,
        KX_FIELD,
    ),
    prepare=prepare,
    perform=upsert_profile.perform,
    batch=BATCH,
    order=membership,
)
