"""Where we do otherwise than Segment's Klaviyo destination on purpose.

``deviate`` and ``ends_otherwise`` hold every deliberate deviation, each a named rule about a kind
of case, never about one case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy

from destination.delivery import Outcome
from destination.klaviyo.email import is_email
from destination.klaviyo.model import EVENT_PROFILE, short_id
from destination.klaviyo.times import to_iso
from tests.unit.klaviyo.klaviyo_script import NOW
from tests.unit.klaviyo.segment_forms import (
    Json,
    event_key,
    event_profiles,
    events,
    lists_of,
    merged,
    rows_of,
    text,
)

Pair = tuple[list[Json], list[Json]]
Rule = Callable[[Json, list[Json], list[Json]], Pair]


def rows_together(_case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Rows are compared, not how they are spread over requests.

    Bulk requests are as full as Klaviyo allows; Segment subscribes by the hundred.
    """
    return merged(ours), merged(theirs)


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
    ours, theirs = deepcopy(ours), deepcopy(theirs)
    for each in events(theirs):
        if each.get("unique_id") == "":
            del each["unique_id"]
    for each, theirs_id in zip(events(ours), given, strict=False):
        if not theirs_id and re.fullmatch("[0-9a-f]{32}", each.get("unique_id", "")):
            del each["unique_id"]
    return ours, theirs


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
    hooked = "retlOnMappingSave" in case["mapping"]  # its place differs between Segment's two forms
    if case["mode"] != "batch" or (len(lists_of(ours)) <= len(lists_of(theirs)) and not hooked):
        return ours, theirs
    if case["action"].startswith("remove"):
        return [], []
    ours, theirs = deepcopy(ours), deepcopy(theirs)
    for request in (*ours, *theirs):
        if rows_of(request) is not None:
            request["json"]["data"].pop("relationships", None)
    return ours, theirs


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


def unfit_rows_are_not_sent(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Addresses and times that Klaviyo refuses are refused before sending."""
    unfit = case["mode"] == "single" and not ours and theirs
    return ([], []) if unfit and (bad_addresses(theirs) or bad_times(theirs)) else (ours, theirs)


def bad_addresses(requests: list[Json]) -> bool:
    """Whether requests hold an address that Klaviyo does not take."""
    found = re.findall(r'"email": "([^"]*)"', text(requests))
    return any(not is_email(each) for each in found)


def bad_times(requests: list[Json]) -> bool:
    """Whether requests hold a time that Klaviyo does not take."""
    for each in events(requests):
        try:
            to_iso(each.get("time", NOW), NOW)
        except ValueError:
            return True
    return False


def failed_products_end_the_sending(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Products follow one another, and none follows a failure; Segment sends them at once."""
    failed = any(each.get("status", 500) >= 300 for each in case["responses"][1:])
    if case["action"] == "orderCompleted" and failed:
        return ours, theirs[: len(ours)]
    return ours, theirs


def long_ids_are_shortened(_case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """A ``unique_id`` is no longer than Klaviyo takes."""
    theirs = deepcopy(theirs)
    for each in events(theirs):
        if "unique_id" in each:
            each["unique_id"] = short_id(each["unique_id"])
    return ours, theirs


def nobody_is_added_without_a_profile(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Where creating the profile fails, no list request follows."""
    if case["action"] == "addProfileToList" and case["mode"] == "single" and not created(case):
        return ours, theirs[:1]
    return ours, theirs


def created(case: Json) -> bool:
    """Whether the first answer leaves a profile to go on with."""
    status: int = case["responses"][0].get("status", 500)
    return status < 300 or status == 409


def a_conflict_about_the_list_is_none_about_the_profile(
    case: Json, ours: list[Json], theirs: list[Json]
) -> Pair:
    """Segment updates the profile again after a 409 of the list request."""
    methods = [each["method"] for each in theirs]
    if case["action"] == "upsertProfile" and methods[:3] == ["POST", "POST", "PATCH"]:
        return ours, theirs[:2]
    return ours, theirs


def any_number_of_groups_is_sent(_case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Segment refuses a batch of more than nine lists and sources."""
    return ([], []) if len(merged(ours)) > 9 and not theirs else (ours, theirs)


RULES: tuple[Rule, ...] = (
    unfit_rows_are_not_sent,
    failed_products_end_the_sending,
    long_ids_are_shortened,
    nobody_is_added_without_a_profile,
    a_conflict_about_the_list_is_none_about_the_profile,
    any_number_of_groups_is_sent,
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


NEVER_SENT = {"missing_identifier", "invalid_email", "invalid_phone_number", "payload_invalid"}
OUR_RANGE = {"invalid_email", "invalid_time", "time_out_of_range", "too_large"}
OUR_STEPS = {"profile_not_found", "profile_gone", "unreadable_answer", "refused_by_klaviyo"}
OUR_STATUSES = {410, 423, 425, *range(300, 400)}


def ends_otherwise(case: Json, outcome: Outcome) -> bool:
    """Whether an event ends otherwise than at Segment on purpose."""
    code = getattr(outcome, "code", "")
    statuses = [each.get("status", 0) for each in case["responses"]]
    batch = case["mode"] == "batch"
    return (
        # Who is not known is on no list: that is what was asked for. A profile that vanished between
        # two requests is made again. A job without an id cannot be watched, so it is sent again. A
        # conflict about a list is none about a profile.
        code in OUR_STEPS
        # What Klaviyo would refuse is refused before sending.
        or code in OUR_RANGE
        or (case["action"] == "orderCompleted" and code == "payload_invalid")
        # A row that is not sent is not reported as delivered.
        or (batch and "scribe" in case["action"] and code in NEVER_SENT)
        # Any number of lists and sources may be in a batch.
        or (batch and "scribe" in case["action"] and code == "accepted_by_klaviyo")
        # Refused batches are sent again without their bad rows; other refusals are no retry.
        or (batch and statuses[0] in (400, 413, 422))
        or (batch and case["action"] == "trackEvent" and 400 <= statuses[0] < 500)
        # What is for a list that is not there waits for somebody to act.
        or code == "list_not_found"
        # A conflict that names no profile is looked up.
        or (statuses[0] == 409 and "duplicate_profile_id" not in text(case["responses"][0]))
        # A failure to create is what it is, whatever the list request would have said.
        or (case["action"] == "addProfileToList" and not batch and not created(case))
        # Our table of statuses.
        or bool(OUR_STATUSES & set(statuses))
    )
