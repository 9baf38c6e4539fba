"""Creating or updating one profile, whatever Klaviyo already knows of its identifiers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from destination.delivery import Discard, Outcome, Retry
from destination.errors import Ended
from destination.klaviyo import requests
from destination.klaviyo.answers import ask, id_of, took
from destination.klaviyo.model import Json, attributes, patch, profile_problem
from destination.klaviyo.payloads import without
from destination.klaviyo.people import find
from destination.klaviyo.token import KX, KX_IGNORED, token_refused
from destination.klaviyo.verdict import discard, errors_of, verdict, with_note
from destination.sending import Account, Response


@dataclass(frozen=True, slots=True)
class Saved:
    """A profile that is as the payload says: the last answer about it, and its id if known before."""

    response: Response
    known: str = ""
    note: str = ""

    def id(self) -> str:
        """The profile's id. Raises ``Ended`` (a retry) when the answer holds none."""
        return self.known or id_of(self.response)

    def outcome(self, account: Account) -> Outcome:
        """What the answer comes to if nothing else is to do."""
        outcome = verdict(self.response, account.now)
        return with_note(outcome, self.note) if self.note else outcome


def save_profile(payload: dict[str, Any], account: Account) -> Saved:
    """Create the payload's profile or update the one that has its identifiers.

    An update clears what is null. Property operations go through the one call that takes them.
    Identifiers of two profiles are never forced together. Raises ``Ended``.
    """
    found = attributes(payload)
    problem = profile_problem(found)
    if problem:
        raise Ended(problem)
    operations = patch(payload)
    id_ = payload.get("id", "")
    if KX in payload:
        return _by_token(payload, found, account)
    if operations:
        return Saved(ask(requests.create_or_update_profile(found, operations, id_), account))
    if id_:
        return Saved(ask(requests.update_profile(id_, found), account), id_)
    response = account.send(requests.create_profile(found))
    if response.status != 409:
        return Saved(took(response, account))
    id_ = _duplicate(response) or _look_up(found, response, account)
    return Saved(_update(id_, found, account), id_)


def _by_token(payload: dict[str, Any], found: Json, account: Account) -> Saved:
    request = requests.create_or_update_profile(
        {**found, KX: payload[KX]}, patch(payload), payload.get("id", "")
    )
    response = account.send(request)
    if token_refused(payload, verdict(response, account.now)):
        return replace(save_profile(without(payload, [KX]), account), note=KX_IGNORED)
    return Saved(took(response, account))


def _duplicate(response: Response) -> str:
    for error in errors_of(response):
        id_ = error.meta.get("duplicate_profile_id")
        if isinstance(id_, str) and id_:
            return id_
    return ""


def _look_up(found: Json, conflict: Response, account: Account) -> str:
    """The one profile with these identifiers, when the conflict does not name it."""
    people = find([found], account)
    for outcome in people.refused.values():
        raise Ended(outcome)
    ids = [each["id"] for each in people.profiles]
    if not ids:
        raise Ended(Retry("conflict_unresolved", "Klaviyo reports a conflict with no profile"))
    if len(ids) > 1:
        raise Ended(discard(conflict, "identity_conflict"))
    return str(ids[0])


def _update(id_: str, found: Json, account: Account) -> Response:
    response = account.send(requests.update_profile(id_, found))
    if response.status == 404:  # deleted or merged since; the next attempt creates it
        raise Ended(Retry("profile_gone", f"profile {id_[:60]} has gone since Klaviyo named it"))
    if response.status == 409:
        raise Ended(
            Discard(
                "identity_conflict",
                f"the identifiers belong to profile {id_[:60]} and to another one; "
                "correct them or merge the two profiles",
                status=409,
            )
        )
    return took(response, account)
