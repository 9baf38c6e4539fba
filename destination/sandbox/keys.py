"""Private keys: which account they open, and what they may do there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from destination.sandbox.errors import Problem, Refused

DEFAULT_ACCOUNT = "main"
SCHEME = "Klaviyo-API-Key "


@dataclass(slots=True)
class Key:
    """``scopes`` None means all of them."""

    account: str = DEFAULT_ACCOUNT
    revoked: bool = False
    scopes: frozenset[str] | None = None


class Keys:
    """The keys that were set up; others beginning with ``pk_`` may be let in too."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}

    def set(
        self,
        text: str,
        account: str = DEFAULT_ACCOUNT,
        *,
        revoked: bool = False,
        scopes: Sequence[str] | None = None,
    ) -> None:
        """Set up a key, or change one."""
        allowed = None if scopes is None else frozenset(scopes)
        self._keys[text] = Key(account, revoked, allowed)

    def check(self, header: str | None, *, any_key: bool) -> Key:
        """The key in an ``Authorization`` header; raises ``Refused`` (401)."""
        if header is None or not header.startswith(SCHEME):
            detail = "Authentication credentials were not provided."
            raise Refused(401, Problem(detail, code="not_authenticated", title=detail))
        text = header.removeprefix(SCHEME).strip()
        key = self._keys.get(text)
        if key is None and any_key and text.startswith("pk_"):
            key = Key()
        if key is None or key.revoked:
            raise Refused(
                401,
                Problem(
                    "Missing or invalid authorization",
                    "/data/",
                    code="authentication_failed",
                    title="Incorrect authentication credentials.",
                ),
            )
        return key

    def account(self, header: str) -> str:
        """The account that a header speaks of, were it let in."""
        key = self._keys.get(header.removeprefix(SCHEME).strip())
        return DEFAULT_ACCOUNT if key is None else key.account

    def state(self) -> list[dict[str, object]]:
        """For the control API; keys themselves are not shown."""
        return [
            {
                "key": fingerprint(text),
                "account": key.account,
                "revoked": key.revoked,
                "scopes": None if key.scopes is None else sorted(key.scopes),
            }
            for text, key in self._keys.items()
        ]


def check_scopes(key: Key, scopes: Sequence[str]) -> None:
    """Raise ``Refused`` (403) when the key lacks one of ``scopes``."""
    missing = [] if key.scopes is None else [each for each in scopes if each not in key.scopes]
    if missing:
        raise Refused(
            403,
            Problem(
                f"Your API key is missing required scopes: {', '.join(missing)}",
                code="permission_denied",
                title="You do not have permission to perform this action.",
            ),
        )


def fingerprint(text: str) -> str:
    """A name for a key that does not give it away."""
    return f"pk_…{hashlib.sha256(text.encode()).hexdigest()[:8]}"
