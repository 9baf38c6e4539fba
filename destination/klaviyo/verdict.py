"""The one place that reads an answer of Klaviyo: status, errors, ``Retry-After``.

``RULES`` is the whole table, read from the top; the first rule that applies decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from msgspec.structs import replace

from destination.delivery import Delivered, Discard, Halt, Outcome, Retry
from destination.errors import NoRoom, Unanswered
from destination.sending import Response

MESSAGE = 500
"""The longest message that an outcome carries, in characters."""

DEFAULT_WAIT = 5.0
"""Seconds to wait after a 429 that does not say how long."""

SHORTEST_WAIT = 1.0
"""Klaviyo's shortest window; "available in 0 seconds" was seen and did not hold."""

LONGEST_WAIT = 86_400.0
"""Klaviyo's longest window is a day."""

LONG_WAIT = 600.0
"""A longer wait than this comes from a daily limit."""

PHONE_IGNORED = "phone_number_ignored"
"""The note on a success whose phone number Klaviyo left out."""

UNPROCESSABLE = (400, 413, 422)
"""The statuses that refuse the data of a request."""

_LIST = "/relationships/list"  # also "lists"
_ROW = re.compile(r"/data/(\d{1,6})(?:/|$)", re.ASCII)
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiError:
    """One entry of a JSON:API error answer; what is missing or of a wrong type is empty."""

    code: str = ""
    title: str = ""
    detail: str = ""
    pointer: str = ""
    meta: dict[str, Any] = field(default_factory=dict)


def errors_of(response: Response) -> list[ApiError]:
    """The errors that an answer lists; empty for any body that is not such an answer."""
    body = response.json()
    errors = body.get("errors") if isinstance(body, dict) else None
    if not isinstance(errors, list):
        return []
    return [_error(each) for each in errors if isinstance(each, dict)]


def _error(each: dict[str, Any]) -> ApiError:
    source, meta = each.get("source"), each.get("meta")
    return ApiError(
        code=_text(each.get("code")),
        title=_text(each.get("title")),
        detail=_text(each.get("detail")),
        pointer=_text(source.get("pointer")) if isinstance(source, dict) else "",
        meta=meta if isinstance(meta, dict) else {},
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def retry_after(response: Response, now: float) -> float | None:
    """How many seconds ``Retry-After`` asks to wait, at most a day; None when it says nothing sane.

    Seconds (whole or fraction) and HTTP dates are read; ``now`` is the unix time. A date in the
    past gives 0.
    """
    text = response.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
        seconds = moment.timestamp() - now if moment.tzinfo else None
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_WAIT)


def message_of(response: Response, errors: Sequence[ApiError] | None = None) -> str:
    """What an answer said, for a person: status, code and detail of each error, bounded.

    ``errors`` are those of its errors that matter, all when it is None.
    """
    listed = errors_of(response) if errors is None else errors
    said = [" ".join(filter(None, (each.code, each.detail or each.title))) for each in listed]
    text = f"Klaviyo answered {response.status}"
    return (f"{text}: {'; '.join(said)}" if any(said) else text)[:MESSAGE]


def field_of(pointer: str) -> str:
    """The payload field that an error pointer means: ``/data/attributes/location/city`` is
    ``location.city`` and ``/data/relationships/list`` is ``list_id``; empty when it names neither.
    """
    if _LIST in pointer:
        return "list_id"
    inside = pointer.rpartition("/attributes/")[2] if "/attributes/" in pointer else ""
    return ".".join(part for part in inside.split("/") if part)[:MESSAGE]


def discard(response: Response, code: str, row: int | None = None) -> Discard:
    """A dead letter for ``code`` with what Klaviyo said and the field it pointed at.

    With ``row`` only the errors that point at that row of a bulk request count, if there are any.
    """
    listed = errors_of(response)
    if row is not None:
        listed = [each for each in listed if row_of(each.pointer) == row] or listed
    fields = [field_of(each.pointer) for each in listed]
    return Discard(
        code, message_of(response, listed), next(filter(None, fields), ""), response.status
    )


