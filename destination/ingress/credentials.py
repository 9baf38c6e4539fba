"""Which write key a request carries, wherever its client puts it."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

_MASK = ":***"


def write_key(headers: Mapping[str, str], query: Mapping[str, str], document: Any) -> str | None:
    """The write key, from the first of these that has one: the ``X-Write-Key`` header, the user
    name of Basic authorisation, ``writeKey`` in the body, ``writeKey`` in the query.

    ``document`` is the decoded body, None when it is not read yet. A Bearer token is not a key: its
    clients put the key in the body. A masked key in the body (``id:***``, as Jitsu's clients send)
    is none. Header names are lower case. Never raises: what cannot be read is absent.
    """
    named = headers.get("x-write-key")
    if named:
        return named
    authorization = headers.get("authorization")
    if authorization:
        user = _basic_user(authorization)
        if user:
            return user
    if isinstance(document, dict):
        key = document.get("writeKey")
        if isinstance(key, str) and key and not key.endswith(_MASK):
            return key
    return query.get("writeKey") or None


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """The token of ``Authorization: Bearer``: the only place where many tools can put a key."""
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    return (token.strip() or None) if scheme.lower() == "bearer" else None


def _basic_user(authorization: str) -> str:
    """The user name of ``Basic base64(user:password)``; the colon and the padding may be missing."""
    scheme, _, credentials = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        packed = credentials.strip().rstrip("=").encode("ascii")
        plain = b64decode(packed + b"=" * (-len(packed) % 4), validate=True).decode()
    except (binascii.Error, ValueError):  # ValueError: not ASCII, not UTF-8
        return ""
    return plain.partition(":")[0]
