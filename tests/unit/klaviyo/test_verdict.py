"""Reading Klaviyo's answers: one test per row of the table, and the tolerant readers."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.delivery import Delivered, Discard, Halt, Outcome, Retry
from destination.klaviyo.verdict import (
    DEFAULT_WAIT,
    LONGEST_WAIT,
    MESSAGE,
    RULES,
    errors_of,
    field_of,
    retry_after,
    verdict,
)
from destination.sending import Response

NOW = 1_763_800_000.0  # Sat, 22 Nov 2025 08:26:40 GMT


def answer(status: int, body: Any = None, **headers: str) -> Response:
    """An answer with a JSON body, or raw text, or none."""
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, names, text.encode())


def error(code: str, detail: str = "", pointer: str = "/data", **meta: Any) -> dict[str, Any]:
    """An error answer's body with one entry."""
    return {
        "errors": [{"code": code, "detail": detail, "source": {"pointer": pointer}, "meta": meta}]
    }


def retry(code: str, *, after: float | None = None, spends: bool = True) -> Any:
    """A pattern for Retry that does not look at the message."""
    return ("Retry", code, after, spends, True)


def seen(outcome: Outcome) -> Any:
    """The parts of an outcome that decide what happens next."""
    match outcome:
        case Retry(code, _, after, spends, whole):
            return ("Retry", code, after, spends, whole)
        case Discard(code, _, field, status):
            return ("Discard", code, field, status)
        case Halt(code, _, status):
            return ("Halt", code, status)
        case Delivered(code, note):
            return ("Delivered", code, note)
        case other:
            return other


TABLE = [
    ("success", answer(200, {"data": {}}), ("Delivered", "delivered", "")),
    ("success", answer(201, {"data": {}}), ("Delivered", "delivered", "")),
    ("success", answer(204), ("Delivered", "delivered", "")),
    ("success", answer(202), ("Delivered", "accepted_by_klaviyo", "")),
    (
        "success",
        answer(202, x_klaviyo_partial_failure="phone_number"),
        ("Delivered", "accepted_by_klaviyo", "phone_number_ignored"),
    ),
    (
        "throttled",
        answer(429, error("throttled"), retry_after="7"),
        retry("throttled", after=7.0, spends=False),
    ),
    ("throttled", answer(429), retry("throttled", after=DEFAULT_WAIT, spends=False)),
    ("throttled", answer(429, retry_after="0"), retry("throttled", after=1.0, spends=False)),
    (
        "throttled",
        answer(429, retry_after="43200"),
        retry("daily_limit", after=43200.0, spends=False),
    ),
    ("throttled", answer(408), retry("throttled", after=DEFAULT_WAIT, spends=False)),
    ("throttled", answer(425), retry("throttled", after=DEFAULT_WAIT, spends=False)),
    ("redirect", answer(301, location="https://elsewhere.example"), ("Halt", "redirected", 301)),
    ("bad key", answer(401, error("not_authenticated")), ("Halt", "key_refused", 401)),
    ("bad key", answer(401, "<html>no</html>"), ("Halt", "key_refused", 401)),
    ("edge refusal", answer(403, "<html>checking your browser</html>"), retry("blocked_at_edge")),
    ("edge refusal", answer(403), retry("blocked_at_edge")),
    ("missing scope", answer(403, error("permission_denied")), ("Halt", "scope_missing", 403)),
    (
        "bad data",
        answer(400, error("invalid", "Invalid email address", "/data/attributes/email")),
        ("Discard", "rejected_by_klaviyo", "email", 400),
    ),
    ("bad data", answer(422, error("invalid")), ("Discard", "rejected_by_klaviyo", "", 422)),
    ("bad data", answer(400, "<html>"), ("Discard", "rejected_by_klaviyo", "", 400)),
    ("not found", answer(404, error("not_found")), ("Discard", "not_found", "", 404)),
    (
        "conflict",
        answer(409, error("duplicate_profile")),
        ("Discard", "identity_conflict", "", 409),
    ),
    ("retired revision", answer(410), ("Halt", "revision_retired", 410)),
    ("too large", answer(413), ("Discard", "too_large", "", 413)),
    ("other refusal", answer(415), ("Discard", "refused_by_klaviyo", "", 415)),
    ("other refusal", answer(405), ("Discard", "refused_by_klaviyo", "", 405)),
    ("klaviyo down", answer(500, "<html>oops</html>"), retry("klaviyo_unavailable")),
    ("klaviyo down", answer(503, retry_after="30"), retry("klaviyo_unavailable", after=30.0)),
    ("klaviyo down", answer(502), retry("klaviyo_unavailable")),
    ("klaviyo down", answer(524), retry("klaviyo_unavailable")),
    ("klaviyo down", answer(999), retry("klaviyo_unavailable")),
]


