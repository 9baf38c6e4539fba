"""Where an event ends otherwise than at Segment's Klaviyo destination on purpose."""

from __future__ import annotations

from destination.delivery import Outcome
from tests.unit.klaviyo.segment_forms import Json, text
from tests.unit.klaviyo.segment_inputs import (
    blank,
    created,
    mapped,
    odd_address,
    odd_country,
    several_lists,
    unreadable_phone,
)

NEVER_SENT = {"missing_identifier", "invalid_email", "invalid_phone_number", "payload_invalid"}
OUR_RANGE = {
    "invalid_email",
    "invalid_time",
    "missing_consented_at",
    "time_out_of_range",
    "too_large",
}
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
        or odd_country(case)
        or odd_address(case)
        or several_lists(case)
        or blank(case)
        # What cannot be sent is refused, whatever becomes of the other rows.
        or (batch and case["result"]["kind"] == "error" and getattr(outcome, "status", 0) is None)
        # A phone number that cannot be read is left out of a decision about e-mail too.
        or ("scribe" in case["action"] and any(map(unreadable_phone, mapped(case))))
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
