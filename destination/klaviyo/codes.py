"""The error codes that Klaviyo itself writes, and what they come to here.

Klaviyo publishes no list of them: these were seen in answers and documents of others. Outcomes go
by status first (see ``verdict``), so that a code which is not in this table is no surprise; it then
stands in the message of the outcome as Klaviyo wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KlaviyoCode:
    """``statuses`` it comes with, ``outcome`` in the catalogue, ``cause`` and ``remedy``."""

    statuses: tuple[int, ...]
    outcome: str
    cause: str
    remedy: str


CODES: dict[str, KlaviyoCode] = {
    "invalid": KlaviyoCode(
        (400,),
        "rejected_by_klaviyo",
        "A value or a key of the request is not one that Klaviyo takes; its pointer names the place.",
        "Correct the value at the source or in the mapping, then replay.",
    ),
    "not_authenticated": KlaviyoCode(
        (401,),
        "key_refused",
        "No private key came with the request, or not in the way Klaviyo reads it.",
        "Put a private key (pk_...) into KLAVIYO_API_KEY; a public one of six characters does not do.",
    ),
    "authentication_failed": KlaviyoCode(
        (401,),
        "key_refused",
        "The private key is not one of an account: revoked, deleted or mistyped.",
        "Make a new private key at Klaviyo and put it into KLAVIYO_API_KEY.",
    ),
    "permission_denied": KlaviyoCode(
        (403,),
        "scope_missing",
        "The key lacks a scope that the request needs.",
        "Give the key the scopes that `destination doctor` names, or make one that has them.",
    ),
    "not_found": KlaviyoCode(
        (404,),
        "not_found",
        "What the request names does not exist in this account; for a list it is list_not_found.",
        "Correct the id in the mapping; ids of one account mean nothing in another.",
    ),
    "method_not_allowed": KlaviyoCode(
        (405,),
        "refused_by_klaviyo",
        "The address does not take this method.",
        "Look at KLAVIYO_API_URL: it should be Klaviyo's address alone.",
    ),
    "duplicate_profile": KlaviyoCode(
        (409,),
        "identity_conflict",
        "An identifier belongs to a profile already. A known person is updated instead; identifiers "
        "of two profiles are never forced together.",
        "Correct the identifiers, or merge the two profiles with mergeProfiles, then replay.",
    ),
    "conflict": KlaviyoCode(
        (409,),
        "refused_by_klaviyo",
        "Something else than a profile stands in the way of the request.",
        "Read Klaviyo's words, then replay.",
    ),
    "too_large": KlaviyoCode(
        (413,),
        "too_large",
        "The body is over 5 MB.",
        "Map less into the row.",
    ),
    "unsupported_media_type": KlaviyoCode(
        (415,),
        "refused_by_klaviyo",
        "The body came in a form that Klaviyo does not read.",
        "Look at what stands between this server and Klaviyo: it changes headers.",
    ),
    "throttled": KlaviyoCode(
        (429,),
        "throttled",
        "Too many calls in a second, a minute or a day; every key of the account counts.",
        "Nothing; all workers wait together. If it lasts, see what else uses the account.",
    ),
}
"""Code -> what it means."""
