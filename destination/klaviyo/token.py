"""``_kx``: the token that Klaviyo puts on the links of its mails, by which it knows who opened one.

It runs out, and Klaviyo refuses a request that holds an old one. Whoever is known by something else
too is not lost for that: the token is left out, and ``kx_ignored`` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from destination.delivery import Discard, Outcome
from destination.fields import Field

KX = "_kx"

KX_FIELD = Field(
    KX, description="The token that Klaviyo puts on its links, by which it knows who opened one."
)

KX_IGNORED = "kx_ignored"
"""The note on a success from which an old token was left out."""

_OTHERS = ("id", "email", "phone_number", "external_id", "anonymous_id")


def token_refused(who: Mapping[str, Any], outcome: Outcome) -> bool:
    """Whether the token may be why ``outcome`` is a refusal, and something else tells who is meant."""
    refused = isinstance(outcome, Discard) and outcome.status in (400, 422)
    return refused and KX in who and any(who.get(name) for name in _OTHERS)
