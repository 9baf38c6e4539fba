"""Where we do otherwise than Segment's Klaviyo destination on purpose.

``deviate`` and ``ends_otherwise`` hold every deliberate deviation, each a named rule about a kind
of case, never about one case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from urllib.parse import unquote

from klaviyo_script import NOW

from destination.delivery import Outcome
from destination.klaviyo.email import is_email
from destination.klaviyo.model import EVENT_PROFILE
from destination.klaviyo.times import to_iso
from destination.sending import Request

Json = dict[str, Any]


def seen(request: Request) -> Json:
    """A request of ours in the form that is compared."""
    query = dict(request.query)
    query.pop("page[size]", None)  # rule: look-ups ask for full pages
    return {
        "method": request.method,
        "path": request.path,
        "filter": query.get("filter"),
        "json": request.json,
    }


def recorded(request: Json) -> Json:
    """A request of Segment's in the same form, with what it meant to ask for in the filter."""
    path, _, query = request["path"].partition("?")
    return {
        "method": request["method"],
        "path": path.rstrip("/"),
        "filter": unquote(query.removeprefix("filter=")) if query else None,
        "json": request.get("json"),
    }


def same(ours: list[Json], theirs: list[Json]) -> bool:
    """Equal but for the order of what Segment sends at once."""
    return sorted(map(text, ours)) == sorted(map(text, theirs))


def text(value: Any) -> str:
    """JSON with numbers by value and keys in order."""
    return json.dumps(normal(value), sort_keys=True)


