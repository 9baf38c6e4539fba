"""Bulk profile imports: a job that is worked off after the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from destination.sandbox.calls import groups
from destination.sandbox.calls.call import Answer, Call, Handler
from destination.sandbox.calls.documents import reference, references, resource, single
from destination.sandbox.calls.filters import conditions, matching
from destination.sandbox.calls.paging import collection
from destination.sandbox.calls.profiles import UPSERT, profile_document, read
from destination.sandbox.calls.rules import (
    check_identifiers,
    lacks_identifier,
    no_identifier,
    oversize,
)
from destination.sandbox.clock import written, written_or_none
from destination.sandbox.errors import Problem, Refused, invalid, not_found
from destination.sandbox.switches import Switches
from destination.sandbox.world import profiles as world
from destination.sandbox.world.account import Account
from destination.sandbox.world.jobs import COMPLETE, PROCESSING, QUEUED, Job, RowError
from destination.sandbox.world.lists import join
from destination.sandbox.world.profiles import Clash, Profile

KIND = "profile-bulk-import-job"
MOST_ROWS = 10_000
PLACE = "/data/attributes/profiles/data"
DAY = 86_400


def bulk_import_profiles(call: Call) -> Answer:
    """POST /profile-bulk-import-jobs: 202 queued, or 400 for all."""
    data = call.body["data"]
    rows = data["attributes"]["profiles"]["data"]
    if not 1 <= len(rows) <= MOST_ROWS:
        raise invalid(f"1 to {MOST_ROWS} profiles must be given, not {len(rows)}.", PLACE)
    rows = _checked(call, rows)
    wanted = (data.get("relationships", {}).get("lists") or {}).get("data") or []
    unknown = [each["id"] for each in wanted if call.account.lists.get(each["id"]) is None]
    if unknown:
        detail = f"List not found: {', '.join(unknown)}"
        raise invalid(detail, "/data/relationships/lists/data")
    account, switches = call.account, call.switches
    job = account.jobs.add(
        account.ids.job("import", call.now),
        KIND,
        call.now,
        len(rows),
        expires=call.now + switches.job_days * DAY,
        lists=[each["id"] for each in wanted],
    )
    start = call.now + switches.job_queued_seconds
    account.schedule.at(start, partial(_begin, account, job, rows, switches))
    return single(call, 202, job_document(call, job))


def get_jobs(call: Call) -> Answer:
    """GET /profile-bulk-import-jobs."""
    items = matching(call.account.jobs.of(KIND, call.now), conditions(call), read_job)
    return collection(call, items, lambda each: job_document(call, each), read=read_job)


def get_job(call: Call) -> Answer:
    """GET /profile-bulk-import-jobs/{job_id}."""
    job = _known(call)
    included = None
    if call.asked("include"):
        found = [call.account.lists.get(each) for each in job.lists]
        included = [groups.group_document(call, "list", each) for each in found if each]
    return single(call, 200, job_document(call, job), included)


def get_errors(call: Call) -> Answer:
    """GET /profile-bulk-import-jobs/{id}/import-errors."""

    def render(error: RowError) -> dict[str, Any]:
        attributes = {
            "code": error.code,
            "title": error.title,
            "detail": error.detail,
            "source": {"pointer": f"{PLACE}/{error.row}"},
            "original_payload": error.payload,
        }
        document = resource(call, "import-error", error.id, attributes)
        del document["links"]
        return document

    def read_error(error: RowError, field: str) -> Any:
        return error.row if field == "number" else getattr(error, field, None)

    return collection(call, _known(call).errors, render, read=read_error)


def get_job_lists(*, ids_only: bool) -> Handler:
    """GET /profile-bulk-import-jobs/{id}/lists and its relationships."""

    def handler(call: Call) -> Answer:
        found = [call.account.lists.get(each) for each in _known(call).lists]
        render: Callable[[Any], Any] = (
            (lambda each: reference("list", each.id))
            if ids_only
            else (lambda each: groups.group_document(call, "list", each))
        )
        return collection(call, [each for each in found if each], render, read=groups.read)

    return handler


def get_job_profiles(*, ids_only: bool) -> Handler:
    """GET /profile-bulk-import-jobs/{id}/profiles and its relationships."""

    def handler(call: Call) -> Answer:
        found = [call.account.profiles.get(each) for each in dict.fromkeys(_known(call).profiles)]
        render: Callable[[Any], Any] = (
            (lambda each: reference("profile", each.id))
            if ids_only
            else (lambda each: profile_document(call, each))
        )
        return collection(call, [each for each in found if each], render, read=read)

    return handler


def job_document(call: Call, job: Job) -> dict[str, Any]:
    """An import job as the API shows it."""
    attributes = {
        "status": job.status,
        "created_at": written(job.created),
        "total_count": job.total,
        "completed_count": job.done,
        "failed_count": job.failed,
        "started_at": written_or_none(job.started),
        "completed_at": written_or_none(job.completed),
        "expires_at": written_or_none(job.expires),
    }
    relations: dict[str, Any] = {"lists": None, "profiles": None}
    if job.lists:
        relations["lists"] = references("list", job.lists)
    document = resource(call, KIND, job.id, attributes, relations)
    link = document["links"]["self"]
    errors = {"links": {"related": f"{link}/import-errors"}}
    document["relationships"]["import-errors"] = errors
    return document


def read_job(job: Job, field: str) -> Any:
    """What a filter or sort on ``field`` sees."""
    return job.created if field in {"created_at", "created"} else getattr(job, field, None)


def _checked(call: Call, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    problems: list[Problem] = []
    checked = []
    limit = call.switches.profile_bytes
    for index, row in enumerate(rows):
        attributes = row["attributes"]
        pointer = f"{PLACE}/{index}"
        if call.switches.partial_failure_bulk:
            attributes = dict(attributes)
            row = {**row, "attributes": attributes}  # noqa: PLW2901 - its own copy, to be changed
        found, _ = check_identifiers(
            attributes,
            f"{pointer}/attributes",
            forgive_phone=call.switches.partial_failure_bulk,
            names=UPSERT,
        )
        problems += found
        if not row.get("id") and not found and lacks_identifier(attributes, UPSERT):
            problems.append(no_identifier(f"{pointer}/attributes"))
        if call.size > limit:
            problems += oversize(row, pointer, limit, "profile")
        checked.append(row)
    if problems:
        raise Refused(400, problems)
    return checked


def _begin(account: Account, job: Job, rows: list[Any], switches: Switches, due: float) -> None:
    if job.status not in {QUEUED, PROCESSING}:
        return
    job.status, job.started = PROCESSING, due
    if switches.jobs_stuck:
        return
    for first in range(0, len(rows), switches.job_chunk_rows):
        chunk = range(first, min(first + switches.job_chunk_rows, len(rows)))
        work = partial(_import_rows, account, job, rows, chunk)
        account.schedule.at(due + switches.job_row_seconds * chunk.stop, work)


def _import_rows(account: Account, job: Job, rows: list[Any], chunk: range, at: float) -> None:
    if job.status != PROCESSING:
        return
    for index in chunk:
        _import_row(account, job, index, rows[index], at)
    if chunk.stop == len(rows):
        _finish(account, job, at)


def _import_row(account: Account, job: Job, index: int, row: dict[str, Any], at: float) -> None:
    try:
        profile = _upsert(account, row, at)
    except Refused as refused:
        problem = refused.problems[0]
        error = RowError(
            account.ids.uuid("import-error"),
            index,
            problem.code,
            problem.title,
            problem.detail,
            row,
        )
        job.errors.append(error)
        job.failed += 1
    else:
        job.profiles.append(profile.id)
        job.done += 1


def _upsert(account: Account, row: dict[str, Any], at: float) -> Profile:
    attributes = row["attributes"]
    wanted = (attributes.get("properties") or {}).get("__import_error")
    if wanted:
        raise invalid(str(wanted))
    profiles = account.profiles
    owners = profiles.owners(attributes)
    if row.get("id"):
        profile = profiles.get(row["id"])
        if profile is None:
            raise not_found("profile", row["id"])
    else:
        profile = owners[0][1] if owners else None
    try:
        world.check(profiles, profile, attributes, row.get("meta"))
    except Clash as clash:
        detail = f"The {clash.identifier} belongs to another profile, {clash.other.id}."
        raise Refused(409, Problem(detail, code="duplicate_profile", title="Conflict.")) from None
    profile = profile or profiles.create(at)
    world.apply(profiles, profile, attributes, at, nulls=False)
    world.patch(profiles, profile, row.get("meta"))
    return profile


def _finish(account: Account, job: Job, at: float) -> None:
    job.status, job.completed = COMPLETE, at
    for group in (account.lists.get(each) for each in job.lists):
        if group is None:
            continue
        for member in job.profiles:
            profile = account.profiles.get(member)
            if profile is not None:
                join(group, profile, at)


def _known(call: Call) -> Job:
    job = call.account.jobs.get(KIND, call.id, call.now)
    if job is None:
        raise not_found(KIND, call.id)
    return job


HANDLERS: Mapping[str, Handler] = {
    "bulk_import_profiles": bulk_import_profiles,
    "get_bulk_import_profiles_jobs": get_jobs,
    "get_bulk_import_profiles_job": get_job,
    "get_errors_for_bulk_import_profiles_job": get_errors,
    "get_list_for_bulk_import_profiles_job": get_job_lists(ids_only=False),
    "get_list_ids_for_bulk_import_profiles_job": get_job_lists(ids_only=True),
    "get_profiles_for_bulk_import_profiles_job": get_job_profiles(ids_only=False),
    "get_profile_ids_for_bulk_import_profiles_job": get_job_profiles(ids_only=True),
}
