"""What the recorded cases of Segment's Klaviyo destination put in, where we treat it otherwise."""

from __future__ import annotations

import re
from itertools import combinations

from destination.errors import MappingError
from destination.klaviyo.email import is_public_email
from destination.klaviyo.model import IDENTIFIERS
from destination.klaviyo.phone import to_e164
from destination.klaviyo.times import to_iso
from destination.mapping import compile_mapping
from tests.unit.klaviyo.klaviyo_script import NOW
from tests.unit.klaviyo.segment_cases import mapping_of
from tests.unit.klaviyo.segment_forms import Json, text

KEPT_BLANKS = (
    "email",
    "time",
    "value",
    "metric_name",
    "historical_import",
    "consented_at",
    "country_code",
)

MILLISECONDS = 1e11
"""From here on a unix time counts milliseconds."""

ODD_COUNTRIES = {"TW", "PS", "GS", "UN"}


def mapped(case: Json) -> list[Json]:
    """What the case's mapping gives for each event; nothing where it cannot be resolved."""
    found = []
    for event in case["events"]:
        try:
            value = compile_mapping(mapping_of(case))(event)
        except MappingError:
            value = {}
        found.append(value if isinstance(value, dict) else {})
    return found


def several_lists(case: Json) -> bool:
    """Whether the rows of a batch are for different lists, or for one chosen in the hook, whose
    place differs between Segment's two forms.
    """
    found = {text(each.get("override_list_id") or each.get("list_id")) for each in mapped(case)}
    hooked = "retlOnMappingSave" in case["mapping"]
    return case["mode"] == "batch" and (len(found) > 1 or hooked)


def blank(case: Json) -> bool:
    """Whether a row of a batch has an empty text where Segment does not take it for absent."""
    names = (*KEPT_BLANKS, "list_id") if "List" in case["action"] else KEPT_BLANKS
    return case["mode"] == "batch" and any(
        each.get(name) == "" for each in mapped(case) for name in names
    )


def rows_that_overlap(case: Json) -> bool:
    """Whether two rows of a case share some identifiers and not others."""
    people = [
        {text(each[name]).lower() for name in IDENTIFIERS if each.get(name)}
        for each in mapped(case)
    ]
    return any(a & b and a != b for a, b in combinations(people, 2))


def odd_address(case: Json) -> bool:
    """Whether a case adds somebody by such an address to a list."""
    emails = [str(each.get("email") or "") for each in mapped(case)]
    return case["action"] == "addProfileToList" and any(
        is_public_email(each) and not re.fullmatch(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+", each)
        for each in emails
    )


def odd_country(case: Json) -> bool:
    """Whether a case names one of those."""
    whole = mapped(case)
    inner = [each["profile"] for each in whole if isinstance(each.get("profile"), dict)]
    return any(each.get("country_code") in ODD_COUNTRIES for each in (*whole, *inner))


def unreadable_phone(payload: Json) -> bool:
    """Whether a payload comes with a phone number that cannot be read."""
    phone, country = payload.get("phone_number"), payload.get("country_code")
    return bool(phone) and to_e164(phone, country if isinstance(country, str) else None) is None


def bad_phone(case: Json) -> bool:
    """Whether the one event of a case comes with a phone number that cannot be read."""
    if "scribe" not in case["action"]:
        return False
    return unreadable_phone(mapped(case)[0])


def is_unix_time(time: object) -> bool:
    """Whether a mapped value is a number that Segment reads otherwise than as unix seconds."""
    if isinstance(time, str):
        return time.isdecimal() and len(time) > len("20240131123456") - 5
    return isinstance(time, int | float) and 0 < abs(time) < MILLISECONDS


def readable(time: object) -> bool:
    """Whether it is a time that Klaviyo takes."""
    try:
        to_iso(time, NOW)
    except ValueError:
        return False
    return True


def created(case: Json) -> bool:
    """Whether the first answer leaves a profile to go on with."""
    status: int = case["responses"][0].get("status", 500)
    return status < 300 or status == 409