def normal(value: Any) -> Any:
    """Whole numbers as integers."""
    if isinstance(value, dict):
        return {key: normal(each) for key, each in value.items()}
    if isinstance(value, list):
        return [normal(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


Pair = tuple[list[Json], list[Json]]
Rule = Callable[[Json, list[Json], list[Json]], Pair]


def rows_together(_case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Rows are compared, not how they are spread over requests.

    Bulk requests are as full as Klaviyo allows; Segment subscribes by the hundred.
    """
    return merged(ours), merged(theirs)


def merged(requests: list[Json]) -> list[Json]:
    """Bulk requests that differ in their rows only, as one."""
    result: list[Json] = []
    rows_by_envelope: dict[str, list[Any]] = {}
    for request in deepcopy(requests):
        rows = rows_of(request)
        if rows is None:
            result.append(request)
        elif envelope(request) in rows_by_envelope:
            rows_by_envelope[envelope(request)].extend(rows)
        else:
            rows_by_envelope[envelope(request)] = rows
            result.append(request)
    return result


def rows_of(request: Json) -> list[Any] | None:
    """The rows of a bulk request, None for another."""
    attributes = (request["json"] or {}).get("data") or {}
    attributes = attributes.get("attributes", {}) if isinstance(attributes, dict) else {}
    bulk = attributes.get("profiles") or attributes.get("events-bulk-create")
    return bulk["data"] if bulk else None


def envelope(request: Json) -> str:
    """A request without its rows."""
    copy = deepcopy(request)
    rows = rows_of(copy)
    if rows is not None:
        rows.clear()
    return text(copy)


def bad_rows_are_searched(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """A refused batch is sent again without its bad rows, and a bad row is tried alone."""
    refused = any(each.get("status") in (400, 413, 422) for each in case["responses"])
    if case["mode"] == "batch" and refused:
        return ours[: len(theirs)], theirs
    return ours, theirs


def conflict_without_id_is_looked_up(_case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """A 409 that names no profile leads to a look-up; Segment's code fails there."""
    extra = ours[len(theirs) :]
    if theirs and all(
        each["path"] == "/api/profiles" and each["method"] == "GET" for each in extra
    ):
        return ours[: len(theirs)], theirs
    return ours, theirs


def added_profiles_are_updated(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Adding a known person to a list updates the profile too, as Segment's batch form does."""
    if case["action"] != "addProfileToList" or case["mode"] != "single":
        return ours, theirs
    kept = [each for each in ours if each["method"] != "PATCH"]
    return kept, theirs


def product_ids_are_derived(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """A product's id comes from its order; Segment's is random."""
    if case["action"] != "orderCompleted":
        return ours, theirs
    ours = deepcopy(ours)
    for line, each in enumerate(ours[1:]):
        attributes = each["json"]["data"]["attributes"]
        base = ours[0]["json"]["data"]["attributes"]["unique_id"]
        assert attributes["unique_id"] == f"{base}:{line}"
        attributes["unique_id"] = "<uuid>"
    return ours, theirs


def events_always_have_an_id(_case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """An event with a time and without an id gets one from its content."""
    given = [each.get("unique_id") for each in events(theirs)]
    ours = deepcopy(ours)
    for each, theirs_id in zip(events(ours), given, strict=False):
        if theirs_id is None and re.fullmatch("[0-9a-f]{32}", each.get("unique_id", "")):
            del each["unique_id"]
    return ours, theirs


def events(requests: list[Json]) -> list[Json]:
    """The attributes of all events in requests."""
    found = []
    for request in requests:
        if request["path"] == "/api/events":
            found.append(request["json"]["data"]["attributes"])
        elif request["path"] == "/api/event-bulk-create-jobs":
            for row in rows_of(request) or []:
                found += [each["attributes"] for each in row["attributes"]["events"]["data"]]
    return found


def event_profiles(requests: list[Json]) -> list[Json]:
    """The attributes of all profiles of events in requests."""
    found = []
    for request in requests:
        if request["path"] == "/api/events":
            found.append(request["json"]["data"]["attributes"]["profile"]["data"]["attributes"])
        elif request["path"] == "/api/event-bulk-create-jobs":
            found += [
                row["attributes"]["profile"]["data"]["attributes"] for row in rows_of(request) or []
            ]
    return found


def profiles_hold_what_klaviyo_knows(_case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """What is no attribute of a profile goes into its properties; the country code goes nowhere."""
    theirs = deepcopy(theirs)
    for profile in event_profiles(theirs):
        profile.pop("country_code", None)
        others = {name: profile.pop(name) for name in list(profile) if name not in EVENT_PROFILE}
        if others:
            profile["properties"] = {**others, **profile.get("properties", {})}
    return ours, theirs


def empty_texts_are_left_out(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """An empty text at the top of a payload counts as absent in a batch as it does alone."""
    theirs = deepcopy(theirs)
    if case["mode"] == "batch":
        for request in theirs:
            for row in rows_of(request) or []:
                blank = [name for name, value in row["attributes"].items() if value == ""]
                for name in blank:
                    del row["attributes"][name]
    return ours, theirs


def consent_times_are_iso(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """``consented_at`` is written as Klaviyo documents it; Segment passes on what it got."""
    if case["action"] != "subscribeProfile":
        return ours, theirs
    theirs = deepcopy(theirs)
    for request in theirs:
        for row in rows_of(request) or []:
            for channel in row["attributes"]["subscriptions"].values():
                if "consented_at" in channel["marketing"]:
                    at = channel["marketing"]["consented_at"]
                    channel["marketing"]["consented_at"] = to_iso(at, NOW)
    return ours, theirs


def equal_events_are_sent_once(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Klaviyo refuses a bulk request that holds an event twice."""
    if case["action"] == "trackEvent" and case["mode"] == "batch":
        theirs = deepcopy(theirs)
        for request in theirs:
            rows = rows_of(request) or []
            first: dict[str, Json] = {}
            for row in rows:
                first.setdefault(event_key(row), row)
            rows[:] = first.values()
    return ours, theirs


def event_key(row: Json) -> str:
    """What Klaviyo tells events apart by."""
    attributes = row["attributes"]["events"]["data"][0]["attributes"]
    who = row["attributes"]["profile"]["data"]["attributes"]
    names = {
        name: who.get(name) for name in ("email", "external_id", "phone_number", "anonymous_id")
    }
    return text([names, attributes["metric"], attributes.get("unique_id", row)])


def people_are_imported_once(_case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Rows with the same identifiers are one profile of an import, the later values over the earlier."""
    theirs = deepcopy(theirs)
    for request in theirs:
        if request["path"] != "/api/profile-bulk-import-jobs":
            continue
        people: dict[str, Json] = {}
        for row in rows_of(request) or []:
            found = row["attributes"]
            who = text([found.get(name) for name in ("email", "external_id", "phone_number")])
            known = people.setdefault(who, {})
            nested = {
                name: {**known.get(name, {}), **found[name]}
                for name in ("properties", "location")
                if isinstance(found.get(name), dict)
            }
            people[who] = {**known, **found, **nested}
        (rows_of(request) or [])[:] = [
            {"type": "profile", "attributes": found} for found in people.values()
        ]
    return ours, theirs


def lists_are_kept_apart(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Rows for different lists go in different requests; Segment takes the list of the first row."""
    if case["mode"] != "batch" or len(lists_of(ours)) <= len(lists_of(theirs)):
        return ours, theirs
    ours, theirs = deepcopy(ours), deepcopy(theirs)
    for request in (*ours, *theirs):
        request["json"]["data"].pop("relationships", None)
    return ours, theirs


def lists_of(requests: list[Json]) -> set[str]:
    """The lists that import jobs are for."""
    return {
        text(request["json"]["data"].get("relationships"))
        for request in requests
        if request["path"] == "/api/profile-bulk-import-jobs"
    }


def each_value_is_looked_up_once(_case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Rows that share an identifier ask for it once."""
    theirs = deepcopy(theirs)
    for request in theirs:
        if request["filter"]:
            field, _, values = request["filter"].partition(",")
            listed = json.loads(values.removesuffix(")"))
            once = json.dumps(
                list(dict.fromkeys(listed)), separators=(",", ":"), ensure_ascii=False
            )
            request["filter"] = f"{field},{once})"
    return ours, theirs


def addresses_of_orders_are_checked(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """What is no e-mail address is refused before an order is sent, as for any other event."""
    if case["action"] == "orderCompleted" and not ours and theirs:
        who = theirs[0]["json"]["data"]["attributes"]["profile"]["data"]["attributes"]
        if not is_email(who.get("email", "a@acme.io")):
            return [], []
    return ours, theirs


RULES: tuple[Rule, ...] = (
    addresses_of_orders_are_checked,
    each_value_is_looked_up_once,
    people_are_imported_once,
    lists_are_kept_apart,
    bad_rows_are_searched,
    conflict_without_id_is_looked_up,
    added_profiles_are_updated,
    product_ids_are_derived,
    events_always_have_an_id,
    profiles_hold_what_klaviyo_knows,
    empty_texts_are_left_out,
    consent_times_are_iso,
    equal_events_are_sent_once,
    rows_together,
)


def deviate(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Both sides with every deliberate deviation taken out."""
    for rule in RULES:
        ours, theirs = rule(case, ours, theirs)
    return ours, theirs


NEVER_SENT = {
    "missing_identifier",
    "invalid_email",
    "invalid_phone_number",
    "payload_invalid",
}


def ends_otherwise(case: Json, outcome: Outcome) -> bool:
    """Whether an event ends otherwise than at Segment on purpose."""
    code = getattr(outcome, "code", "")
    first = case["responses"][0]
    return (
        # Who is not known is on no list: that is what was asked for. A profile that vanished between
        # two requests is made again. A job without an id cannot be watched, so it is sent again.
        code in ("profile_not_found", "profile_gone", "unreadable_answer")
        # A row that is not sent is not reported as delivered.
        or (case["mode"] == "batch" and "scribe" in case["action"] and code in NEVER_SENT)
        or (case["action"] == "orderCompleted" and code == "payload_invalid")
        # Refused batches are sent again without their bad rows.
        or (case["mode"] == "batch" and first.get("status") in (400, 413, 422))
        # A conflict that names no profile is looked up.
        or (first.get("status") == 409 and "duplicate_profile_id" not in text(first))
    )
