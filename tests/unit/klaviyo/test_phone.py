"""Phone numbers to E.164."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.klaviyo.phone import to_e164

WIDE = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}


def test_every_recorded_number_gives_the_recorded_answer(vectors: Path) -> None:
    """What Segment makes of a number, we do."""
    cases = json.loads((vectors / "phone.json").read_text())
    wrong = [
        f"{case['id']}: {got} instead of {case.get('expected')}"
        for case in cases
        if "js-quirk" not in case.get("tags", ())
        and (got := to_e164(case["number"], case["country"])) != case.get("expected")
    ]
    assert cases
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "number",
    [
        "+52 1 55 1234 5678",
        "+52 155 1234 5678 ext. 9",
        "044 55 1234 5678",
        "045 55 1234 5678",
        "01 55 1234 5678",
        "02 55 1234 5678",
        "1 55 1234 5678",
        "0052 1 55 1234 5678",
        "55 1234 5678",
    ],
)
def test_old_mexican_forms_are_still_read(number: str) -> None:
    """Address books keep prefixes that were given up in 2019."""
    assert to_e164(number, "MX") == "+525512345678"


def test_another_country_s_number_is_not_taken_for_a_mexican_one() -> None:
    """The 1 of North America is no Mexican prefix."""
    assert to_e164("+1 415 555 2671", "MX") is None


@pytest.mark.parametrize(
    ("number", "country", "expected"),
    [
        ("+123", None, "+123"),
        ("+14155552671", "DE", "+14155552671"),
        ("+1415555267\uff11", None, None),
        ("tel:+1-415-555-2671;ext=5", "US", "+14155552671"),
        ("415 555 2671".translate(WIDE), "US", "+14155552671"),
        ("1-800-flowers", "US", "+18003569377"),
        ("4155552671", "us", "+14155552671"),
        (4155552671, "US", "+14155552671"),
        ("4155552671", "CA", None),
        ("4155552671", None, None),
        ("4155552671", "", None),
        ("4155552671", "001", None),
        ("", "US", None),
        ("1" * 251, "US", None),
        ("415 555 2671" + " " * 10_000, "US", None),
        (True, "US", None),
        (-4155552671, "US", None),
        (4155552671.0, "US", None),
        (None, "US", None),
        ({}, "US", None),
        ("4155552671", ["US"], None),
    ],
)
def test_single_rules(number: Any, country: Any, expected: str | None) -> None:
    """The rules that the recorded cases do not reach."""
    assert to_e164(number, country) == expected


@given(
    st.text(max_size=300)
    | st.text("0123456789+-() xX#;=extl\u0660\u0661\uff12", max_size=40)
    | st.integers(),
    st.sampled_from(["US", "MX", "GB", "ZZ", "", "us", "ÜS", "AR"])
    | st.none()
    | st.text(max_size=3),
)
def test_nothing_raises_and_what_comes_out_is_e164(number: Any, country: str | None) -> None:
    """Whatever comes in, out comes E.164, which converts to itself, or nothing."""
    found = to_e164(number, country)
    assert found is None or to_e164(found, None) == found


def test_e164_is_passed_without_loading_the_tables() -> None:
    """A process that sees only E.164 never pays for Google's tables."""
    code = (
        "import sys; from destination.klaviyo.phone import to_e164;"
        "assert to_e164('+14155552671', 'US') and to_e164('415', None) is None;"
        "sys.exit('phonenumbers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_number_beyond_all_bounds_is_refused() -> None:
    """Python would not even write it down."""
    assert to_e164(10**5000, "US") is None
