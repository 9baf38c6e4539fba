"""E-mail addresses that Klaviyo takes."""

from __future__ import annotations

import pytest

from destination.klaviyo.email import is_email, is_public_email

TAKEN = [
    "ana@acme.io",
    "ANA.Lima@ACME.IO",
    "o'neil@acme.io",
    "ana+news@acme.co.uk",
    "a_b!#$%&*/=?^`{|}~-@acme.io",
    "1@2.co",
    "ana@sub-domain.acme.museum",
    "ana@xn--bcher-kva.de",
    "ana@acme.xn--p1ai",
    "a" * 64 + "@acme.io",
    "a" * 32 + "@" + "b" * 63 + ".co",
]
NOT_PUBLIC = ["ana@acme.c", "ana@1.2.3.4", "ana@acme.a1"]
REFUSED = [
    "",
    "@",
    "ana",
    "ana@",
    "@acme.io",
    "ana@acme",
    "ana@acme.",
    "ana@.io",
    "ana@acme..io",
    "ana@acme.io.",
    "ana@-acme.io",
    "ana@acme-.io",
    "ana@ac_me.io",
    ".ana@acme.io",
    "ana.@acme.io",
    "an..a@acme.io",
    "an a@acme.io",
    "ana@ac me.io",
    " ana@acme.io",
    "ana@acme.io\n",
    "ana@@acme.io",
    "ana@b@acme.io",
    '"ana"@acme.io',
    "ana@[1.2.3.4]",
    "änna@acme.io",
    "ana@bücher.de",
    "ana@acme.io\u200b",
    "\u017f@acme.io",
    "Ana <ana@acme.io>",
    "mailto:ana@acme.io",
    "a" * 65 + "@acme.io",
    "a@" + "b" * 64 + ".co",
    "a" * 40 + "@" + "b" * 57 + ".co",
]


@pytest.mark.parametrize("text", TAKEN + NOT_PUBLIC)
def test_valid_addresses_are_taken(text: str) -> None:
    """Whatever mail can be sent to, apostrophes and plus signs included."""
    assert is_email(text)


@pytest.mark.parametrize("text", REFUSED)
def test_invalid_addresses_are_refused(text: str) -> None:
    """One of these in a bulk request makes Klaviyo refuse all its rows."""
    assert not is_email(text)
    assert not is_public_email(text)


def test_a_hundred_characters_fit_and_one_more_does_not() -> None:
    """Klaviyo's limit."""
    local = "a" * 40
    assert is_email(f"{local}@{'b' * 56}.co")
    assert not is_email(f"{local}@{'b' * 57}.co")


@pytest.mark.parametrize(
    ("text", "public"), [*((t, True) for t in TAKEN), *((t, False) for t in NOT_PUBLIC)]
)
def test_a_public_address_ends_in_a_name_of_letters(text: str, public: bool) -> None:
    """The stricter rule of adding to lists, without its refusal of apostrophes."""
    assert is_public_email(text) is public
