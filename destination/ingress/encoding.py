"""From the bytes of a request to JSON values: bounded inflating, strict reading.

What is accepted here can always be written back: NaN, infinities, numbers beyond a double, lone
surrogates and absurd depth are refused at the door, because an event that cannot be encoded again
could never leave the queue.
"""

from __future__ import annotations

import re
import zlib
from typing import Any, NoReturn

import msgspec

from destination.errors import Rejected

MAX_DEPTH = 100
"""Containers inside containers in one document. Klaviyo takes 10; every JSON writer copes with 100."""

MAX_MEMBERS = 100
"""Gzip members in one body. Real clients send one; each further one costs a copy of what is left."""

_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_CONTAINERS = frozenset((dict, list))
_TRAILING_COMMA = re.compile(rb'("(?:[^"\\]|\\.)*+"?)|,(?=\s*[\]}])', re.DOTALL)
"""A whole string (kept, even an unfinished one, so that no part is tried twice) or such a comma."""
_decode = msgspec.json.Decoder().decode


def inflate(body: bytes, content_encoding: str, cap: int) -> bytes:
    """The body without its ``Content-Encoding``, never holding more than ``cap`` bytes of it.

    Gzip is recognised by its first two bytes as well, as some clients leave the header out, and
    may have several members (RFC 1952). Raises ``Rejected``: 413 when the decoded body is longer
    than ``cap``, 400 when it is damaged or cut short, 415 for any other encoding.
    """
    encoding = content_encoding.strip().lower()
    if encoding in ("gzip", "x-gzip") or (
        encoding in ("", "identity") and body.startswith(_GZIP_MAGIC)
    ):
        return _gunzip(body, cap)
    if encoding not in ("", "identity"):
        raise Rejected(
            415,
            "unsupported_encoding",
            f"Content-Encoding {content_encoding[:60]!r} is not supported: send gzip or no encoding",
        )
    if len(body) > cap:
        raise too_large(cap)
    return body


def too_large(cap: int) -> Rejected:
    """The refusal of a body of more than ``cap`` decoded bytes."""
    return Rejected(
        413,
        "payload_too_large",
        f"the body is larger than {cap:,} bytes once decoded: send fewer or smaller events at a time",
    )


def _gunzip(body: bytes, cap: int) -> bytes:
    parts: list[bytes] = []
    room = cap
    rest = body
    for _ in range(MAX_MEMBERS):
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(rest, room + 1)
        except zlib.error as error:
            raise _bad_gzip(f"it is damaged ({error})") from None
        room -= len(part)
        if room < 0:
            raise too_large(cap)
        if not member.eof:
            raise _bad_gzip("it is cut short")
        parts.append(part)
        rest = member.unused_data
        if not rest.strip(b"\x00"):  # RFC 1952 writers may pad the end with zeros
            return parts[0] if len(parts) == 1 else b"".join(parts)
        if not rest.startswith(_GZIP_MAGIC):
            raise _bad_gzip(f"{len(rest):,} bytes that are not gzip follow it")
    raise _bad_gzip(f"it has more than {MAX_MEMBERS} members")


def _bad_gzip(reason: str) -> Rejected:
    return Rejected(
        400, "bad_request", f"the gzip body cannot be read: {reason}. Compress the body anew"
    )


def read_json(body: bytes) -> Any:
    """One JSON document as Python values, strictly by RFC 8259; a UTF-8 byte order mark is skipped.

    Integers keep all their digits (up to 4,300 of them, measured with msgspec 0.22 on Python 3.11),
    other numbers become doubles; of equal keys in an object the last wins. Raises
    ``Rejected(400, "bad_request")`` with the place and the remedy for anything else.
    """
    body = body.removeprefix(_BOM)
    try:
        document = _decode(body)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        _refuse(body, error)
    if may_be_deep(body) and _too_deep(document):
        raise _bad_json(_DEPTH_MESSAGE)
    return document


def read_loose_json(body: bytes) -> Any:
    """As ``read_json``, but a comma before a closing bracket is forgiven: loops in templates leave
    one behind.
    """
    try:
        return read_json(body)
    except Rejected as problem:
        if "trailing comma" not in problem.message:
            raise
    return read_json(_TRAILING_COMMA.sub(lambda found: found[1] or b"", body))


def may_be_deep(body: bytes) -> bool:
    """False when so few brackets are opened that no walk is needed: nearly all single events."""
    return body.count(b"{") + body.count(b"[") > MAX_DEPTH


def _too_deep(document: Any) -> bool:
    """Whether containers nest deeper than ``MAX_DEPTH``: level by level, so depth costs nothing."""
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            value
            for container in level
            for value in (container.values() if type(container) is dict else container)
            if type(value) in _CONTAINERS
        ]
        if not level:
            return False
    return True


_DEPTH_MESSAGE = f"it nests deeper than {MAX_DEPTH} levels: flatten it"


def _refuse(body: bytes, error: Exception) -> NoReturn:
    raise _bad_json(_reason(body, error)) from None


def _reason(body: bytes, error: Exception) -> str:
    if not body.strip():
        return "it is empty: send a JSON object"
    if isinstance(error, RecursionError):
        return _DEPTH_MESSAGE
    if body.startswith(_UTF16_MARKS):
        return "it looks like UTF-16: send UTF-8"
    try:
        body.decode()
    except UnicodeDecodeError as undecodable:
        return f"byte {undecodable.start} is not UTF-8: send UTF-8"
    text = str(error).removeprefix("JSON is malformed: ")
    if isinstance(error, msgspec.ValidationError):
        return f"{text}: send very large numbers as strings"
    if "truncated" in text and b"\\ud" in body.lower():
        return "it ends too early, or holds half of a surrogate pair (\\ud800 to \\udfff)"
    return f"{text}: send one whole JSON document, without comments or trailing commas"


def _bad_json(reason: str) -> Rejected:
    return Rejected(400, "bad_request", f"the body is not usable JSON: {reason}")
