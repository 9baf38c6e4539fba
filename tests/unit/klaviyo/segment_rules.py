"""Where we do otherwise than Segment's Klaviyo destination on purpose.

``deviate`` and ``segment_ends.ends_otherwise`` hold every deliberate deviation, each a named rule
about a kind of case, never about one case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy

from destination.klaviyo.email import is_email
from destination.klaviyo.model import EVENT_PROFILE, IDENTIFIERS, LOCATION, short_id
from destination.klaviyo.times import to_iso
from tests.unit.klaviyo.klaviyo_script import NOW
from tests.unit.klaviyo.segment_forms import (
    Json,
    event_key,
    event_profiles,
    events,
    merged,
    rows_of,
    text,
)
from tests.unit.klaviyo.segment_inputs import (
    bad_phone,
    blank,
    created,
    is_unix_time,
    mapped,
    odd_address,
    odd_country,
    readable,
    rows_that_overlap,
    several_lists,
    unreadable_phone,
)

EVENT_IDENTIFIERS = (*IDENTIFIERS, "anonymous_id", "_kx")

Pair = tuple[list[Json], list[Json]]
Rule = Callable[[Json, list[Json], list[Json]], Pair]


def rows_together(_case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Rows are compared, not their order nor how they are spread over requests.

    Bulk requests are as full as Klaviyo allows, and a row that shares an identifier with another one
    goes in the next; Segment subscribes by the hundred.
    """
    return in_order(merged(ours)), in_order(merged(theirs))


def in_order(requests: list[Json]) -> list[Json]:
    """Bulk requests with their rows in an order that does not depend on where they came from."""
    for request in requests:
        (rows_of(request) or []).sort(key=text)
    return requests


