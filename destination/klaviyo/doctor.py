"""What is wrong with an account's setup, found by asking Klaviyo nothing that changes anything."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from destination.catalogue import remedy
from destination.delivery import Discard, Halt, Outcome, Retry
from destination.errors import Ended, NoRoom, Unanswered
from destination.klaviyo.answers import ask, attributes_of, resources
from destination.klaviyo.lists import all_lists, find_list, get_list
from destination.klaviyo.operations import OPERATIONS, asked_by, scopes_of
from destination.klaviyo.order import LIST_FIELDS
from destination.klaviyo.requests import get_accounts
from destination.klaviyo.revision import DEFAULT, NEWEST, lifetime
from destination.klaviyo.verdict import no_room, unanswered
from destination.sending import Account, Request

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check-up: ``check`` names what was looked at, ``remedy`` what to do."""

    check: str
    state: State
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """A mapping in use: what it may ask of the account."""

    mapping: str
    action: str
    fields: Mapping[str, Any]
    batched: bool


MOST_LISTS = 50
"""Lists that are looked up: more would use up the account's limit for a minute."""

PROBES = {
    "lists:read": Request("GET", "/api/lists", "get_lists", query={"fields[list]": "created"}),
    "profiles:read": Request(
        "GET",
        "/api/profiles",
        "get_profiles",
        query={"page[size]": "1", "fields[profile]": "created"},
    ),
    "subscriptions:read": Request(
        "GET",
        "/api/profile-suppression-bulk-create-jobs",
        "get_bulk_suppress_profiles_jobs",
        query={"fields[profile-suppression-bulk-create-job]": "status"},
    ),
}
"""The cheapest request that only a key with the scope may make; none reads personal data."""

SWITCH = "Set KLAVIYO_REVISION to a revision that Klaviyo supports, such as " + DEFAULT + "."


def examine(
    account: Account, uses: Sequence[Use], proved: Collection[str] = ()
) -> Iterator[Finding]:
    """Everything about one account: its revision, key, scopes and lists.

    ``proved`` are the operations that Klaviyo has let this key do of late.
    """
    yield examine_revision(account.revision, account.now)
    key = examine_key(account)
    yield key
    if key.state != "ok":
        return
    missing = set[str]()
    for finding, scope in examine_scopes(account, uses, proved):
        missing |= {scope}
        yield finding
    if "lists:read" in missing and lists_named(uses):
        yield Finding("lists", "warning", "not looked up: the key lacks lists:read")
    else:
        yield from examine_lists(account, uses)


def examine_revision(revision: str, now: float) -> Finding:
    """Whether the API revision is one that Klaviyo serves (API versioning policy: stable for a
    year, deprecated for another, then retired).
    """
    life = lifetime(revision)
    if life is None:
        message = f"{revision} is no revision: Klaviyo would answer as another one does"
        return Finding("revision", "problem", message, SWITCH)
    begins, stable, ends = life
    if now < begins:
        return Finding("revision", "problem", f"{revision} is not out yet", SWITCH)
    if now >= ends:
        return Finding("revision", "problem", f"{revision} is over two years old: retired", SWITCH)
    if revision[:10] > NEWEST:
        message = f"{revision} is newer than this software knows ({NEWEST})"
        return Finding("revision", "warning", message, SWITCH)
    if now >= stable:
        left = int((ends - now) / 86_400)
        message = f"{revision} is deprecated; Klaviyo retires it in {left} days"
        return Finding("revision", "warning", message, SWITCH)
    newer = "" if revision[:10] == NEWEST else f"; the newest known is {NEWEST}"
    return Finding("revision", "ok", f"{revision}, supported{newer}")


def examine_key(account: Account) -> Finding:
    """Whether Klaviyo takes the key, and whose it is."""
    try:
        accounts = resources(ask(get_accounts(), account))
    except (Ended, Unanswered, NoRoom) as error:
        return _not_taken("key", _outcome(error))
    if not accounts:
        return Finding("key", "problem", "Klaviyo takes the key but names no account for it")
    about = attributes_of(accounts[0])
    contact = about.get("contact_information")
    name = contact.get("organization_name") if isinstance(contact, dict) else None
    kind = "a test account" if about.get("test_account") else "a live account"
    return Finding("key", "ok", f"opens {name or 'an account'} ({accounts[0]['id']}), {kind}")


