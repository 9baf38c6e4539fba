"""Profiles: create, update, upsert, merge, read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from destination.sandbox.calls import groups
from destination.sandbox.calls.call import Answer, Call, Handler
from destination.sandbox.calls.documents import reference, resource, single
from destination.sandbox.calls.filters import Condition, conditions, matching
from destination.sandbox.calls.paging import collection
from destination.sandbox.calls.rules import (
    NAMED,
    check_identifiers,
    lacks_identifier,
    no_identifier,
    oversize,
)
from destination.sandbox.calls.subscriptions import subscriptions
from destination.sandbox.clock import written, written_or_none
from destination.sandbox.errors import Refused, conflict, duplicate_profile, invalid, not_found
from destination.sandbox.world import profiles as world
from destination.sandbox.world.profiles import IDENTIFIERS, LOCATION, PLAIN, Clash, Profile

PARTIAL = {"X-Klaviyo-Partial-Failure": "phone_number"}
UPSERT = (*NAMED, "_kx")


def profile_document(
    call: Call, profile: Profile, joined: float | None = None, *, member: bool = False
) -> dict[str, Any]:
    """A profile as the API shows it; ``member``: as one of a list, since ``joined``."""
    attributes: dict[str, Any] = {name: profile.identifiers.get(name) for name in NAMED}
    attributes |= {name: profile.attributes.get(name) for name in PLAIN}
    attributes |= {
        "created": written(profile.created),
        "updated": written(profile.updated),
        "last_event_date": written_or_none(profile.last_event),
        "location": {name: profile.location.get(name) for name in LOCATION},
        "properties": profile.properties,
    }
    if member:
        attributes["joined_group_at"] = written_or_none(joined)
    additional = call.asked("additional-fields[profile]")
    if "subscriptions" in additional:
        attributes["subscriptions"] = subscriptions(profile.consent)
    if "predictive_analytics" in additional:
        attributes["predictive_analytics"] = None
    relations = {"lists": None, "segments": None, "push-tokens": None}
    if call.operation.id in {"get_profiles", "get_profile"}:
        relations["conversations"] = None
    return resource(call, "profile", profile.id, attributes, relations)


def read(profile: Profile, field: str) -> Any:
    """What a filter or sort on ``field`` sees."""
    if field == "email":
        email = profile.identifiers.get("email")
        return email.lower() if email else None
    if field in IDENTIFIERS:
        return profile.identifiers.get(field)
    consent = profile.consent
    if field.startswith("subscriptions.email.marketing."):
        of_lists, last = "list_suppressions" in field, field.rsplit(".", 1)[-1]
        if not of_lists:
            return list(consent.suppressed if last == "reason" else consent.suppressed.values())
        found = {"list_id": [], "reason": [], "timestamp": []}  # type: dict[str, list[Any]]
        for (list_id, reason), since in consent.list_suppressed.items():
            found["list_id"].append(list_id)
            found["reason"].append(reason)
            found["timestamp"].append(since)
        return found[last]
    return getattr(profile, field, None)


def get_profiles(call: Call) -> Answer:
    """GET /profiles."""
    found = conditions(call)
    _check_suppression_filters(found)
    items = matching(_candidates(call, found), found, read)
    return collection(
        call, items, lambda each: profile_document(call, each), read=read, include=_none
    )


def get_profile(call: Call) -> Answer:
    """GET /profiles/{id}."""
    profile = known(call, call.id)
    included = _groups(call, profile) if call.asked("include") else None
    return single(call, 200, profile_document(call, profile), included)


def create_profile(call: Call) -> Answer:
    """POST /profiles: 409 when any identifier is known."""
    attributes = dict(call.body["data"]["attributes"])
    dropped = _check(call, attributes, NAMED, forgive=call.switches.partial_failure)
    owners = call.account.profiles.owners(attributes)
    if owners:
        raise duplicate_profile(owners[0][1].id)
    profile = call.account.profiles.create(call.now)
    world.apply(call.account.profiles, profile, attributes, call.now)
    headers = PARTIAL if dropped else None
    return single(call, 201, profile_document(call, profile), headers=headers)


def update_profile(call: Call) -> Answer:
    """PATCH /profiles/{id}: 409 when an identifier is another's."""
    data = call.body["data"]
    attributes = dict(data["attributes"])
    _check(call, attributes, (), forgive=False)
    profile = known(call, call.id)
    if data["id"] != profile.id:
        detail = "The id in the body is not the id in the path."
        raise (
            conflict(detail, "/data/id")
            if call.switches.patch_other_id == 409
            else invalid(detail, "/data/id")
        )
    _write(call, profile, attributes, data.get("meta"))
    return single(call, 200, profile_document(call, profile))


def create_or_update_profile(call: Call) -> Answer:
    """POST /profile-import: 201 for a new profile, 200 for a known one."""
    data = call.body["data"]
    attributes = dict(data["attributes"])
    needed = () if data.get("id") else UPSERT
    forgive = call.switches.partial_failure_import
    dropped = _check(call, attributes, needed, forgive=forgive)
    profile = whom(call, data.get("id"), attributes)
    status = 200
    if profile is None:
        _refuse_clash(call, None, attributes, data.get("meta"))
        profile, status = call.account.profiles.create(call.now), 201
    _write(call, profile, attributes, data.get("meta"))
    headers = PARTIAL if dropped else None
    return single(call, status, profile_document(call, profile), headers=headers)


