"""``subscribeProfile``: the only action that gives consent."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from destination.action import Action, Batch, Payload
from destination.delivery import Delivered, Discard, Outcome
from destination.errors import Ended
from destination.fields import Field
from destination.klaviyo import requests
from destination.klaviyo.batch import send_rows
from destination.klaviyo.consent import (
    DECIDED_AT,
    STAMP,
    TOO_OLD,
    about_phone,
    decided,
    still_wanted,
    with_decision,
    with_reachable,
)
from destination.klaviyo.limits import BULK
from destination.klaviyo.lists import about_list, list_id, list_key
from destination.klaviyo.model import Json, profile
from destination.klaviyo.order import consent
from destination.klaviyo.payloads import (
    COUNTRY,
    EMAIL,
    LIST_ID,
    LIST_NAME,
    PHONE,
    with_time,
    without,
)
from destination.klaviyo.people import SAME_PERSON, by_person
from destination.klaviyo.resources import Profile
from destination.klaviyo.verdict import noted_for
from destination.sending import Account

LIMIT = BULK["bulk_subscribe_profiles"]

SOURCE = "-59"
"""The source that Segment names where the mapping names none; Klaviyo knows it as Segment's."""


def prepare(payload: Payload, now: float) -> Payload:
    """The payload with its identifiers and times checked. Raises ``Ended``.

    ``consented_at`` stays only with ``historical_import``, where Klaviyo demands it and wants it in
    the past; elsewhere Klaviyo refuses it.
    """
    ready = with_decision(with_reachable(payload), now, needed=True)
    ready["custom_source"] = payload.get("custom_source") or SOURCE
    if not payload.get("historical_import"):
        return {**without(ready, ["consented_at"]), "historical_import": False}
    ready = with_time(ready, "consented_at", now)
    if "consented_at" not in ready:
        message = "historical_import needs consented_at, the time when the person consented"
        raise Ended(Discard("missing_consented_at", message, "consented_at"))
    return ready


def group(payload: Payload) -> Hashable:
    """Rows of one request share list, source and whether the import is historical."""
    return (list_key(payload), payload["custom_source"], payload["historical_import"])


def perform(payload: Payload, account: Account) -> Outcome:
    """Subscribe one person to the channels whose identifiers are given."""
    return perform_batch([payload], account)[0]


def perform_batch(payloads: Sequence[Payload], account: Account) -> list[Outcome]:
    """Subscribe people of one ``group`` in one request, each person once.

    Who has unsubscribed since is left out. Of rows with the same identifiers the newest is sent and
    all share its outcome. A person whose phone number Klaviyo refuses is still subscribed by e-mail.
    """
    wanted = still_wanted(payloads, account)
    kept = [(index, each.payload) for index, each in enumerate(wanted) if each.payload is not None]
    sent = _each_once([payload for _index, payload in kept], account) if kept else []
    outcomes: list[Outcome] = [TOO_OLD] * len(payloads)
    for (index, payload), outcome in zip(kept, sent, strict=True):
        outcomes[index] = wanted[index].outcome(about_phone(outcome, payload))
    return outcomes


def _each_once(payloads: Sequence[Payload], account: Account) -> list[Outcome]:
    people, waiting = by_person(payloads)
    newest = [max(rows, key=lambda row: (decided(payloads[row], account), row)) for rows in people]
    sent = _to_list([payloads[row] for row in newest], account)
    outcomes: dict[int, Outcome] = dict.fromkeys(waiting, SAME_PERSON)
    for rows, outcome in zip(people, sent, strict=True):
        outcomes.update(dict.fromkeys(rows, outcome))
    return [outcomes[row] for row in range(len(payloads))]


def _to_list(payloads: Sequence[Payload], account: Account) -> list[Outcome]:
    try:
        target = list_id(payloads[0], account)
        outcomes = _subscribe(payloads, target, account)
    except Ended as ended:
        return [about_list(ended.outcome, payloads[0])] * len(payloads)
    by_email = [index for index, end in enumerate(outcomes) if _phone_refused(end, payloads[index])]
    if by_email:
        rest = [without(payloads[index], ["phone_number"]) for index in by_email]
        for index, outcome in zip(by_email, _subscribe(rest, target, account), strict=True):
            outcomes[index] = _without_phone(outcome, outcomes[index])
    return [about_list(outcome, payloads[0]) for outcome in outcomes]


def _subscribe(payloads: Sequence[Payload], target: str, account: Account) -> list[Outcome]:
    source, historical = payloads[0]["custom_source"], payloads[0]["historical_import"]
    outcomes = send_rows(
        payloads,
        lambda some: requests.bulk_subscribe_profiles(
            [_subscription(each) for each in some], target, source, historical=historical
        ),
        account,
        LIMIT,
    )
    return list(map(noted_for, outcomes, payloads))


def _subscription(payload: Payload) -> Profile:
    consent = {"consent": "SUBSCRIBED"}
    if payload["historical_import"]:
        consent["consented_at"] = payload["consented_at"]
    found: Json = {"subscriptions": {}}
    if "email" in payload:
        found["email"] = payload["email"]
        found["subscriptions"]["email"] = {"marketing": consent}
    if "phone_number" in payload:
        found["phone_number"] = payload["phone_number"]
        found["subscriptions"]["sms"] = {"marketing": consent}
    return profile(found)


def _phone_refused(outcome: Outcome, payload: Payload) -> bool:
    if not isinstance(outcome, Discard) or "email" not in payload or "phone_number" not in payload:
        return False
    said = f"{outcome.field} {outcome.message}".lower()
    return "phone" in said or "sms" in said


def _without_phone(outcome: Outcome, refusal: Outcome) -> Outcome:
    """The end of a row whose phone number was refused: a dead letter that says what was done."""
    if isinstance(outcome, Delivered) and isinstance(refusal, Discard):
        message = f"subscribed by e-mail but not by SMS: {refusal.message}"
        return Discard("sms_refused", message, "phone_number", refusal.status)
    return outcome


ACTION = Action(
    name="subscribeProfile",
    title="Subscribe Profile",
    description="Give a person's consent to marketing by e-mail, SMS or both.",
    trigger='type = "track" and event = "User Subscribed"',
    fields=(
        EMAIL,
        PHONE,
        COUNTRY,
        LIST_ID,
        LIST_NAME,
        Field("custom_source", description="Where the consent comes from, shown at Klaviyo."),
        Field(
            "historical_import",
            "boolean",
            description="Consent given in the past: no double opt-in mail, needs consented_at.",
        ),
        Field("consented_at", "datetime", description="When a historical consent was given."),
        DECIDED_AT,
    ),
    prepare=prepare,
    perform=perform,
    batch=Batch(LIMIT.rows, LIMIT.bytes, LIMIT.row_bytes, perform_batch, group),
    order=consent,
    stamp=STAMP,
)
