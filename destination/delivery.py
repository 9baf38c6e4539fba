"""How a delivery ends: outcomes, named by what happens next.

A delivery is one event for one mapping. Each attempt gives it one outcome; ``Delivered``,
``Dropped`` and ``Discard`` are ends, the others leave it pending. They are structs, which are made in
a fifteenth of the time of frozen dataclasses: there is one for many a row.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Delivered(Struct, frozen=True, gc=False):
    """Klaviyo has it.

    ``code`` is ``delivered``, or ``accepted_by_klaviyo`` where Klaviyo takes the request (202)
    and offers nothing to poll. ``note`` says what else is worth knowing, such as
    ``phone_number_ignored`` from ``X-Klaviyo-Partial-Failure``.
    """

    code: str = "delivered"
    note: str = ""


class Dropped(Struct, frozen=True, gc=False):
    """Nothing is to be sent, on purpose; ``code`` names the reason, such as ``unchanged``."""

    code: str
    note: str = ""


class Submitted(Struct, frozen=True, gc=False):
    """A job at Klaviyo has it; the action's ``poll`` will tell the end of each row.

    ``key`` is what ``poll`` needs to know this row again in the job's errors (JSON).
    """

    job: str
    key: Any


class Retry(Struct, frozen=True, gc=False):
    """Not now. ``after`` is how many seconds to wait, None for the usual backoff.

    ``code`` names the reason. ``spends`` is False for what is not the row's fault and may go on
    for any time (throttling, no room). ``whole`` is True when every row of the lane would meet the
    same (endpoint throttled, Klaviyo down), so that the lane waits as one. ``aside`` names what the
    row waits for when that concerns nothing else of its person (``list:AbC123``): only rows that
    wait for the same stay behind it, and a person must act, so that it spends hours of its own
    (``missing_list_hours``) and no attempts.
    """

    code: str
    message: str = ""
    after: float | None = None
    spends: bool = True
    whole: bool = False
    aside: str = ""


class Discard(Struct, frozen=True, gc=False):
    """Never as it is: a dead letter. ``code`` is in the catalogue, ``message`` says what was seen.

    ``field`` names the payload field at fault, ``status`` Klaviyo's HTTP status if it answered.
    """

    code: str
    message: str
    field: str = ""
    status: int | None = None


class Halt(Struct, frozen=True, gc=False):
    """A person must act (revoked key, missing scope): the connection pauses and keeps everything."""

    code: str
    message: str
    status: int | None = None


Outcome = Delivered | Dropped | Submitted | Retry | Discard | Halt
"""What one attempt at one delivery came to."""
