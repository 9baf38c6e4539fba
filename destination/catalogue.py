"""Every reason that we or Klaviyo can give for an end or a wait: cause and remedy.

One source for docs, console, logs and dead letters.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """``cause`` says what it means, ``remedy`` what a person can do about it."""

    cause: str
    remedy: str


SECTIONS: dict[str, dict[str, Reason]] = {
    "Done": {
        "delivered": Reason(
            cause="Klaviyo did what was asked.",
            remedy="",
        ),
        "accepted_by_klaviyo": Reason(
            cause="Klaviyo took the request. It offers nothing to ask later whether it was applied, or "
            "not to this key.",
            remedy="",
        ),
        "phone_number_ignored": Reason(
            cause="The rest was done without the phone number: it cannot be read, or Klaviyo found "
            "that it is not a real one.",
            remedy="Correct the phone number at the source, or map country_code so that national "
            "numbers are read right.",
        ),
        "kx_ignored": Reason(
            cause="The rest was done without the token of a link (_kx), which had run out or was none.",
            remedy="",
        ),
        "email_older_than_unsubscribe": Reason(
            cause="The person was subscribed by phone only: after this event was made they had "
            "unsubscribed the e-mail address, or it was suppressed.",
            remedy="",
        ),
        "phone_number_older_than_unsubscribe": Reason(
            cause="The person was subscribed by e-mail only: after this event was made they had "
            "unsubscribed the phone number.",
            remedy="",
        ),
        "email_not_on_list": Reason(
            cause="The person was unsubscribed from the list by phone only: nobody with this e-mail "
            "address is on it.",
            remedy="",
        ),
        "phone_number_not_on_list": Reason(
            cause="The person was unsubscribed from the list by e-mail only: nobody with this phone "
            "number is on it.",
            remedy="",
        ),
    },
    "Nothing was to be sent": {
        "not_on_list": Reason(
            cause="The person is not on the list that they were to be unsubscribed from. Klaviyo "
            "would have unsubscribed them from everything instead.",
            remedy="Set unsubscribe_globally in the mapping if that is meant, or map no list.",
        ),
        "older_than_unsubscribe": Reason(
            cause="After this event was made the person unsubscribed, was suppressed or asked to be "
            "deleted. The event came later all the same; it must not undo that.",
            remedy="Nothing. If the person has consented anew, send that as an event with its own time, "
            "or map decided_at.",
        ),
        "discarded": Reason(
            cause="Somebody has dropped the dead letter for good.",
            remedy="",
        ),
        "erased": Reason(
            cause="The person it was about was erased.",
            remedy="",
        ),
        "profile_not_found": Reason(
            cause="Klaviyo knows nobody by the identifiers, so there is nobody to take off the list, "
            "to delete or to merge.",
            remedy="Nothing, unless the identifiers are mapped from the wrong place.",
        ),
        "same_profile": Reason(
            cause="Both sides of the merge are the same profile already.",
            remedy="",
        ),
        "unchanged": Reason(
            cause="The same was sent before and nothing has changed since.",
            remedy="",
        ),
    },
    "What the event or the mapping lacks": {
        "mapping_failed": Reason(
            cause="A mapping could not be resolved for the event; the place in the mapping is given.",
            remedy="Correct the mapping at that place, then replay.",
        ),
        "mapping_too_expensive": Reason(
            cause="A mapping takes more work for this event than is allowed, as with a template that "
            "grows without end.",
            remedy="Simplify the mapping at the given place, or send smaller events, then replay.",
        ),
        "payload_invalid": Reason(
            cause="What the mapping gave breaks the rules of the action's fields; each breach is "
            "listed.",
            remedy="Correct the mapping or the values at the source, then replay.",
        ),
        "missing_identifier": Reason(
            cause="The event holds nothing that Klaviyo knows a person by.",
            remedy="Map at least one of email, phone_number and external_id, then replay.",
        ),
        "invalid_email": Reason(
            cause="The e-mail address is not one that Klaviyo takes.",
            remedy="Correct it at the source, then replay.",
        ),
        "invalid_phone_number": Reason(
            cause="The phone number cannot be read.",
            remedy="Send it as E.164 (+14155552671), or map country_code for national numbers, then "
            "replay.",
        ),
        "invalid_external_id": Reason(
            cause="The external id is longer than 255 characters.",
            remedy="Map a shorter id, then replay.",
        ),
        "invalid_profile_id": Reason(
            cause="The value is not the id of a Klaviyo profile.",
            remedy="Map Klaviyo's own profile id, or identify the person by email, phone_number or "
            "external_id.",
        ),
        "invalid_time": Reason(
            cause="The time cannot be read or is out of Klaviyo's range.",
            remedy="Send ISO 8601 or a unix time after 1990 and at most a year ahead, then replay.",
        ),
        "time_out_of_range": Reason(
            cause="The API revision in use does not take events of that time.",
            remedy="Use a newer KLAVIYO_REVISION, or correct the time, then replay.",
        ),
        "missing_list": Reason(
            cause="The mapping gives no list.",
            remedy="Map list_id or list_name, then replay.",
        ),
        "missing_consented_at": Reason(
            cause="A historical consent came without the time it was given.",
            remedy="Map consented_at, then replay.",
        ),
        "ambiguous_identifier": Reason(
            cause="The request allows one identifier and several were given that mean different people.",
            remedy="Map exactly one identifier, then replay.",
        ),
        "too_large": Reason(
            cause="A row, a profile or a request is larger than Klaviyo takes.",
            remedy="Map less into it; long texts and nested objects weigh most. Then replay.",
        ),
        "bad_request": Reason(
            cause="The waiting event could not be read back as it was stored.",
            remedy="Send the event again from its source.",
        ),
    },
    "What Klaviyo refuses": {
        "rejected_by_klaviyo": Reason(
            cause="Klaviyo found the data wrong; its words are given.",
            remedy="Correct what Klaviyo names at the source or in the mapping, then replay.",
        ),
        "refused_by_klaviyo": Reason(
            cause="Klaviyo refused the request with a status that has no more precise meaning.",
            remedy="Read Klaviyo's words; if KLAVIYO_API_URL or KLAVIYO_REVISION was changed, look "
            "there first. Then replay.",
        ),
        "import_rejected": Reason(
            cause="Klaviyo's bulk import refused the row after it had taken the request.",
            remedy="Correct what Klaviyo names, then replay.",
        ),
        "identity_conflict": Reason(
            cause="The identifiers belong to two different profiles at Klaviyo.",
            remedy="Correct the identifier that is wrong, or merge the two profiles at Klaviyo, then "
            "replay.",
        ),
        "sms_refused": Reason(
            cause="The person was subscribed by e-mail, but Klaviyo refused the SMS consent.",
            remedy="Set up SMS for the number's country at Klaviyo or correct the number, then replay.",
        ),
        "not_found": Reason(
            cause="Klaviyo does not know what the request was about.",
            remedy="Check the ids in the mapping, then replay.",
        ),
    },
    "The connection is paused until a person acts": {
        "key_refused": Reason(
            cause="Klaviyo does not take the API key.",
            remedy="Put a valid private key into KLAVIYO_API_KEY. Everything waits and goes on by "
            "itself.",
        ),
        "scope_missing": Reason(
            cause="The API key lacks a permission; Klaviyo names it.",
            remedy="Make a key with that scope and put it into KLAVIYO_API_KEY. Everything waits and "
            "goes on by itself.",
        ),
        "redirected": Reason(
            cause="Something answered with a redirect, which Klaviyo's API never does.",
            remedy="Check KLAVIYO_API_URL and proxies on the way. Everything waits and goes on by "
            "itself.",
        ),
        "revision_retired": Reason(
            cause="Klaviyo has retired the API revision or endpoint in use.",
            remedy="Set KLAVIYO_REVISION to a current revision. Everything waits and goes on by itself.",
        ),
    },
    "It waits and goes on by itself": {
        "throttled": Reason(
            cause="Klaviyo asked to send more slowly.",
            remedy="Nothing. If it lasts, other integrations use up the account's limit.",
        ),
        "daily_limit": Reason(
            cause="An endpoint's daily limit is used up; it goes on when Klaviyo says.",
            remedy="Nothing. Lists can be made in advance at Klaviyo, if that is what is limited.",
        ),
        "no_room": Reason(
            cause="The account's rate limit has no room at the moment; nothing was sent.",
            remedy="Nothing. Turn batching on in the mapping for a higher rate.",
        ),
        "unanswered": Reason(
            cause="No answer came: no connection, or none in time. It may have been applied; "
            "repeating it changes nothing.",
            remedy="If it lasts, check the network and Klaviyo's status page.",
        ),
        "klaviyo_unavailable": Reason(
            cause="Klaviyo answered that it cannot serve at the moment.",
            remedy="If it lasts, look at Klaviyo's status page.",
        ),
        "blocked_at_edge": Reason(
            cause="The network in front of Klaviyo refused the request, not Klaviyo itself.",
            remedy="If it lasts, send from another address: shared ones are blocked at times.",
        ),
        "unreadable_answer": Reason(
            cause="Klaviyo reported success, but its answer lacks what the next step needs.",
            remedy="If it lasts, check KLAVIYO_API_URL and proxies on the way.",
        ),
        "conflict_unresolved": Reason(
            cause="Klaviyo reports a conflict but does not say with which profile, and none is found.",
            remedy="Nothing, unless it lasts: then look for merged or deleted profiles with these "
            "identifiers.",
        ),
        "profile_gone": Reason(
            cause="The profile went away between two requests; the next attempt makes it again.",
            remedy="",
        ),
        "same_person_in_batch": Reason(
            cause="Another row of the batch is about the same person; this one goes in the next "
            "request.",
            remedy="",
        ),
        "waits_for_earlier": Reason(
            cause="An earlier delivery of the same person comes first.",
            remedy="",
        ),
        "batch_refused": Reason(
            cause="Klaviyo refused a batch again and again without naming rows; the remaining rows "
            "are tried again.",
            remedy="If it lasts, send a single row with batch.enabled set to false and read the answer.",
        ),
        "import_running": Reason(
            cause="Klaviyo is still working on the bulk import.",
            remedy="",
        ),
        "import_stuck": Reason(
            cause="A bulk import was unfinished after an hour; its rows are sent again, which changes "
            "nothing twice.",
            remedy="If it lasts, look at Klaviyo's status page.",
        ),
        "import_lost": Reason(
            cause="Klaviyo no longer knows the bulk import; its rows are sent again, which changes "
            "nothing twice.",
            remedy="",
        ),
        "import_cancelled": Reason(
            cause="The bulk import was cancelled at Klaviyo; its rows are sent again.",
            remedy="",
        ),
        "import_result_unknown": Reason(
            cause="The bulk import reports errors that name no row; rows without a known end are sent "
            "again.",
            remedy="If it lasts, turn batching off for the mapping to see each answer.",
        ),
        "job_running": Reason(
            cause="Klaviyo is still working on a job that it took.",
            remedy="",
        ),
        "job_stuck": Reason(
            cause="A job was unfinished after an hour; its rows are sent again, which changes nothing "
            "twice.",
            remedy="If it lasts, look at Klaviyo's status page.",
        ),
        "job_lost": Reason(
            cause="Klaviyo no longer knows the job; its rows are sent again, which changes nothing twice.",
            remedy="",
        ),
        "job_cancelled": Reason(
            cause="The job was cancelled at Klaviyo; its rows are sent again.",
            remedy="",
        ),
        "poll_failed": Reason(
            cause="Asking for the result of a bulk import failed; it is asked again.",
            remedy="",
        ),
        "list_not_found": Reason(
            cause="The list does not exist in this account. Its rows are tried again every half hour, "
            "for missing_list_hours; nothing else waits for them.",
            remedy="Correct list_id in the mapping (it is case-sensitive); what waits goes on by itself, "
            "what is dead can be replayed.",
        ),
        "mapping_missing": Reason(
            cause="The delivery's mapping is in no mapping file any more.",
            remedy="Bring the mapping back, or discard the deliveries; they wait meanwhile.",
        ),
        "mapping_disabled": Reason(
            cause="The delivery's mapping was disabled after the event was accepted.",
            remedy="Enable the mapping again to send what waits.",
        ),
        "redis_failed": Reason(
            cause="Redis did not answer while the delivery was worked on.",
            remedy="Nothing is lost and nothing needs doing; look at Redis when it goes on.",
        ),
    },
    "Given up": {
        "exhausted": Reason(
            cause="It was tried as often and as long as the settings allow; the last reason is given.",
            remedy="Set right what the last reason says, then replay.",
        ),
        "row_unreadable": Reason(
            cause="What stands in the lane is no delivery that this version can read.",
            remedy="Look at what else writes to this Redis, or at a downgrade; the letter holds the text.",
        ),
        "event_unreadable": Reason(
            cause="The event holds a number that no double holds, such as 1e999.",
            remedy="Send very large numbers as strings.",
        ),
        "worker_died": Reason(
            cause="Workers died while they held this row, more often than by chance.",
            remedy="Look at the worker's log and memory, then replay the row alone.",
        ),
        "internal_error": Reason(
            cause="A fault in this software; the event is kept.",
            remedy="Report it with the message, then replay after an update.",
        ),
    },
}
"""What happens to the delivery -> code -> reason."""

CATALOGUE: dict[str, Reason] = {
    code: reason for section in SECTIONS.values() for code, reason in section.items()
}
"""Every code of an outcome, and every note of one."""


def remedy(code: str) -> str:
    """What to do about ``code``; empty when nothing needs doing or the code is unknown."""
    reason = CATALOGUE.get(code)
    return reason.remedy if reason else ""
