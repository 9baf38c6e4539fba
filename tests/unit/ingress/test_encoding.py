"""Inflating and reading: what gets in can get out again, and nothing costs more than its cap."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.errors import Rejected
from destination.event import decode, encode
from destination.ingress.encoding import MAX_DEPTH, inflate, read_json
from tests.unit.ingress.captures import outcome

CAP = 1 << 20
PLAIN = b'{"batch":[]}'


def refusal(body: bytes, encoding: str = "", cap: int = CAP) -> Rejected:
    with pytest.raises(Rejected) as caught:
        inflate(body, encoding, cap)
    return caught.value


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", " x-gzip ", "", "identity"])
def test_gzip_is_read_with_and_without_its_header(encoding: str) -> None:
    """Some clients leave Content-Encoding out, so the first two bytes count too."""
    assert inflate(gzip.compress(PLAIN), encoding, CAP) == PLAIN


@pytest.mark.parametrize("encoding", ["", "identity", "Identity"])
def test_a_plain_body_passes_unchanged(encoding: str) -> None:
    """Without an encoding the body is the body."""
    assert inflate(PLAIN, encoding, CAP) == PLAIN


def test_members_are_joined_and_zero_padding_is_ignored() -> None:
    """A gzip file may consist of several members and end in zeros (RFC 1952)."""
    body = gzip.compress(PLAIN[:5]) + gzip.compress(PLAIN[5:]) + b"\0" * 30
    assert inflate(body, "gzip", CAP) == PLAIN


@pytest.mark.parametrize("size", [CAP - 1, CAP])
def test_a_body_up_to_the_cap_passes(size: int) -> None:
    """The cap itself is allowed."""
    assert len(inflate(gzip.compress(b"x" * size), "gzip", CAP)) == size
    assert len(inflate(b"x" * size, "", CAP)) == size


def test_one_byte_more_is_too_large() -> None:
    """413, for plain bodies, compressed ones and the sum of members."""
    assert refusal(b"x" * (CAP + 1)).status == 413
    assert refusal(gzip.compress(b"x" * (CAP + 1)), "gzip").status == 413
    assert refusal(gzip.compress(b"x" * CAP) + gzip.compress(b"y"), "gzip").status == 413


def test_a_bomb_is_stopped_at_the_cap() -> None:
    """100 MB from 100 KB: nothing beyond the cap is ever held."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b"\0" * 1_000_000) for _ in range(100)) + packer.flush()
    tracemalloc.start()
    try:
        assert refusal(bomb, "gzip").status == 413
        assert tracemalloc.get_traced_memory()[1] < 4 * CAP
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(PLAIN)[:-1],
        gzip.compress(PLAIN)[:9],
        gzip.compress(PLAIN)[:-8] + b"\0" * 8,
        b"\x1f\x8b" + b"garbage",
        PLAIN,
        b"",
        gzip.compress(PLAIN) + b"tail",
        gzip.compress(b"") * 5_000,
    ],
    ids=["cut", "header", "checksum", "garbage", "plain", "empty", "tail", "members"],
)
def test_damaged_gzip_is_a_bad_request(body: bytes) -> None:
    """Whatever is wrong with it, the answer is 400 and says so."""
    problem = refusal(body, "gzip")
    assert (problem.status, problem.code) == (400, "bad_request")
    assert "gzip" in problem.message


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "x" * 500])
def test_other_encodings_are_unsupported(encoding: str) -> None:
    """415 with what to send instead, and no more of the header than fits a line."""
    problem = refusal(PLAIN, encoding)
    assert problem.status == 415
    assert "send gzip" in problem.message
    assert len(problem.message) < 200


@given(st.binary(max_size=200), st.sampled_from(["", "gzip", "br", "ü"]))
def test_inflating_raises_nothing_else(body: bytes, encoding: str) -> None:
    """Any bytes give bytes or Rejected; with the magic in front as well."""
    for candidate in (body, b"\x1f\x8b\x08" + body):
        found = outcome(partial(inflate, candidate, encoding, 100))
        assert isinstance(found, bytes) or found.status in (400, 413, 415)


def unreadable(body: bytes) -> str:
    with pytest.raises(Rejected) as caught:
        read_json(body)
    assert (caught.value.status, caught.value.code) == (400, "bad_request")
    assert len(caught.value.message) < 300
    return caught.value.message


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b' {"a":1,"a":2} ', {"a": 2}),
        (b"18446744073709551616", 2**64),
        (b"-123456789012345678901234567890", -123456789012345678901234567890),
        (b"9007199254740993", 2**53 + 1),
        (b"9" * 4300, int("9" * 4300)),
        (b"1E2", 100.0),
        (b'"\\u0000\\u202e"', "\0\u202e"),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'{"":{"__proto__":1,"$consent":true}}', {"": {"__proto__": 1, "$consent": True}}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_read_is_written_back_equal(body: bytes, value: Any) -> None:
    """Integers keep every digit, the last of equal keys wins, a byte order mark is skipped."""
    assert read_json(body) == value
    assert decode(encode(read_json(body))) == value


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"a":1,}', "byte 7"),
        (b'{"a":1} x', "trailing"),
        (b'{"a":', "truncated"),
        (b"NaN", "byte 0"),
        (b"[Infinity]", "byte 1"),
        (b"1e400", "strings"),
        (b"9" * 4301, "strings"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udc00":1}', ""),
        (b'"\xed\xa0\x80"', "UTF-8"),
        (b'{"a":"\xff"}', "byte 6"),
        ('{"a":1}'.encode("utf-16"), "UTF-16"),
        (b"01", ""),
        (b"event=Order", ""),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_refusal_says_where_and_why(body: bytes, said: str) -> None:
    """Nothing that could not be sent on is let in; the message helps to find it."""
    assert said in unreadable(body)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_ends_at_the_limit(opening: bytes, closing: bytes) -> None:
    """100 levels pass and can be written back, 101 do not, in objects and arrays alike."""
    deepest = opening * MAX_DEPTH + b"1" + closing * MAX_DEPTH
    assert decode(encode(read_json(deepest))) == read_json(deepest)
    for depth in (MAX_DEPTH + 1, 900, 1_000, 100_000):
        assert "100 levels" in unreadable(opening * depth + b"1" + closing * depth)


def test_depth_is_found_in_long_bodies_too() -> None:
    """Bodies beyond the quick count are walked, and brackets in strings count for nothing."""
    hidden = b"[" * 101 + b"]" * 101
    filler = b'"' + b"]}" * 10_000 + b'"'
    assert "levels" in unreadable(b'{"a":' + filler + b',"b":' + hidden + b"}")
    assert read_json(b'["' + b"[{" * 20_000 + b'"]') == ["[{" * 20_000]


def test_a_million_open_brackets_cost_nothing() -> None:
    """Refused in well under 50 ms, without a RecursionError."""
    started = time.perf_counter()
    assert "levels" in unreadable(b"[" * 1_000_000)
    assert "levels" in unreadable(b'{"a":' * 1_000_000)
    assert time.perf_counter() - started < 0.1


@given(st.binary(max_size=60))
def test_reading_raises_nothing_else(body: bytes) -> None:
    """Any bytes give a value that can be written back, or Rejected."""
    found = outcome(lambda: read_json(body))
    if isinstance(found, Rejected):
        assert found.status == 400
    else:
        assert decode(encode(found)) == found
