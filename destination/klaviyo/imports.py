"""Bulk profile imports: one job for many rows, and what became of each row."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any

from msgspec import Struct

from destination.action import Batch, Payload
from destination.delivery import Delivered, Discard, Outcome, Retry, Submitted
from destination.errors import Ended
from destination.klaviyo import requests
from destination.klaviyo.answers import attributes_of, id_of, pages
from destination.klaviyo.batch import send_rows
from destination.klaviyo.jobs import for_all, state_of, wait_of
from destination.klaviyo.limits import BULK
from destination.klaviyo.lists import about_list, list_id, list_key
from destination.klaviyo.model import (
    OPERATIONS,
    Json,
    attributes,
    clears,
    patch,
    profile,
    profile_problems,
)
from destination.klaviyo.people import SAME_PERSON, Who, by_person, who
from destination.klaviyo.verdict import MESSAGE, field_of, row_of, succeeded, verdict
from destination.sending import Account, Response

LIMIT = BULK["bulk_import_profiles"]


class Unit(Struct, gc=False):
    """One profile of a job, and the rows that it stands for."""

    attributes: Json
    rows: list[int]


def group(payload: Payload) -> Hashable:
    """Rows of one job go to the same list."""
    return list_key(payload)


def fits(payload: Payload) -> bool:
    """Whether an import can express the row: it clears nothing, operates on no property and is known
    by what a person keeps. A token that has run out would cost its neighbours the import.
    """
    return not (_only_alone(payload) or clears(payload))


_ALONE = frozenset(("id", "_kx", *OPERATIONS))


def _only_alone(payload: Payload) -> bool:
    if payload.keys().isdisjoint(_ALONE):  # as most are
        return False
    return "id" in payload or "_kx" in payload or bool(patch(payload))


def coalesce(payloads: Sequence[Payload]) -> tuple[list[Unit], list[int]]:
    """The profiles to import, and the rows that must wait for the next request.

    Klaviyo states no order among the rows of a job, so a person is in it once. Rows with equal
    identifiers become one profile: later values win, ``properties`` and ``location`` are merged
    by key. A row that shares only some identifiers waits, as does every row after it that shares
    one with it.
    """
    people, waiting = by_person(payloads)
    units = []
    for rows in people:
        found = attributes(payloads[rows[0]])
        for index in islice(rows, 1, None):
            found = _merged(found, attributes(payloads[index]))
        units.append(Unit(found, rows))
    return units, waiting


def _merged(earlier: Json, later: Json) -> Json:
    merged = {**earlier, **later}
    for name in ("properties", "location"):
        if isinstance(earlier.get(name), dict) and isinstance(later.get(name), dict):
            merged[name] = {**earlier[name], **later[name]}
    return merged


def import_profiles(payloads: Sequence[Payload], account: Account) -> list[Outcome]:
    """Import rows of one ``group`` as one job (or more, by size); an outcome per row, in order."""
    units, waiting = coalesce(payloads)
    outcomes: dict[int, Outcome] = dict.fromkeys(waiting, SAME_PERSON)
    sendable = _sendable(units, outcomes)
    try:
        target = list_id(payloads[0], account) if sendable else ""
        sent = send_rows(
            sendable,
            lambda some: requests.bulk_import_profiles(
                [profile(unit.attributes) for unit in some], target
            ),
            account,
            LIMIT,
            lambda response, some: _submitted(response, some, account),
        )
    except Ended as ended:
        sent = [ended.outcome] * len(sendable)
    for unit, outcome in zip(sendable, sent, strict=True):
        end = about_list(outcome, payloads[0])
        for row in unit.rows:
            outcomes[row] = end
    return [outcomes[index] for index in range(len(payloads))]


def _sendable(units: Sequence[Unit], outcomes: dict[int, Outcome]) -> list[Unit]:
    """The units that Klaviyo's bound leaves; the rows of the others get their outcome."""
    problems = profile_problems([unit.attributes for unit in units])
    for unit, problem in zip(units, problems, strict=True):
        if problem:
            outcomes.update(dict.fromkeys(unit.rows, problem))
    return [unit for unit, problem in zip(units, problems, strict=True) if problem is None]


