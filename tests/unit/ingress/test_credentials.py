"""Write keys, wherever clients put them."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.ingress.credentials import bearer_token, spellings, write_key


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


def test_the_first_place_that_has_a_key_wins() -> None:
    """X-Write-Key, Basic user, body, query: in this order."""
    headers = {"x-write-key": "named", "authorization": basic("user:")}
    query = {"writeKey": "asked"}
    body = {"writeKey": "body"}
    assert write_key(headers, query, body) == "named"
    assert write_key({"authorization": basic("user:")}, query, body) == "user"
    assert write_key({}, query, body) == "body"
    assert write_key({}, query, None) == "asked"
    assert write_key({}, {}, None) is None


def test_a_bearer_token_is_not_a_key() -> None:
    """OAuth clients put the key in the body."""
    headers = {"authorization": "Bearer abc.def"}
    assert write_key(headers, {}, {"writeKey": "body"}) == "body"
    assert write_key(headers, {}, {}) is None


@pytest.mark.parametrize(
    ("authorization", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Bearer", None),
        ("Bearer  ", None),
        (basic("k:"), None),
        ("", None),
    ],
)
def test_a_bearer_token_is_found(authorization: str, token: str | None) -> None:
    """For tools that can send nothing else."""
    assert bearer_token({"authorization": authorization}) == token
    assert bearer_token({}) is None


@pytest.mark.parametrize(
    ("authorization", "key"),
    [
        (basic("k:"), "k"),
        (basic("k"), "k"),
        (basic("id:secret"), "id:secret"),
        (basic("id:secret:"), "id:secret"),
        (basic("kü:"), "kü"),
        ("basic azo=", "k"),
        ("BASIC   azo", "k"),
        ("Basic azo===", "k"),
    ],
)
def test_basic_is_read_generously(authorization: str, key: str) -> None:
    """Colon, padding and the case of the scheme vary."""
    assert write_key({"authorization": authorization}, {}, {"writeKey": "body"}) == key


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic ",
        "Basic a",
        "Basic !!!",
        "Basic ü",
        "Basic /w==",
        "Digest azo=",
        basic(":p"),
    ],
)
def test_what_cannot_be_read_is_absent(authorization: str) -> None:
    """Odd base64, bytes that are not UTF-8, an empty user: the body is asked next."""
    assert write_key({"authorization": authorization}, {}, {"writeKey": "body"}) == "body"


def test_a_key_may_hold_a_colon_or_come_with_a_password() -> None:
    """Jitsu's keys do, and some senders make a password up: whole first, then the user alone."""
    assert spellings("id:secret") == ("id:secret", "id")
    assert spellings("k:made:up") == ("k:made:up", "k")
    assert spellings("k") == ("k",)
    assert spellings(":p") == (":p",)


def test_a_masked_key_is_no_key() -> None:
    """Jitsu's clients send the real key in the header and a masked one in the body."""
    body = {"writeKey": "id:***"}
    assert write_key({"x-write-key": "id:secret"}, {}, body) == "id:secret"
    assert write_key({}, {}, body) is None


@pytest.mark.parametrize("document", [None, [], "text", 1, {"writeKey": 5}, {"writeKey": ""}])
def test_a_body_without_a_key_has_none(document: object) -> None:
    """Bodies of any shape can be asked."""
    assert write_key({}, {}, document) is None


@given(st.text(), st.text())
def test_nothing_raises(authorization: str, key: str) -> None:
    """Hostile headers are absent keys."""
    for value in (authorization, f"Basic {authorization}"):
        found = write_key({"authorization": value, "x-write-key": key}, {}, None)
        assert found is None or isinstance(found, str)