def row_of(pointer: str) -> int | None:
    """The row of a bulk request that an error pointer names, from 0.

    ``/data/attributes/profiles/data/3/attributes/email`` and ``/data/3/id`` name row 3; the list
    in ``/data/relationships/lists/data/0`` is no row.
    """
    match = None if "/relationships/" in pointer else _ROW.search(pointer)
    return int(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class Rule:
    """``outcome(response, now)`` is the verdict when ``when(response)`` holds."""

    name: str
    when: Callable[[Response], bool]
    outcome: Callable[[Response, float], Outcome]


def _status(*statuses: int) -> Callable[[Response], bool]:
    return lambda response: response.status in statuses


def succeeded(response: Response) -> bool:
    """Whether Klaviyo took the request."""
    return 200 <= response.status < 300


def _between(low: int, high: int) -> Callable[[Response], bool]:
    return lambda response: low <= response.status < high


def _edge_page(response: Response) -> bool:
    # The edge in front of Klaviyo answers in HTML; only Klaviyo itself lists errors.
    return response.status == 403 and not errors_of(response)


def _delivered(response: Response, _now: float) -> Outcome:
    ignored = [
        name.strip()
        for name in response.headers.get("x-klaviyo-partial-failure", "").split(",")
        if name.strip()
    ]
    note = " ".join(f"{name}_ignored" for name in ignored)[:MESSAGE]
    return Delivered("accepted_by_klaviyo" if response.status == 202 else "delivered", note)


def _discard(code: str) -> Callable[[Response, float], Outcome]:
    return lambda response, _now: discard(response, code)


def _halt(code: str) -> Callable[[Response, float], Outcome]:
    return lambda response, _now: Halt(code, message_of(response), response.status)


def _throttled(response: Response, now: float) -> Outcome:
    asked = retry_after(response, now)
    wait = DEFAULT_WAIT if asked is None else max(asked, SHORTEST_WAIT)
    return Retry(
        "daily_limit" if wait > LONG_WAIT else "throttled",
        message_of(response),
        after=wait,
        spends=False,
        whole=True,
    )


def _transient(code: str, *, whole: bool) -> Callable[[Response, float], Outcome]:
    def outcome(response: Response, now: float) -> Outcome:
        # "Retry-After: 0" says nothing: the usual backoff keeps from asking again at once for ever.
        return Retry(code, message_of(response), retry_after(response, now) or None, whole=whole)

    return outcome


RULES: tuple[Rule, ...] = (
    Rule("success", succeeded, _delivered),
    Rule("throttled", _status(408, 425, 429), _throttled),
    Rule("redirect", _between(300, 400), _halt("redirected")),
    Rule("bad key", _status(401), _halt("key_refused")),
    Rule("edge refusal", _edge_page, _transient("blocked_at_edge", whole=True)),
    Rule("missing scope", _status(403), _halt("scope_missing")),
    Rule("bad data", _status(400, 422), _discard("rejected_by_klaviyo")),
    Rule("not found", _status(404), _discard("not_found")),
    Rule("conflict", _status(409), _discard("identity_conflict")),
    Rule("retired revision", _status(410), _halt("revision_retired")),
    Rule("too large", _status(413), _discard("too_large")),
    Rule("other refusal", _between(400, 500), _discard("refused_by_klaviyo")),
    # 5xx, 520-524 of the edge, and numbers that HTTP does not know.
    Rule("klaviyo down", lambda _response: True, _transient("klaviyo_unavailable", whole=True)),
)
"""Status and body to outcome. A batch looks for row pointers before it asks for a verdict."""


def verdict(response: Response, now: float) -> Outcome:
    """What an answer means for whoever it was the answer to; ``now`` in unix seconds."""
    rule = next(each for each in RULES if each.when(response))
    return rule.outcome(response, now)


def noted(outcome: Outcome, earlier: Outcome) -> Outcome:
    """``outcome`` with the note of an earlier request of the same delivery."""
    if isinstance(outcome, Delivered) and isinstance(earlier, Delivered) and not outcome.note:
        return replace(outcome, note=earlier.note)
    return outcome


def with_note(outcome: Outcome, *notes: str) -> Outcome:
    """A delivery with more notes; any other outcome as it is."""
    if notes and isinstance(outcome, Delivered):
        return replace(outcome, note=" ".join(filter(None, (outcome.note, *notes))))
    return outcome


def noted_for(outcome: Outcome, payload: Mapping[str, Any]) -> Outcome:
    """The outcome of a bulk request for one row of it.

    Klaviyo's partial failure names no row, so rows without a phone number lose that note.
    """
    if isinstance(outcome, Delivered) and outcome.note and "phone_number" not in payload:
        kept = " ".join(note for note in outcome.note.split() if note != PHONE_IGNORED)
        return outcome if kept == outcome.note else replace(outcome, note=kept)
    return outcome


def unanswered(error: Unanswered) -> Retry:
    """The wait after a request without answer, which may have been applied."""
    return Retry("unanswered", str(error)[:MESSAGE], whole=True)


def no_room(error: NoRoom) -> Retry:
    """The wait until the account's own limit has room; nothing was sent."""
    return Retry("no_room", str(error)[:MESSAGE], after=error.after, spends=False, whole=True)


UNREADABLE = Retry("unreadable_answer", "Klaviyo answered with success but without a readable id")
"""A success whose body lacks the id that the next step needs; every step is safe to repeat."""
