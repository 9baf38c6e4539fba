"""Jobs at Klaviyo: how long they are waited for, and those that put and lift suppressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from destination.delivery import Delivered, Outcome, Retry, Submitted
from destination.klaviyo.answers import attributes_of
from destination.klaviyo.model import Json
from destination.klaviyo.verdict import succeeded, verdict
from destination.sending import Account, Request, Response

STUCK = 3_600.0
"""Seconds after which an unfinished job is given up and its rows are sent again."""

SHORTEST_POLL, LONGEST_POLL = 2.0, 60.0

TAKEN = Delivered("accepted_by_klaviyo")
"""The end of rows whose job may not be asked about."""

FORBIDDEN, GONE = 403, 404


def state_of(response: Response) -> Json:
    """The attributes of the job in an answer; empty when it holds none."""
    body = response.json()
    data = body.get("data") if isinstance(body, dict) else None
    return attributes_of(data) if isinstance(data, dict) else {}


def wait_of(keys: Sequence[Any], now: float) -> float | None:
    """Seconds until a job with these keys is asked about again, ever longer; None when it has been
    waited for long enough. ``key["at"]`` is when it was made (unix seconds).
    """
    age = now - min((float(key["at"]) for key in keys), default=now)
    return None if age > STUCK else min(max(age / 2, SHORTEST_POLL), LONGEST_POLL)


def for_all(outcome: Outcome, keys: Sequence[Any]) -> list[Outcome] | Retry:
    """One outcome for every row of a job; a wait is the job's."""
    return outcome if isinstance(outcome, Retry) else [outcome] * len(keys)


def submitted(response: Response, rows: Sequence[object], account: Account) -> list[Outcome]:
    """What a job's acceptance means for its rows, which all share its end; without an id there is
    nothing to ask about.
    """
    body = response.json()
    data = body.get("data") if isinstance(body, dict) else None
    job = data.get("id") if isinstance(data, dict) else None
    if not isinstance(job, str) or not job:
        return [verdict(response, account.now)] * len(rows)
    return [Submitted(job, {"at": int(account.now)})] * len(rows)


def poll(
    ask: Callable[[str], Request], job: str, keys: Sequence[Any], account: Account
) -> list[Outcome] | Retry:
    """The ends of the rows of a job that has no errors of rows; ``Retry`` while it is unfinished.

    A key that may write and not read is told no more than that Klaviyo took the job. A job that is
    lost, cancelled or stuck for an hour makes rows go again: doing it twice changes nothing.
    """
    response = account.send(ask(job))
    if response.status == FORBIDDEN:
        return [TAKEN] * len(keys)
    if response.status == GONE:
        return [Retry("job_lost", f"Klaviyo no longer knows job {job[:80]}")] * len(keys)
    if not succeeded(response):
        return for_all(verdict(response, account.now), keys)
    status = str(state_of(response).get("status") or "").lower()
    if status == "complete":
        return [Delivered()] * len(keys)
    if status == "cancelled":
        return [Retry("job_cancelled", f"job {job[:80]} was cancelled")] * len(keys)
    wait = wait_of(keys, account.now)
    if wait is None:
        seen = f"job {job[:80]} is still {status[:40] or 'without status'}"
        return [Retry("job_stuck", seen)] * len(keys)
    return Retry("job_running", f"job is {status[:40]}", after=wait, spends=False)