@pytest.mark.parametrize(("name", "response", "expected"), TABLE)
def test_each_row_of_the_table_gives_its_outcome(
    name: str, response: Response, expected: Any
) -> None:
    """Status first, then the body, then the headers."""
    assert seen(verdict(response, NOW)) == expected
    assert next(rule.name for rule in RULES if rule.when(response)) == name


def test_every_row_of_the_table_is_tested() -> None:
    """A new rule needs its line above."""
    assert {rule.name for rule in RULES} == {name for name, _, _ in TABLE}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("0.5", 0.5),
        ("999999999", LONGEST_WAIT),
        ("Sat, 22 Nov 2025 08:27:10 GMT", 30.0),
        ("Sat, 22 Nov 2025 08:00:00 GMT", 0.0),
        ("Sat, 22 Nov 9999 08:00:00 GMT", LONGEST_WAIT),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("5, 10", None),
        ("٣", None),
        ("Sat, 22 Nov 2025 08:27:10 -0000", None),
        ("9999999999999999", None),
    ],
)
def test_retry_after_is_read_or_ignored(text: str, seconds: float | None) -> None:
    """Whole seconds, fractions and dates; garbage counts as nothing said."""
    assert retry_after(answer(429, retry_after=text), NOW) == seconds


@given(st.text(max_size=60))
def test_retry_after_is_never_outside_a_day(text: str) -> None:
    """No header can make us wait for ever or raise."""
    seconds = retry_after(answer(429, retry_after=text), NOW)
    assert seconds is None or (0 <= seconds <= LONGEST_WAIT and math.isfinite(seconds))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["errors", "source", "meta", "code", "pointer"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.integers(100, 999), JSON | st.binary(max_size=20))
def test_any_answer_has_a_verdict(status: int, body: Any) -> None:
    """Whatever body comes, reading it never fails and its message stays bounded."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    outcome = verdict(Response(status, {}, raw), NOW)
    assert len(getattr(outcome, "message", "")) <= MESSAGE


def test_all_errors_of_an_answer_are_listed() -> None:
    """An answer may hold several; entries that are no objects are left out."""
    body = {
        "errors": [
            {"code": "a", "meta": {"duplicate_profile_id": "P"}},
            5,
            {"detail": "b", "source": None},
        ]
    }
    first, second = errors_of(answer(409, body))
    assert (first.code, first.meta) == ("a", {"duplicate_profile_id": "P"})
    assert (second.detail, second.pointer, second.meta) == ("b", "", {})


@pytest.mark.parametrize(
    ("pointer", "name"),
    [
        ("/data/attributes/phone_number", "phone_number"),
        ("/data/attributes/location/city", "location.city"),
        ("/data/attributes/profiles/data/0/attributes/email", "email"),
        ("/data/", ""),
        ("", ""),
    ],
)
def test_a_pointer_names_the_field(pointer: str, name: str) -> None:
    """The part after the innermost attributes."""
    assert field_of(pointer) == name
