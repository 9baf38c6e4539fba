"""The operations that we ask of Klaviyo: what each needs, and which action asks for which.

Scopes are those of Klaviyo's API description of revision 2026-07-15 (``x-klaviyo-scopes``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from destination.klaviyo.order import LIST_FIELDS


@dataclass(frozen=True, slots=True)
class Operation:
    """``path`` holds ``{}`` where an id stands; ``scopes`` are what the key must be allowed."""

    method: str
    path: str
    scopes: tuple[str, ...]


def _reads(path: str, *kinds: str) -> Operation:
    return Operation("GET", path, tuple(f"{kind}:read" for kind in kinds))


def _writes(path: str, *kinds: str, method: str = "POST") -> Operation:
    return Operation(method, path, tuple(f"{kind}:write" for kind in kinds))


_JOBS, _LISTS = "/api/profile-bulk-import-jobs", "/api/lists"
_MEMBERS = f"{_LISTS}/{{}}/relationships/profiles"

OPERATIONS: Mapping[str, Operation] = {
    "get_accounts": _reads("/api/accounts", "accounts"),
    "get_profiles": _reads("/api/profiles", "profiles"),
    "create_profile": _writes("/api/profiles", "profiles"),
    "update_profile": _writes("/api/profiles/{}", "profiles", method="PATCH"),
    "create_or_update_profile": _writes("/api/profile-import", "profiles"),
    "merge_profiles": _writes("/api/profile-merge", "profiles"),
    "bulk_import_profiles": _writes(_JOBS, "lists", "profiles"),
    "get_bulk_import_profiles_job": _reads(f"{_JOBS}/{{}}", "lists", "profiles"),
    "get_errors_for_bulk_import_profiles_job": _reads(f"{_JOBS}/{{}}/import-errors", "profiles"),
    "create_event": _writes("/api/events", "events"),
    "bulk_create_events": _writes("/api/event-bulk-create-jobs", "events"),
    "get_lists": _reads(_LISTS, "lists"),
    "get_list": _reads(f"{_LISTS}/{{}}", "lists"),
    "create_list": _writes(_LISTS, "lists"),
    "get_profiles_for_list": _reads(f"{_LISTS}/{{}}/profiles", "lists", "profiles"),
    "add_profiles_to_list": _writes(_MEMBERS, "lists", "profiles"),
    "remove_profiles_from_list": _writes(_MEMBERS, "lists", "profiles", method="DELETE"),
    "bulk_subscribe_profiles": _writes(
        "/api/profile-subscription-bulk-create-jobs", "lists", "profiles", "subscriptions"
    ),
    "bulk_unsubscribe_profiles": _writes(
        "/api/profile-subscription-bulk-delete-jobs", "lists", "profiles", "subscriptions"
    ),
    "bulk_suppress_profiles": _writes(
        "/api/profile-suppression-bulk-create-jobs", "profiles", "subscriptions"
    ),
    "bulk_unsuppress_profiles": _writes(
        "/api/profile-suppression-bulk-delete-jobs", "subscriptions"
    ),
    "get_bulk_suppress_profiles_jobs": _reads(
        "/api/profile-suppression-bulk-create-jobs", "subscriptions"
    ),
    "get_bulk_suppress_profiles_job": _reads(
        "/api/profile-suppression-bulk-create-jobs/{}", "subscriptions"
    ),
    "get_bulk_unsuppress_profiles_job": _reads(
        "/api/profile-suppression-bulk-delete-jobs/{}", "subscriptions"
    ),
    "request_profile_deletion": _writes("/api/data-privacy-deletion-jobs", "data-privacy"),
}
"""Every operation of ours by its id."""

_SAVE = ("create_profile", "update_profile", "create_or_update_profile", "get_profiles")
_IMPORT = (
    "bulk_import_profiles",
    "get_bulk_import_profiles_job",
    "get_errors_for_bulk_import_profiles_job",
)
_REMOVE = ("get_profiles", "remove_profiles_from_list")
_BY_NAME = ("get_lists", "create_list")

_ASKED: Mapping[str, tuple[str, ...]] = {
    "upsertProfile": _SAVE,
    "trackEvent": ("create_event",),
    "orderCompleted": ("create_event",),
    "addProfileToList": (*_SAVE, "add_profiles_to_list"),
    "removeProfileFromList": _REMOVE,
    "removeProfile": _REMOVE,
    "subscribeProfile": ("bulk_subscribe_profiles",),
    "unsubscribeProfile": ("bulk_unsubscribe_profiles",),
    "suppressProfile": ("bulk_suppress_profiles", "get_bulk_suppress_profiles_job"),
    "unsuppressProfile": ("bulk_unsuppress_profiles", "get_bulk_unsuppress_profiles_job"),
    "deleteProfile": ("get_profiles", "request_profile_deletion"),
    "mergeProfiles": ("get_profiles", "merge_profiles"),
}
_IN_BULK: Mapping[str, tuple[str, ...]] = {
    "upsertProfile": _IMPORT,
    "addProfileToList": _IMPORT,
    "trackEvent": ("bulk_create_events",),
    "orderCompleted": ("bulk_create_events",),
}
_WITH_LIST: Mapping[str, tuple[str, ...]] = {
    "upsertProfile": ("add_profiles_to_list",),
    "unsubscribeProfile": ("get_profiles_for_list",),
}


def asked_by(action: str, fields: Mapping[str, Any], *, batched: bool) -> tuple[str, ...]:
    """The operations that deliveries of a mapping may ask for.

    ``fields`` are the mapping's own: whether it names a list, and how, makes a difference.
    """
    asked = [*_ASKED[action], *(_IN_BULK.get(action, ()) if batched else ())]
    if any(fields.get(name) is not None for name in LIST_FIELDS):
        asked += _WITH_LIST.get(action, ())
    if fields.get("list_name") is not None:
        asked += _BY_NAME[: 1 if action.startswith(("remove", "unsub")) else 2]
    return tuple(dict.fromkeys(asked))


def scopes_of(operations: Iterable[str]) -> tuple[str, ...]:
    """The scopes that a key needs for these operations, in alphabetical order."""
    return tuple(sorted({scope for each in operations for scope in OPERATIONS[each].scopes}))


_SHAPES = {
    name: (each.method, re.compile(re.escape(each.path).replace(r"\{\}", "[^/]+")))
    for name, each in OPERATIONS.items()
}


def operation_at(method: str, path: str) -> str:
    """The operation that a request was for; empty when it is none of ours."""
    for name, (wanted, shape) in _SHAPES.items():
        if method == wanted and shape.fullmatch(path.partition("?")[0]):
            return name
    return ""