def examine_scopes(
    account: Account, uses: Sequence[Use], proved: Collection[str]
) -> Iterator[tuple[Finding, str]]:
    """A finding with the scope that is missing, and at the end one about all others."""
    wanted: dict[str, list[str]] = {}
    for use in uses:
        for scope in scopes_of(asked_by(use.action, use.fields, batched=use.batched)):
            wanted.setdefault(scope, []).append(use.mapping)
    shown = set(scopes_of(name for name in proved if name in OPERATIONS)) | {"accounts:read"}
    for scope in sorted(wanted.keys() & PROBES.keys()):
        lacks = _probe(scope, account)
        if lacks is None:
            shown.add(scope)
            continue
        by = ", ".join(sorted(set(wanted.pop(scope)))[:3])
        yield (
            Finding("scopes", lacks.state, f"{lacks.message}; needed by {by}", lacks.remedy),
            scope,
        )
    yield _about_scopes(set(wanted), shown), ""


def _probe(scope: str, account: Account) -> Finding | None:
    try:
        ask(PROBES[scope], account)
    except (Ended, Unanswered, NoRoom) as error:
        found = _not_taken("scopes", _outcome(error))
        return Finding(found.check, found.state, f"{scope}: {found.message}", found.remedy)
    return None


def _about_scopes(wanted: set[str], shown: set[str]) -> Finding:
    has, open_ = sorted(wanted & shown), sorted(wanted - shown)
    said = f"has {', '.join(has)}" if has else ""
    if not open_:
        return Finding("scopes", "ok", said or "no mapping needs any")
    needs = f"{', '.join(open_)} cannot be tested without writing, and no delivery has shown it yet"
    return Finding(
        "scopes",
        "warning",
        f"{said}; {needs}" if said else needs,
        "Compare with the key's scopes at Klaviyo. A delivery that lacks one pauses the connection "
        "and is not lost; the scope is then named here.",
    )


def lists_named(uses: Sequence[Use]) -> dict[tuple[str, str], list[Use]]:
    """The lists that mappings name outright, as (field, text), each with who names it."""
    found: dict[tuple[str, str], list[Use]] = {}
    for use in uses:
        for name in LIST_FIELDS:
            value = use.fields.get(name)
            if isinstance(value, dict) and value.keys() == {"@literal"}:
                value = value["@literal"]
            if isinstance(value, str) and value and "{{" not in value:
                place = "list_name" if name == "list_name" else "list_id"
                found.setdefault((place, value), []).append(use)
    return found


def examine_lists(account: Account, uses: Sequence[Use]) -> Iterator[Finding]:
    """Whether the lists exist that mappings name outright."""
    named = lists_named(uses)
    for (place, text), users in list(named.items())[:MOST_LISTS]:
        try:
            yield _list_with(text, account) if place == "list_id" else _named(text, users, account)
        except (Ended, Unanswered, NoRoom) as error:
            outcome = _outcome(error)
            if isinstance(outcome, Discard) and outcome.code == "list_not_found":
                by = ", ".join(sorted({use.mapping for use in users})[:3])
                yield _missing(text, by, account)
            else:
                yield _not_taken("lists", outcome)
    if len(named) > MOST_LISTS:
        yield Finding("lists", "warning", f"{len(named) - MOST_LISTS} more were not looked up")


def _list_with(id_: str, account: Account) -> Finding:
    return Finding("lists", "ok", f"{id_} is {get_list(id_, account)[1]!r}")


def _named(name: str, users: Sequence[Use], account: Account) -> Finding:
    id_ = find_list(name, account)
    if id_:
        return Finding("lists", "ok", f"{name!r} is {id_}")
    if all(use.action.startswith(("remove", "unsub")) for use in users):
        message = f"no list has the name {name!r}, so nobody can leave it"
        return Finding("lists", "warning", message, "Correct list_name in the mapping.")
    return Finding("lists", "ok", f"{name!r} does not exist yet; it is made when it is needed")


def _missing(id_: str, by: str, account: Account) -> Finding:
    try:
        near = [each for each in all_lists(account) if each[0].lower() == id_.lower()]
    except (Ended, Unanswered, NoRoom):
        near = []
    meant = f" {near[0][0]} is meant ({near[0][1]!r})?" if near else ""
    message = f"no list has the id {id_[:60]!r}; named by {by}.{meant}"
    return Finding("lists", "problem", message, remedy("list_not_found"))


def _outcome(error: Ended | Unanswered | NoRoom) -> Outcome:
    if isinstance(error, Ended):
        return error.outcome
    return no_room(error) if isinstance(error, NoRoom) else unanswered(error)


def _not_taken(check: str, outcome: Outcome) -> Finding:
    """The finding of a question that Klaviyo did not answer as it should."""
    if isinstance(outcome, Halt | Discard):
        return Finding(check, "problem", outcome.message, remedy(outcome.code))
    assert isinstance(outcome, Retry), "a question that was answered comes to no end"
    message = f"could not be tested now: {outcome.message or outcome.code}"
    state: State = "problem" if outcome.code == "unanswered" else "warning"
    return Finding(check, state, message, remedy(outcome.code))