def rows_that_wait_are_not_sent(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Where the first request gets no success, rows that share an identifier with it still wait."""
    answered = case["responses"][0].get("status", 500) < 300
    if case["mode"] == "single" or answered or not rows_that_overlap(case):
        return ours, theirs
    theirs = deepcopy(theirs)
    mine = {text(row) for request in ours for row in rows_of(request) or []}
    for request in theirs:
        rows = rows_of(request) or []
        rows[:] = [row for row in rows if text(row) in mine]
    return ours, theirs


def bad_rows_are_searched(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """A refused batch is sent again without its bad rows, and a bad row is tried alone."""
    refused = any(each.get("status") in (400, 404, 413, 422) for each in case["responses"])
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
        assert attributes["unique_id"] == short_id(f"{base}:{line}")
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
        if isinstance(profile.get("location"), dict):
            profile["location"] = {
                name: value for name, value in profile["location"].items() if name in LOCATION
            }
        for name in [each for each in EVENT_IDENTIFIERS if profile.get(each) == ""]:
            del profile[name]
        if others:
            own = profile.get("properties")
            profile["properties"] = {**others, **(own if isinstance(own, dict) else {})}
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
                at = channel["marketing"].get("consented_at")
                if readable(at):
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


def people_are_imported_once(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Rows with the same identifiers are one profile of an import, the later values over the earlier.

    With rows of others between them that share an identifier they go in several requests.
    """
    if rows_that_overlap(case):
        ours = imported_once(merged(ours))
    return ours, imported_once(theirs)


def imported_once(theirs: list[Json]) -> list[Json]:
    """Imports with one profile for each set of identifiers."""
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
    return theirs


def lists_are_kept_apart(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Rows for different lists go in different requests; Segment takes the list of the first row."""
    if not several_lists(case) or "scribe" in case["action"]:
        return ours, theirs
    if case["action"].startswith("remove"):
        return [], []
    ours, theirs = deepcopy(ours), deepcopy(theirs)
    for request in (*ours, *theirs):
        if rows_of(request) is not None:
            request["json"]["data"].pop("relationships", None)
    return imported_once(merged(ours)), imported_once(merged(theirs))


def blanks_count_as_absent(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """In a batch as alone; Segment keeps empty texts in a batch, where some fields refuse them."""
    return ([], []) if blank(case) else (ours, theirs)


def people_are_asked_for_once(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Rows that decide the same for the same addresses are one; of consents of the past the newest."""
    if "scribe" not in case["action"] or case["mode"] == "single":
        return ours, theirs
    ours, theirs = merged(ours), merged(theirs)
    for request in (*ours, *theirs):
        people: dict[str, Json] = {}
        rows = rows_of(request) or []
        for row in sorted(rows, key=text):
            names = [row["attributes"].get(name) for name in ("email", "phone_number")]
            people[text(names)] = row
        rows[:] = people.values()
    return ours, theirs


def bad_phones_cost_nobody_their_email(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """In a batch too: rows that Segment drops for the phone number are not compared."""
    if case["mode"] == "single" or "scribe" not in case["action"]:
        return ours, theirs
    emails = {text(each.get("email")) for each in mapped(case) if unreadable_phone(each)}
    ours, theirs = deepcopy(ours), deepcopy(theirs)
    for request in (*ours, *theirs):
        rows = rows_of(request) or []
        rows[:] = [row for row in rows if text(row["attributes"].get("email")) not in emails]
    return ([each for each in ours if rows_of(each)], [each for each in theirs if rows_of(each)])


def each_value_is_looked_up_once(_case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Rows that share an identifier ask for it once."""
    theirs = deepcopy(theirs)
    for request in theirs:
        if request["filter"]:
            field, _, values = request["filter"].partition(",")
            try:
                listed = json.loads(values.removesuffix(")"))
            except ValueError:  # not encoded, so that parts of it got lost
                continue
            once = json.dumps(
                list(dict.fromkeys(listed)), separators=(",", ":"), ensure_ascii=False
            )
            request["filter"] = f"{field},{once})"
    return ours, theirs


def unfit_rows_are_not_sent(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Addresses and times that Klaviyo refuses are refused before sending, as is a historical
    consent without its time.
    """
    unfit = case["mode"] == "single" and not ours and theirs
    if unfit and (bad_addresses(theirs) or bad_times(theirs)):
        return [], []
    theirs = deepcopy(theirs)
    for request in filter(historical, theirs):
        rows = rows_of(request) or []
        rows[:] = filter(dated, rows)
    return ours, [each for each in theirs if rows_of(each) != []]


def historical(request: Json) -> bool:
    """Whether a request imports consent of the past."""
    subscribes = request["path"] == "/api/profile-subscription-bulk-create-jobs"
    return subscribes and bool(request["json"]["data"]["attributes"]["historical_import"])


def dated(row: Json) -> bool:
    """Whether every consent in a row has a time that can be read."""
    channels = row["attributes"]["subscriptions"].values()
    return all(readable(each["marketing"].get("consented_at")) for each in channels)


def apostrophes_are_part_of_an_address(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Where Segment adds to lists it refuses addresses that Klaviyo takes."""
    if not odd_address(case):
        return ours, theirs
    theirs_emails = set(re.findall(r'"email": "([^"]*)"', text(theirs)))
    ours = deepcopy(ours)
    for request in ours:
        rows = rows_of(request)
        if rows is not None:
            rows[:] = [
                row for row in rows if row["attributes"].get("email") in (None, *theirs_emails)
            ]
    kept = [each for each in ours if rows_of(each) is None or rows_of(each)]
    return ([], []) if case["mode"] == "single" else (kept, theirs)


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


def a_conflict_about_the_list_is_none_about_the_profile(
    case: Json, ours: list[Json], theirs: list[Json]
) -> Pair:
    """Segment updates the profile again after a 409 of the list request."""
    methods = [each["method"] for each in theirs]
    if case["action"] == "upsertProfile" and methods[:3] == ["POST", "POST", "PATCH"]:
        return ours, theirs[:2]
    return ours, theirs


def a_bad_phone_costs_nobody_their_email(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Who decided about e-mail and phone has at least decided about the e-mail."""
    return (
        ([], []) if case["mode"] == "single" and not theirs and bad_phone(case) else (ours, theirs)
    )


def every_country_can_be_chosen(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Segment lacks three countries and has one that is none."""
    return ([], []) if odd_country(case) else (ours, theirs)


def seconds_are_read(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """A unix time in seconds, or as a text, is one; Segment takes it for another time."""
    if not any(is_unix_time(each.get("time")) for each in mapped(case)):
        return ours, theirs
    ours, theirs = deepcopy(ours), deepcopy(theirs)
    for each in (*events(ours), *events(theirs)):
        each.pop("time", None)
    return ours, theirs


def history_belongs_to_the_row(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Segment takes that of the first row for all."""
    kinds = {str(each.get("historical_import") or False).lower() for each in mapped(case)}
    return ([], []) if case["mode"] == "batch" and len(kinds) > 1 else (ours, theirs)


def any_number_of_groups_is_sent(_case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Segment refuses a batch of more than nine lists and sources."""
    return ([], []) if len(merged(ours)) > 9 and not theirs else (ours, theirs)


RULES: tuple[Rule, ...] = (
    unfit_rows_are_not_sent,
    apostrophes_are_part_of_an_address,
    failed_products_end_the_sending,
    long_ids_are_shortened,
    nobody_is_added_without_a_profile,
    a_conflict_about_the_list_is_none_about_the_profile,
    any_number_of_groups_is_sent,
    history_belongs_to_the_row,
    a_bad_phone_costs_nobody_their_email,
    every_country_can_be_chosen,
    seconds_are_read,
    blanks_count_as_absent,
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
    bad_phones_cost_nobody_their_email,
    people_are_asked_for_once,
    equal_events_are_sent_once,
    rows_together,
    rows_that_wait_are_not_sent,
)


def deviate(case: Json, ours: list[Json], theirs: list[Json]) -> Pair:
    """Both sides with every deliberate deviation taken out."""
    for rule in RULES:
        ours, theirs = rule(case, ours, theirs)
    return ours, theirs
