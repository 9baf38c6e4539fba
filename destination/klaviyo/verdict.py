"""The one place that reads an answer of Klaviyo: status, errors, ``Retry-After``.

``RULES`` is the whole table, read from the top; the first rule that applies decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from destination.delivery import Delivered, Discard, Halt, Outcome, Retry
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


def message_of(response: Response) -> str:
    """What an answer said, for a person: status, code and detail of each error, bounded."""
    said = [
        " ".join(filter(None, (each.code, each.detail or each.title)))
        for each in errors_of(response)
    ]
    text = f"Klaviyo answered {response.status}"
    return (f"{text}: {'; '.join(said)}" if any(said) else text)[:MESSAGE]


def field_of(pointer: str) -> str:
    """The payload field that an error pointer means: ``/data/attributes/location/city`` is
    ``location.city``; empty when the pointer names no attribute.
    """
    inside = pointer.rpartition("/attributes/")[2] if "/attributes/" in pointer else ""
    return ".".join(part for part in inside.split("/") if part)[:MESSAGE]


def discard(response: Response, code: str) -> Discard:
    """A dead letter for ``code`` with what Klaviyo said and the field it pointed at."""
    fields = [field_of(each.pointer) for each in errors_of(response) if each.pointer]
    return Discard(code, message_of(response), next(filter(None, fields), ""), response.status)


@dataclass(frozen=True, slots=True)
class Rule:
    """``outcome(response, now)`` is the verdict when ``when(response)`` holds."""

    name: str
    when: Callable[[Response], bool]
    outcome: Callable[[Response, float], Outcome]


def _status(*statuses: int) -> Callable[[Response], bool]:
    return lambda response: response.status in statuses


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
    code = "daily_limit" if wait > LONG_WAIT else "throttled"
    return Retry(code, message_of(response), after=wait, spends=False, whole=True)


def _transient(code: str, *, whole: bool) -> Callable[[Response, float], Outcome]:
    def outcome(response: Response, now: float) -> Outcome:
        return Retry(code, message_of(response), after=retry_after(response, now), whole=whole)

    return outcome


RULES: tuple[Rule, ...] = (
    Rule("success", _between(200, 300), _delivered),
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


UNREADABLE = Retry("unreadable_answer", "Klaviyo answered with success but without a readable id")
"""A success whose body lacks the id that the next step needs; every step is safe to repeat."""
