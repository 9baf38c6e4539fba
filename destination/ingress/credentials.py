"""Which write key a request carries, wherever its client puts it."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

_MASK = ":***"


def write_key(headers: Mapping[str, str], query: Mapping[str, str], document: Any) -> str | None:
    """The write key, from the first of these that has one: the ``X-Write-Key`` header, Basic
    authorisation, ``writeKey`` in the body, ``writeKey`` in the query.

    Of Basic authorisation it is all but a final colon: Jitsu's keys hold a colon themselves, and
    which part is meant (``spellings``) only their owner can tell.

    ``document`` is the decoded body, None when it is not read yet. A Bearer token is not a key: its
    clients put the key in the body. A masked key in the body (``id:***``, as Jitsu's clients send)
    is none. Header names are lower case. Never raises: what cannot be read is absent.
    """
    named = headers.get("x-write-key")
    if named:
        return named
    authorization = headers.get("authorization")
    if authorization:
        basic = _basic(authorization)
        if basic:
            return basic
    if isinstance(document, dict):
        key = document.get("writeKey")
        if isinstance(key, str) and key and not key.endswith(_MASK):
            return key
    return query.get("writeKey") or None


def spellings(key: str) -> tuple[str, ...]:
    """What a key may mean: itself, else what stands before its first colon, the user name of Basic
    credentials that came with a password.
    """
    user, colon, _password = key.partition(":")
    return (key, user) if colon and user else (key,)


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """The token of ``Authorization: Bearer``: the only place where many tools can put a key."""
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    return (token.strip() or None) if scheme.lower() == "bearer" else None


@lru_cache(maxsize=256)
def _basic(authorization: str) -> str:
    """``user:password`` of ``Basic base64(user:password)`` without a final colon; empty without a
    user. The colon and the padding may be missing.
    """
    scheme, _, credentials = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        packed = credentials.strip().rstrip("=").encode("ascii")
        plain = b64decode(packed + b"=" * (-len(packed) % 4), validate=True).decode()
    except (binascii.Error, ValueError):  # ValueError: not ASCII, not UTF-8
        return ""
    return "" if plain.startswith(":") else plain.removesuffix(":")
