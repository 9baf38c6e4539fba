"""Events: record, read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from destination.sandbox.calls.call import ACCEPTED, Answer, Call, Handler
from destination.sandbox.calls.documents import reference, related, resource, single
from destination.sandbox.calls.filters import conditions, matching
from destination.sandbox.calls.metrics import metric_document
from destination.sandbox.calls.paging import collection
from destination.sandbox.calls.profiles import PARTIAL, profile_document
from destination.sandbox.calls.rules import (
    ANONYMOUS,
    check_event,
    check_identifiers,
    lacks_identifier,
    no_identifier,
    oversize,
)
from destination.sandbox.clock import moment, written
from destination.sandbox.errors import Problem, Refused, invalid, not_found
from destination.sandbox.world import profiles as world
from destination.sandbox.world.account import Dropped
from destination.sandbox.world.events import Event
from destination.sandbox.world.profiles import Clash, Profile

MOST_EVENTS = 1000
PLACE = "/data/attributes/events-bulk-create/data"
TEST_DOMAINS = ("@example.com", "@test.com")


def create_event(call: Call) -> Answer:
    """POST /events: 202, whatever becomes of it later."""
    attributes = call.body["data"]["attributes"]
    pointer = "/data/attributes"
    person = dict(attributes["profile"]["data"])
    problems, dropped = _check_person(call, person, f"{pointer}/profile/data", call.size)
    problems += check_event(attributes, pointer, call.now)
    if problems:
        raise Refused(400, problems)
    # In this revision the profile's meta stands among its attributes, here alone.
    person["meta"] = person["attributes"].pop("meta", None)
    _record(call, person, [attributes], backfill=bool(attributes.get("backfill")))
    return Answer(202, None, PARTIAL) if dropped else ACCEPTED


def bulk_create_events(call: Call) -> Answer:
    """POST /event-bulk-create-jobs: 202 and no job, or 400 for all."""
    groups = call.body["data"]["attributes"]["events-bulk-create"]["data"]
    total = sum(len(group["attributes"]["events"]["data"]) for group in groups)
    if not 1 <= total <= MOST_EVENTS:
        raise invalid(f"1 to {MOST_EVENTS} events may be given, not {total}.", PLACE)
    problems: list[Problem] = []
    people: list[dict[str, Any]] = []
    any_dropped = False
    for index, group in enumerate(groups):
        person = dict(group["attributes"]["profile"]["data"])
        found, dropped = _check_group(call, person, group, f"{PLACE}/{index}/attributes")
        problems += found
        people.append(person)
        any_dropped = any_dropped or dropped
    if problems:
        raise Refused(400, problems)
    if call.switches.duplicate_events == "refuse":
        _refuse_duplicates(people, groups)
    for person, group in zip(people, groups, strict=True):
        rows = [each["attributes"] for each in group["attributes"]["events"]["data"]]
        _record(call, person, rows, backfill=bool(group["attributes"].get("backfill")))
    return Answer(202, None, PARTIAL) if any_dropped else ACCEPTED


def get_events(call: Call) -> Answer:
    """GET /events: an event shows some time after it was accepted."""
    visible = [each for each in call.account.events.ordered() if _shown(call, each)]
    items = matching(visible, conditions(call), read)
    return collection(
        call,
        items,
        lambda each: event_document(call, each),
        read=read,
        order="timestamp",
        include=lambda page: _included(call, page),
    )


def get_event(call: Call) -> Answer:
    """GET /events/{id}."""
    event = _known(call)
    included = _included(call, [event]) if call.asked("include") else None
    return single(call, 200, event_document(call, event), included)


def get_metric_for_event(call: Call) -> Answer:
    """GET /events/{id}/metric."""
    return single(call, 200, metric_document(call, _known(call).metric))


def get_metric_id_for_event(call: Call) -> Answer:
    """GET /events/{id}/relationships/metric."""
    return _to_one(call, "metric", _known(call).metric.id)


def get_profile_for_event(call: Call) -> Answer:
    """GET /events/{id}/profile."""
    profile = call.account.profiles.get(_known(call).profile or "")
    if profile is None:
        raise not_found("profile", "of the event")
    return single(call, 200, profile_document(call, profile))


def get_profile_id_for_event(call: Call) -> Answer:
    """GET /events/{id}/relationships/profile."""
    return _to_one(call, "profile", _known(call).profile)


def event_document(call: Call, event: Event) -> dict[str, Any]:
    """An event as the API shows it, value and unique id among its properties."""
    properties = {**event.properties, "$event_id": event.unique_id}
    if event.value is not None or event.metric.valued:
        properties["$value"] = event.value or 0
    if event.currency is not None:
        properties["$value_currency"] = event.currency
    attributes = {
        "timestamp": event.timestamp,
        "event_properties": properties,
        "datetime": written(event.timestamp),
        "uuid": event.uuid,
    }
    document = resource(call, "event", event.id, attributes, {"attributions": None})
    link = document["links"]["self"]
    owner = reference("profile", event.profile) if event.profile else None
    metric = reference("metric", event.metric.id)
    document["relationships"]["profile"] = {**related(link, "profile", None), "data": owner}
    document["relationships"]["metric"] = related(link, "metric", metric)
    return document


def read(event: Event, field: str) -> Any:
    """What a filter or sort on ``field`` sees."""
    if field == "metric_id":
        return event.metric.id
    if field == "profile_id":
        return event.profile
    return event.timestamp if field == "datetime" else getattr(event, field, None)


def _check_person(
    call: Call, person: dict[str, Any], pointer: str, size: int
) -> tuple[list[Problem], bool]:
    person["attributes"] = attributes = dict(person["attributes"])
    names = ANONYMOUS if not person.get("id") else (*ANONYMOUS, "id")
    known = {**attributes, "id": person.get("id")}
    forgive = call.switches.partial_failure
    problems, dropped = check_identifiers(
        known, f"{pointer}/attributes", forgive_phone=forgive, names=names
    )
    if dropped:
        del attributes["phone_number"]
    if lacks_identifier(known, names) and not problems:
        problems.append(no_identifier(f"{pointer}/attributes", ANONYMOUS))
    if size > call.switches.profile_bytes:
        problems += oversize(person, pointer, call.switches.profile_bytes, "profile")
    return problems, dropped


def _check_group(
    call: Call, person: dict[str, Any], group: Mapping[str, Any], pointer: str
) -> tuple[list[Problem], bool]:
    problems, dropped = _check_person(call, person, f"{pointer}/profile/data", call.size)
    for row, event in enumerate(group["attributes"]["events"]["data"]):
        place = f"{pointer}/events/data/{row}/attributes"
        problems += check_event(event["attributes"], place, call.now)
    return problems, dropped


def _refuse_duplicates(
    people: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]]
) -> None:
    seen: Counter[tuple[str, str, str]] = Counter()
    problems = []
    for index, (person, group) in enumerate(zip(people, groups, strict=True)):
        names = {**person["attributes"], "id": person.get("id")}
        who = next(str(names[name]) for name in ("id", *ANONYMOUS) if names.get(name))
        for row, event in enumerate(group["attributes"]["events"]["data"]):
            attributes = event["attributes"]
            if not attributes.get("unique_id"):
                continue
            metric = attributes["metric"]["data"]["attributes"]["name"]
            key = (who.lower(), metric, attributes["unique_id"])
            seen[key] += 1
            if seen[key] > 1:
                pointer = f"{PLACE}/{index}/attributes/events/data/{row}/attributes/unique_id"
                detail = "The unique_id is repeated for one profile and metric in this request."
                problems.append(Problem(detail, pointer))
    if problems:
        raise Refused(400, problems)


def _record(
    call: Call, person: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], *, backfill: bool
) -> None:
    account, attributes = call.account, person["attributes"]
    email = attributes.get("email") or ""
    if call.switches.drop_test_domains and email.lower().endswith(TEST_DOMAINS):
        account.dropped.append(Dropped("event", f"test domain: {email}", call.now))
        return
    profile = _owner(call, person)
    if profile is None:
        account.dropped.append(Dropped("event", f"unknown profile id {person['id']}", call.now))
        return
    nulls = call.switches.event_nulls_clear
    world.apply(account.profiles, profile, attributes, call.now, nulls=nulls)
    try:
        world.patch(account.profiles, profile, person.get("meta"))
    except Clash as clash:
        account.dropped.append(Dropped("patch_identifiers", str(clash), call.now))
    for row in rows:
        named = row["metric"]["data"]["attributes"]
        metric = account.metrics.named(named["name"], named.get("service") or "api", call.now)
        at = moment(row["time"]) if row.get("time") else call.now
        own = bool(row.get("backfill"))
        event = account.events.record(
            profile.id, metric, row, at, call.now, backfill=backfill or own
        )
        if event is not None:
            profile.last_event = max(profile.last_event or at, at)


def _owner(call: Call, person: Mapping[str, Any]) -> Profile | None:
    profiles = call.account.profiles
    if person.get("id"):
        return profiles.get(person["id"])
    owners = profiles.owners(person["attributes"])
    return owners[0][1] if owners else profiles.create(call.now)


def _shown(call: Call, event: Event) -> bool:
    return event.received + call.switches.event_seconds <= call.now


def _known(call: Call) -> Event:
    event = call.account.events.get(call.id)
    if event is None or not _shown(call, event):
        raise not_found("event", call.id)
    return event


def _included(call: Call, page: Sequence[Event]) -> list[Any]:
    included: list[Any] = []
    if "metric" in call.asked("include"):
        metrics = {each.metric.id: each.metric for each in page}
        included += [metric_document(call, each) for each in metrics.values()]
    if "profile" in call.asked("include"):
        ids = dict.fromkeys(each.profile for each in page if each.profile)
        owners = [call.account.profiles.get(each) for each in ids]
        included += [profile_document(call, each) for each in owners if each is not None]
    return included


def _to_one(call: Call, kind: str, identifier: str | None) -> Answer:
    link = f"{call.link_base}/api/events/{call.id}"
    data = reference(kind, identifier) if identifier else None
    return Answer(200, {**related(link, kind, None), "data": data})


HANDLERS: Mapping[str, Handler] = {
    "create_event": create_event,
    "bulk_create_events": bulk_create_events,
    "get_events": get_events,
    "get_event": get_event,
    "get_metric_for_event": get_metric_for_event,
    "get_metric_id_for_event": get_metric_id_for_event,
    "get_profile_for_event": get_profile_for_event,
    "get_profile_id_for_event": get_profile_id_for_event,
}