def merge_profiles(call: Call) -> Answer:
    """POST /profile-merge: answered at once, merged later."""
    data = call.body["data"]
    sources = (data["relationships"]["profiles"].get("data")) or []
    pointer = "/data/relationships/profiles/data"
    if len(sources) != 1:
        raise invalid("Exactly one source profile must be given.", pointer)
    target, source = known(call, data["id"]), known(call, sources[0]["id"])
    if source is target:
        raise invalid("A profile cannot be merged into itself.", pointer)
    account = call.account

    def merge(due: float) -> None:
        if account.profiles.get(source.id) and account.profiles.get(target.id):
            account.merge(source, target, due)

    account.schedule.at(call.now + call.switches.merge_seconds, merge)
    return single(call, 201, resource(call, "profile", target.id, None))


def get_profile_groups(kind: str, *, ids_only: bool) -> Handler:
    """GET /profiles/{id}/lists and /segments, or their relationships."""

    def handler(call: Call) -> Answer:
        profile = known(call, call.id)
        held = call.account.lists if kind == "list" else call.account.segments
        items = [each for each in held if profile.id in each.members]
        render: Callable[[Any], Any] = (
            (lambda each: reference(kind, each.id))
            if ids_only
            else (lambda each: groups.group_document(call, kind, each))
        )
        return collection(call, items, render, read=groups.read)

    return handler


def known(call: Call, identifier: str) -> Profile:
    """The profile with that id; raises ``Refused`` (404)."""
    profile = call.account.profiles.get(identifier)
    if profile is None:
        raise not_found("profile", identifier)
    return profile


def whom(call: Call, identifier: str | None, attributes: Mapping[str, Any]) -> Profile | None:
    """Whom an upsert means: by id, else by identifiers.

    Raises ``Refused``: 404 for an unknown id, 409 when the identifiers belong to different profiles;
    it then names the one that the most believed identifier does not mean.
    """
    if identifier:
        profile = call.account.profiles.get(identifier)
        if profile is None and call.switches.import_unknown_id == 400:
            raise invalid(f"Invalid profile ID: {identifier[:60]}", "/data/id")
        return profile or known(call, identifier)
    owners = call.account.profiles.owners(attributes)
    if len(owners) > 1:
        raise duplicate_profile(owners[1][1].id)
    return owners[0][1] if owners else None


def _write(call: Call, profile: Profile, attributes: dict[str, Any], meta: Any) -> None:
    _refuse_clash(call, profile, attributes, meta)
    world.apply(call.account.profiles, profile, attributes, call.now)
    world.patch(call.account.profiles, profile, meta)


def _refuse_clash(call: Call, profile: Profile | None, attributes: Any, meta: Any) -> None:
    try:
        world.check(call.account.profiles, profile, attributes, meta)
    except Clash as clash:
        raise duplicate_profile(clash.other.id) from None


def _check(
    call: Call, attributes: dict[str, Any], needed: tuple[str, ...], *, forgive: bool
) -> bool:
    pointer = "/data/attributes"
    problems, dropped = check_identifiers(
        attributes, pointer, forgive_phone=forgive, names=needed or NAMED
    )
    if needed and lacks_identifier(attributes, needed) and not problems:
        problems.append(no_identifier(pointer, NAMED))
    if call.size > call.switches.profile_bytes:
        problems += oversize(call.body, "/data", call.switches.profile_bytes, "profile")
    if problems:
        raise Refused(400, problems)
    return dropped


def _candidates(call: Call, found: Sequence[Condition]) -> list[Profile]:
    """Whom to look through: by index where an identifier is asked for."""
    profiles = call.account.profiles
    for condition in found:
        values = condition.value if isinstance(condition.value, list) else [condition.value]
        if condition.field == "id":
            hits = [profiles.get(str(value)) for value in values]
        elif condition.field in IDENTIFIERS:
            hits = [profiles.owner(condition.field, str(value)) for value in values]
        else:
            continue
        return list({each.id: each for each in hits if each is not None}.values())
    return list(profiles)


def _check_suppression_filters(found: Sequence[Condition]) -> None:
    fields = [each.field for each in found if "suppression" in each.field]
    of_lists = [field for field in fields if "list_suppressions" in field]
    if of_lists and len(of_lists) < len(fields):
        detail = "Global and list suppressions cannot be filtered together."
        raise invalid(detail, parameter="filter")
    if of_lists and not any(field.endswith("list_id") for field in of_lists):
        raise invalid("A filter on list suppressions needs list_id.", parameter="filter")
    if sum(field.endswith("timestamp") for field in fields) > 1:
        raise invalid("Only one date filter on suppressions is allowed.", parameter="filter")


def _groups(call: Call, profile: Profile) -> list[Any]:
    """The profile's groups of the kinds that the request asks to include."""
    kinds = (("list", call.account.lists), ("segment", call.account.segments))
    return [
        groups.group_document(call, kind, each)
        for kind, held in kinds
        if f"{kind}s" in call.asked("include")
        for each in held
        if profile.id in each.members
    ]


def _none(_page: Sequence[Any]) -> Sequence[Any]:
    return []


HANDLERS: Mapping[str, Handler] = {
    "get_profiles": get_profiles,
    "get_profile": get_profile,
    "create_profile": create_profile,
    "update_profile": update_profile,
    "create_or_update_profile": create_or_update_profile,
    "merge_profiles": merge_profiles,
    "get_lists_for_profile": get_profile_groups("list", ids_only=False),
    "get_list_ids_for_profile": get_profile_groups("list", ids_only=True),
    "get_segments_for_profile": get_profile_groups("segment", ids_only=False),
    "get_segment_ids_for_profile": get_profile_groups("segment", ids_only=True),
}
