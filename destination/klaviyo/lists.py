"""Klaviyo's lists: which one a payload means, found or made by name, and all there are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from destination.delivery import Discard, Outcome, Retry
from destination.errors import Ended
from destination.klaviyo import requests
from destination.klaviyo.answers import ask, attributes_of, id_of, pages
from destination.sending import Account

WAIT = 1_800.0
"""Seconds until rows for a list that is not there are tried again."""

_NO_LIST = re.compile(r"\blists?\b[^;]*\b(not found|(does|do) not exist)", re.IGNORECASE)


def list_key(payload: Mapping[str, Any]) -> tuple[str, str]:
    """The list that a payload means, as (id, name); both empty for none.

    ``override_list_id`` goes before ``list_id``, and an id before ``list_name``.
    """
    id_ = payload.get("override_list_id") or payload.get("list_id") or ""
    return (str(id_), "") if id_ else ("", str(payload.get("list_name") or ""))


def list_id(payload: Mapping[str, Any], account: Account, *, create: bool = True) -> str:
    """The id of the payload's list, empty for none; a list known by name is found or made.

    With ``create`` false an unknown name gives the empty id. Raises ``Ended``.
    """
    id_, name = list_key(payload)
    if id_ or not name:
        return id_
    if create:
        return account.once(f"list:{name}", lambda: find_or_create_list(name, account))
    return find_list(name, account)


def find_list(name: str, account: Account) -> str:
    """The id of the oldest list with exactly that name, empty when there is none. Raises ``Ended``."""
    found = [
        (str(attributes_of(each).get("created") or ""), each["id"])
        for each in pages(
            lambda cursor: requests.get_lists(requests.equals("name", name), cursor), account
        )
        if attributes_of(each).get("name") == name
    ]
    return str(min(found)[1]) if found else ""


def find_or_create_list(name: str, account: Account) -> str:
    """The id of the list with that name, made if there is none yet.

    Raises ``Ended``: ``missing_list`` for an empty name.
    """
    if not name:
        raise Ended(Discard("missing_list", "the list has no name; give it one", "list_name"))
    return find_list(name, account) or id_of(ask(requests.create_list(name), account))


def get_list(id_: str, account: Account) -> tuple[str, str]:
    """Id and name of the list with that id. Raises ``Ended``: ``list_not_found`` if there is none."""
    try:
        response = ask(requests.get_list(id_), account)
    except Ended as ended:
        raise Ended(_without_list(ended.outcome) or ended.outcome) from None
    found = id_of(response)
    if found != id_:
        message = f"asked for the list {id_[:60]!r}, Klaviyo answered with {found[:60]!r}"
        raise Ended(Discard("list_not_found", message, "list_id", response.status))
    return found, str(attributes_of(response.json()["data"]).get("name") or "")


def all_lists(account: Account) -> list[tuple[str, str]]:
    """Id and name of every list of the account, from all pages. Raises ``Ended``."""
    return [
        (each["id"], str(attributes_of(each).get("name") or ""))
        for each in pages(lambda cursor: requests.get_lists(cursor=cursor), account)
    ]


def about_list(outcome: Outcome, payload: Mapping[str, Any]) -> Outcome:
    """The outcome of a request to the payload's list.

    Where Klaviyo has no such list the row waits, and nothing but rows for the same list waits with
    it: a corrected mapping or a list made under that name lets it go on. When nobody acts, it is a
    dead letter after the hours that the settings give it. A conflict at a list is none about a
    profile.
    """
    if not isinstance(outcome, Discard):
        return outcome
    id_, name = list_key(payload)
    missing = _without_list(outcome)
    if missing is not None and (id_ or name):
        return Retry(
            missing.code, missing.message, after=WAIT, spends=False, aside=f"list:{id_ or name}"
        )
    if outcome.status == 409:
        return replace(outcome, code="refused_by_klaviyo")
    return outcome


def _without_list(outcome: Outcome) -> Discard | None:
    """The outcome as one that says so, where it says that the list does not exist."""
    if not isinstance(outcome, Discard):
        return None
    refused = outcome.status in (400, 422)
    named = outcome.field == "list_id" or _NO_LIST.search(outcome.message)
    if outcome.status == 404 or (refused and named):
        return replace(outcome, code="list_not_found", field="list_id")
    return None
