"""What Klaviyo knows of a list and of people who may join it, asked page by page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from destination.delivery import Discard
from destination.errors import DestinationError, Ended
from destination.klaviyo.answers import attributes_of, pages
from destination.klaviyo.lists import all_lists, find_list, get_list
from destination.klaviyo.mirror import Member, Person, Reason, member_of, refusal_in
from destination.klaviyo.people import Who, find, who
from destination.klaviyo.requests import get_profiles, get_profiles_for_list
from destination.sending import Account, Request

_ID: Final = re.compile(r"[A-Za-z0-9]{6}")
_NEEDED: Final = {"fields[profile]": "email,phone_number,external_id"}
_CONSENT: Final = {"additional-fields[profile]": "subscriptions"}


class NoList(DestinationError):
    """No list of the account is meant; the message names those that may be."""


def named_list(named: str, account: Account) -> tuple[str, str]:
    """Id and name of the list with that id, else of the oldest one with exactly that name.

    Raises ``NoList``, and ``Ended`` when Klaviyo cannot say.
    """
    if _ID.fullmatch(named):
        try:
            return get_list(named, account)
        except Ended as ended:
            if not (isinstance(ended.outcome, Discard) and ended.outcome.code == "list_not_found"):
                raise
    found = find_list(named, account)
    if found:
        return found, named
    every = all_lists(account)
    alike = [
        f"{name} ({id_})" for id_, name in every if named.lower() in (id_.lower(), name.lower())
    ]
    if alike:
        raise NoList(
            f"no list is called {named!r}, in these letters; did you mean {', '.join(alike)}?"
        )
    known = ", ".join(f"{name} ({id_})" for id_, name in every[:20]) or "none"
    raise NoList(f"no list has the id or the name {named!r}; there are: {known}")


def members(list_id: str, account: Account) -> Iterator[Member]:
    """Everybody on a list, a hundred a request. Raises ``Ended``."""

    def page(cursor: str) -> Request:
        return _with(get_profiles_for_list(list_id, "", cursor), _NEEDED)

    return map(member_of, pages(page, account))


def refusals(
    people: Sequence[Person], list_id: str, account: Account
) -> Mapping[frozenset[Who], Reason]:
    """What Klaviyo knows against putting people on a list, by their identifiers. Raises ``Ended``."""

    def page(chosen: str, cursor: str) -> Request:
        return _with(get_profiles(chosen, cursor), _CONSENT)

    against: dict[Who, Reason] = {}
    for profile in find([person.row for person in people], account, page).profiles:
        reason = refusal_in(profile, list_id)
        if reason:
            against |= dict.fromkeys(who(attributes_of(profile)), reason)
    found: dict[frozenset[Who], Reason] = {}
    for person in people:
        reason = next((against[name] for name in person.names if name in against), None)
        if reason:
            found[person.names] = reason
    return found


def _with(request: Request, more: Mapping[str, Any]) -> Request:
    return replace(request, query={**request.query, **more})
