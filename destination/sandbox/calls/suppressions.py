"""Suppress and unsuppress: jobs that can be polled. And deletion for data privacy, which cannot."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from destination.sandbox.calls.call import ACCEPTED, Answer, Call, Handler
from destination.sandbox.calls.documents import references, resource, single
from destination.sandbox.calls.filters import conditions, matching
from destination.sandbox.calls.imports import read_job
from destination.sandbox.calls.paging import collection
from destination.sandbox.calls.rules import PHONE_TEXT, valid_email, valid_phone
from destination.sandbox.clock import written, written_or_none
from destination.sandbox.errors import Problem, Refused, invalid, not_found
from destination.sandbox.switches import Switches
from destination.sandbox.world.account import Account
from destination.sandbox.world.jobs import COMPLETE, PROCESSING, Job
from destination.sandbox.world.profiles import Profile

SUPPRESS, UNSUPPRESS = "profile-suppression-bulk-create-job", "profile-suppression-bulk-delete-job"
REASON = "USER_SUPPRESSED"
MOST = 100
PLACE = "/data/attributes/profiles/data"


def create_job(kind: str) -> Handler:
    """POST /profile-suppression-bulk-create-jobs or -delete-jobs."""

    def handler(call: Call) -> Answer:
        whom, lists, segments = _whom(call)
        account, switches = call.account, call.switches
        job = account.jobs.add(
            account.ids.ulid(kind, call.now),
            kind,
            call.now,
            len(whom),
            lists=lists,
            segments=segments,
        )
        due = call.now + switches.job_queued_seconds
        account.schedule.at(due, partial(_work, account, job, whom, switches))
        return single(call, 202, _document(call, job))

    return handler


def get_jobs(kind: str) -> Handler:
    """GET the jobs of a kind."""

    def read(job: Job, field: str) -> Any:
        if field == "list_id":
            return job.lists
        return job.segments if field == "segment_id" else read_job(job, field)

    def handler(call: Call) -> Answer:
        items = matching(call.account.jobs.of(kind, call.now), conditions(call), read)
        return collection(call, items, lambda each: _document(call, each), read=read)

    return handler


def get_job(kind: str) -> Handler:
    """GET one job."""

    def handler(call: Call) -> Answer:
        job = call.account.jobs.get(kind, call.id, call.now)
        if job is None:
            raise not_found(kind, call.id)
        return single(call, 200, _document(call, job))

    return handler


def request_profile_deletion(call: Call) -> Answer:
    """POST /data-privacy-deletion-jobs: everyone with exactly one identifier, later."""
    data = call.body["data"]["attributes"]["profile"]["data"]
    pointer = "/data/attributes/profile/data"
    given = {**data["attributes"], "id": data.get("id")}
    named = {name: value for name, value in given.items() if value}
    if len(named) != 1:
        raise invalid("Exactly one of email, phone_number, id must be given.", pointer)
    ((name, value),) = named.items()
    if name == "email" and not valid_email(value):
        raise invalid("Invalid email address", f"{pointer}/attributes/email")
    if name == "phone_number" and not valid_phone(value):
        raise invalid(PHONE_TEXT, f"{pointer}/attributes/phone_number")
    account = call.account
    profile = account.profiles.get(value) if name == "id" else account.profiles.owner(name, value)
    if profile is None:
        raise not_found("profile", value)

    def erase(_due: float) -> None:
        if account.profiles.get(profile.id) is profile:
            account.erase(profile)

    account.schedule.at(call.now + call.switches.privacy_seconds, erase)
    return ACCEPTED


def _whom(call: Call) -> tuple[list[str], list[str], list[str]]:
    """``(emails, lists, segments)`` of the request; raises ``Refused``."""
    data = call.body["data"]
    relations = data.get("relationships", {})
    rows = (data["attributes"].get("profiles") or {}).get("data")
    groups = [
        (kind, relations[kind]["data"]["id"])
        for kind in ("list", "segment")
        if relations.get(kind, {}).get("data")
    ]
    if (rows is not None) + len(groups) != 1:
        raise invalid("Exactly one of profiles, list, segment must be given.", "/data")
    if rows is None:
        kind, identifier = groups[0]
        source = call.account.lists if kind == "list" else call.account.segments
        group = source.get(identifier)
        if group is None:
            raise not_found(kind, identifier)
        members = [call.account.profiles.get(each) for each in group.members]
        emails = [
            each.identifiers["email"] for each in members if each and "email" in each.identifiers
        ]
        return emails, *(([identifier], []) if kind == "list" else ([], [identifier]))
    if not 1 <= len(rows) <= MOST:
        raise invalid(f"1 to {MOST} profiles must be given, not {len(rows)}.", PLACE)
    emails = [row["attributes"]["email"] for row in rows]
    problems = [
        Problem("Invalid email address", f"{PLACE}/{index}/attributes/email")
        for index, email in enumerate(emails)
        if not valid_email(email)
    ]
    if problems:
        raise Refused(400, problems)
    return emails, [], []


def _work(account: Account, job: Job, emails: list[str], switches: Switches, due: float) -> None:
    job.status, job.started = PROCESSING, due
    if not switches.jobs_stuck:
        seconds = switches.job_row_seconds * len(emails)
        account.schedule.at(due + seconds, partial(_finish, account, job, emails, switches))


def _finish(account: Account, job: Job, emails: list[str], switches: Switches, due: float) -> None:
    if job.status != PROCESSING:
        return
    change = _suppress if job.kind == SUPPRESS else _lift
    for email in emails:
        profile = account.profiles.owner("email", email)
        if profile is None and job.kind == SUPPRESS and switches.suppress_unknown == "create":
            profile = account.profiles.create(due)
            account.profiles.identify(profile, "email", email)
        if profile is not None and change(profile, due):
            job.done += 1
        else:
            job.skipped += 1
    job.status, job.completed = COMPLETE, due


def _suppress(profile: Profile, due: float) -> bool:
    if REASON in profile.consent.suppressed:
        return False
    profile.consent.suppressed[REASON] = due
    return True


def _lift(profile: Profile, _due: float) -> bool:
    return profile.consent.suppressed.pop(REASON, None) is not None


def _document(call: Call, job: Job) -> dict[str, Any]:
    attributes = {
        "status": job.status,
        "created_at": written(job.created),
        "total_count": job.total,
        "completed_count": job.done,
        "skipped_count": job.skipped,
        "completed_at": written_or_none(job.completed),
    }
    relations = {
        "lists": references("list", job.lists) or None,
        "segments": references("segment", job.segments) or None,
    }
    return resource(call, job.kind, job.id, attributes, relations)


HANDLERS: Mapping[str, Handler] = {
    "bulk_suppress_profiles": create_job(SUPPRESS),
    "get_bulk_suppress_profiles_jobs": get_jobs(SUPPRESS),
    "get_bulk_suppress_profiles_job": get_job(SUPPRESS),
    "bulk_unsuppress_profiles": create_job(UNSUPPRESS),
    "get_bulk_unsuppress_profiles_jobs": get_jobs(UNSUPPRESS),
    "get_bulk_unsuppress_profiles_job": get_job(UNSUPPRESS),
    "request_profile_deletion": request_profile_deletion,
}