def _submitted(response: Response, units: Sequence[Unit], account: Account) -> list[Outcome]:
    job, at = id_of(response), int(account.now)
    return [
        Submitted(job, {"row": row, "who": _marks(who(unit.attributes)), "at": at})
        for row, unit in enumerate(units)
    ]


def _marks(names: Iterable[Who]) -> list[str]:
    """A mark for each identifier: tells people apart without storing who they are."""
    return sorted([sha256(f"{name} {value}".encode()).hexdigest()[:12] for name, value in names])


def poll(job: str, keys: Sequence[Any], account: Account) -> list[Outcome] | Retry:
    """The ends of a job's rows, given their keys; ``Retry`` while it is unfinished.

    A job that is lost, cancelled or stuck for an hour, and an error that belongs to no known row,
    make rows go again: importing twice changes nothing. A refused key makes them wait.
    """
    response = account.send(requests.get_bulk_import_profiles_job(job))
    if response.status == 404:
        return [Retry("import_lost", f"Klaviyo no longer knows import job {job[:80]}")] * len(keys)
    if not succeeded(response):
        return for_all(verdict(response, account.now), keys)
    job_now = state_of(response)
    status = str(job_now.get("status") or "").lower()
    if status == "cancelled":
        return [Retry("import_cancelled", f"import job {job[:80]} was cancelled")] * len(keys)
    if status == "complete":
        return _results(job, job_now, keys, account)
    return _unfinished(job, status, keys, account)


def _unfinished(
    job: str, status: str, keys: Sequence[Any], account: Account
) -> list[Outcome] | Retry:
    wait = wait_of(keys, account.now)
    if wait is None:
        seen = f"import job {job[:80]} is still {status[:40] or 'without status'}"
        return [Retry("import_stuck", seen)] * len(keys)
    return Retry("import_running", f"import job is {status[:40]}", after=wait, spends=False)


def _results(job: str, done: Json, keys: Sequence[Any], account: Account) -> list[Outcome] | Retry:
    try:
        errors = list(
            pages(
                lambda cursor: requests.get_errors_for_bulk_import_profiles_job(job, cursor),
                account,
            )
        )
    except Ended as ended:
        return for_all(ended.outcome, keys)
    rows = _Rows(keys)
    failed: dict[int, Discard] = {}
    unknown = 0
    for error in map(attributes_of, errors):
        row = rows.of(error)
        if row is None:
            unknown += 1
        else:
            failed.setdefault(row, _rejected(error))
    count = done.get("failed_count")
    others: Outcome = Delivered()
    if unknown or (isinstance(count, int) and count > len(failed)):
        seen = f"import job {job[:80]} reports errors of rows that it does not name"
        others = Retry("import_result_unknown", seen)
    return [failed.get(int(key["row"]), others) for key in keys]


class _Rows:
    """The rows of a job, to be found from its errors."""

    def __init__(self, keys: Sequence[Any]) -> None:
        self.places = {int(key["row"]) for key in keys}
        self.people = {mark: int(key["row"]) for key in keys for mark in key["who"]}

    def of(self, error: Json) -> int | None:
        """The row that an error is about: by who was in it, else by its place in the request."""
        payload = error.get("original_payload")
        if isinstance(payload, dict):
            inner = payload.get("attributes")
            marks = _marks(who(inner if isinstance(inner, dict) else payload))
            found = {self.people[mark] for mark in marks if mark in self.people}
            if len(found) == 1:
                return found.pop()
        source = error.get("source")
        place = row_of(str(source.get("pointer") or "")) if isinstance(source, dict) else None
        return place if place in self.places else None


def _rejected(error: Json) -> Discard:
    source = error.get("source")
    pointer = str(source.get("pointer") or "") if isinstance(source, dict) else ""
    said = " ".join(str(error.get(name) or "") for name in ("code", "detail")).strip()
    text = f"Klaviyo's import refused the row: {said or error.get('title') or 'no reason given'}"
    twice = error.get("code") == "duplicate_profile"
    return Discard(
        "identity_conflict" if twice else "import_rejected", text[:MESSAGE], field_of(pointer)
    )


BATCH = Batch(
    rows=LIMIT.rows,
    bytes=LIMIT.bytes,
    row_bytes=LIMIT.row_bytes,
    perform=import_profiles,
    group=group,
    fits=fits,
    poll=poll,
    scarce=True,
)
"""How ``upsertProfile`` and ``addProfileToList`` send many rows."""
