"""``trackEvent``: records an event of a profile, once however often it is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

from destination.action import Action, Batch, Payload
from destination.delivery import Discard, Outcome
from destination.fields import Field
from destination.klaviyo import requests
from destination.klaviyo.batch import send_rows
from destination.klaviyo.identifiers import EVENT, with_identifiers
from destination.klaviyo.limits import BULK, UNIQUE_ID
from destination.klaviyo.model import (
    PROFILE_ID,
    bulk_events,
    digest,
    event,
    event_problem,
    event_profile,
    event_times,
    person,
    short_id,
)
from destination.klaviyo.payloads import (
    COUNTRY,
    EMAIL,
    EXTERNAL_ID,
    PHONE,
    PROPERTY_OPERATIONS,
    with_time,
    without,
)
from destination.klaviyo.resources import BulkEvents
from destination.klaviyo.revision import shape
from destination.klaviyo.token import KX, KX_FIELD, KX_IGNORED, token_refused
from destination.klaviyo.verdict import noted_for, verdict, with_note
from destination.sending import Account

LIMIT = BULK["bulk_create_events"]

WHO = (*EVENT, KX)
"""What identifies the profile of an event: also the token that Klaviyo puts on its links."""

PROFILE_FIELD = Field(
    "profile",
    "object",
    required=True,
    additional=True,
    description="Who the event is about, and attributes of the profile to set.",
    properties=(
        EMAIL,
        PHONE,
        COUNTRY,
        EXTERNAL_ID,
        Field("anonymous_id", description="The browser's or device's id of the person."),
        KX_FIELD,
        *PROPERTY_OPERATIONS,
    ),
)
PROPERTIES_FIELD = Field(
    "properties", "object", required=True, description="Properties of the event."
)
EVENT_FIELDS = (
    Field(
        "time", "datetime", description="When it happened; without it, when Klaviyo hears of it."
    ),
    Field("value", "number", description="A monetary value of the event."),
    Field("value_currency", description="ISO 4217 code of the value's currency, such as USD."),
    Field("unique_id", description="Id by which Klaviyo tells a repeated event."),
    Field("backfill", "boolean", description="Record the event without triggering flows."),
    Field(PROFILE_ID, description="Klaviyo's own id of the profile; not your id of the person."),
)


def prepare(payload: Payload, now: float) -> Payload:
    """The payload with its profile and time checked and an id. Raises ``Ended``."""
    return identified(prepare_event(payload, now))


def prepare_event(payload: Payload, now: float) -> Payload:
    """The payload with its profile and time checked. Raises ``Ended``."""
    given = payload["profile"]
    profile = _beside_id(payload) if payload.get(PROFILE_ID) else with_identifiers(given, WHO)
    if profile is not given:
        payload = {**payload, "profile": profile}
    return with_time(payload, "time", now)


def _beside_id(payload: Payload) -> Payload:
    """The profile of a payload that has Klaviyo's own id, which is enough. Raises ``Ended``."""
    given = payload["profile"]
    found = with_identifiers({**given, "id": payload[PROFILE_ID]}, ("id", *WHO))
    return {**found, "id": given["id"]} if "id" in given else without(found, ["id"])


def identified(payload: Payload) -> Payload:
    """The payload with a ``unique_id`` that Klaviyo takes.

    An event with a time and without an id gets one from its content: Klaviyo's own default, the
    second it happened in, would keep one of two events of the same second. Without a time there is
    nothing that tells a repeated event from an equal one, so Klaviyo's default stays.
    """
    given = payload.get("unique_id")
    if given:
        short = len(given) <= UNIQUE_ID
        return payload if short else {**payload, "unique_id": short_id(given)}
    if "time" in payload:
        return {**payload, "unique_id": digest(payload)}
    return without(payload, ["unique_id"])


def perform(payload: Payload, account: Account) -> Outcome:
    """Record one event through Create Event."""
    now = shape(account.revision)
    problem = event_problem(payload, now, event_times(now, account.now))
    if problem:
        return problem
    request = requests.create_event(event(payload, now), event_profile(payload, now))
    outcome = verdict(account.send(request), account.now)
    again = _again(payload, outcome)
    return with_note(perform(again, account), KX_IGNORED) if again else outcome


def _again(payload: Payload, outcome: Outcome) -> Payload | None:
    """The event to send where its token may be why it was refused; None where it is not."""
    profile = payload["profile"]
    if KX not in profile or not token_refused({**profile, "id": payload.get(PROFILE_ID)}, outcome):
        return None
    return {**payload, "profile": without(profile, [KX])}


def perform_batch(payloads: Sequence[Payload], account: Account) -> list[Outcome]:
    """Record events through one bulk job, each wrapped with its profile.

    Klaviyo refuses a request in which a (profile, metric, unique_id) occurs twice, so equal ones
    are sent once and share their outcome.
    """
    now = shape(account.revision)
    times = event_times(now, account.now)
    keys = _keys(payloads)
    problems: list[Discard | None] = []
    unique: dict[Hashable, BulkEvents] = {}
    for key, payload in zip(keys, payloads, strict=True):
        problem = event_problem(payload, now, times)
        problems.append(problem)
        if problem is None and key not in unique:
            unique[key] = bulk_events(event_profile(payload, None), event(payload, now))
    sent = send_rows(list(unique.values()), requests.bulk_create_events, account, LIMIT)
    by_key = dict(zip(unique, sent, strict=True))
    outcomes = [
        problem or noted_for(by_key[key], payload["profile"])
        for key, payload, problem in zip(keys, payloads, problems, strict=True)
    ]
    return _without_tokens(payloads, outcomes, account)


def _without_tokens(
    payloads: Sequence[Payload], outcomes: list[Outcome], account: Account
) -> list[Outcome]:
    """The outcomes after those were tried again whose token may have run out."""
    again = {
        index: left
        for index, (payload, outcome) in enumerate(zip(payloads, outcomes, strict=True))
        if isinstance(outcome, Discard) and (left := _again(payload, outcome))
    }
    if again:
        ends = perform_batch(list(again.values()), account)
        for index, end in zip(again, ends, strict=True):
            outcomes[index] = with_note(end, KX_IGNORED)
    return outcomes


def _keys(payloads: Sequence[Payload]) -> list[Hashable]:
    """Per payload what is the same for events that Klaviyo takes for one.

    Most ``unique_id`` occur once, and then nothing else needs to be looked at.
    """
    ids = [payload.get("unique_id") for payload in payloads]
    if len(set(ids)) == len(ids):
        return list(range(len(ids)))
    times = Counter(ids)
    return [
        (payload.get(PROFILE_ID), person(payload["profile"]), payload["metric_name"], unique)
        if unique and times[unique] > 1
        else index
        for index, (payload, unique) in enumerate(zip(payloads, ids, strict=True))
    ]


ACTION = Action(
    name="trackEvent",
    title="Track Event",
    description="Record an event of a profile, which is made if there is none.",
    trigger='type = "track"',
    fields=(
        PROFILE_FIELD,
        Field("metric_name", required=True, description="Name of the event's metric."),
        PROPERTIES_FIELD,
        *EVENT_FIELDS,
    ),
    prepare=prepare,
    perform=perform,
    quiet="backfill",
    batch=Batch(LIMIT.rows, LIMIT.bytes, LIMIT.row_bytes, perform_batch, scarce=True),
)
