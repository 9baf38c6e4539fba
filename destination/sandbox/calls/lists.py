"""Lists and segments: make, change, read, and who belongs to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from destination.sandbox.calls import profiles as profile_calls
from destination.sandbox.calls.call import EMPTY, Answer, Call, Handler
from destination.sandbox.calls.documents import reference, single
from destination.sandbox.calls.filters import conditions, matching
from destination.sandbox.calls.groups import group_document, read, tags_of
from destination.sandbox.calls.paging import collection
from destination.sandbox.errors import invalid, not_found
from destination.sandbox.world.lists import Group, Groups, join, leave
from destination.sandbox.world.profiles import Profile

MOST_MEMBERS = 1000


def known(call: Call, kind: str, identifier: str) -> Group:
    """The list or segment with that id; raises ``Refused`` (404)."""
    group = _groups(call, kind).get(identifier)
    if group is None:
        raise not_found(kind, identifier)
    return group


def get_groups(kind: str) -> Handler:
    """GET /lists or /segments."""

    def handler(call: Call) -> Answer:
        items = matching(list(_groups(call, kind)), conditions(call), read)
        return collection(
            call,
            items,
            lambda each: group_document(call, kind, each),
            read=read,
            include=lambda page: tags_of(call, kind, page),
        )

    return handler


def get_group(kind: str) -> Handler:
    """GET /lists/{id} or /segments/{id}."""

    def handler(call: Call) -> Answer:
        group = known(call, kind, call.id)
        included = tags_of(call, kind, [group]) if call.asked("include") else None
        return single(call, 200, group_document(call, kind, group), included)

    return handler


def create_list(call: Call) -> Answer:
    """POST /lists."""
    attributes = call.body["data"]["attributes"]
    name = _named(attributes["name"])
    opt_in = attributes.get("opt_in_process") or call.switches.account_opt_in
    group = call.account.lists.create(call.account.ids.short("list"), name, call.now, opt_in=opt_in)
    return single(call, 201, group_document(call, "list", group))


def update_list(call: Call) -> Answer:
    """PATCH /lists/{id}."""
    group = known(call, "list", call.id)
    data = call.body["data"]
    attributes = data["attributes"]
    if data["id"] != group.id:
        raise invalid("The id in the body is not the id in the path.", "/data/id")
    if attributes.get("name") is not None:
        group.name = _named(attributes["name"])
    group.opt_in = attributes.get("opt_in_process") or group.opt_in
    group.updated = call.now
    return single(call, 200, group_document(call, "list", group))


def delete_list(call: Call) -> Answer:
    """DELETE /lists/{id}: its members stay profiles."""
    group = known(call, "list", call.id)
    for member in list(group.members):
        profile = call.account.profiles.get(member)
        if profile is not None:
            leave(group, profile)
    call.account.lists.delete(group.id)
    return EMPTY


def create_segment(call: Call) -> Answer:
    """POST /segments: stored as it is; its members are set through the control API."""
    attributes = call.body["data"]["attributes"]
    group = call.account.segments.create(
        call.account.ids.short("segment"),
        _named(attributes["name"]),
        call.now,
        definition=attributes["definition"],
        starred=bool(attributes.get("is_starred")),
    )
    return single(call, 201, group_document(call, "segment", group))


def update_segment(call: Call) -> Answer:
    """PATCH /segments/{id}."""
    group = known(call, "segment", call.id)
    attributes = call.body["data"]["attributes"]
    if attributes.get("name") is not None:
        group.name = _named(attributes["name"])
    if attributes.get("definition") is not None:
        group.definition = attributes["definition"]
    if attributes.get("is_starred") is not None:
        group.starred = attributes["is_starred"]
    if attributes.get("is_active") is not None:
        group.active = attributes["is_active"]
    group.updated = call.now
    return single(call, 200, group_document(call, "segment", group))


def delete_segment(call: Call) -> Answer:
    """DELETE /segments/{id}."""
    call.account.segments.delete(known(call, "segment", call.id).id)
    return EMPTY


def get_members(kind: str, *, ids_only: bool) -> Handler:
    """GET /lists/{id}/profiles and the like."""

    def handler(call: Call) -> Answer:
        group = known(call, kind, call.id)

        def read_member(profile: Profile, field: str) -> Any:
            if field == "joined_group_at":
                return group.members[profile.id]
            name = {"profile_id": "id"}.get(field, field)
            return profile_calls.read(profile, name)

        found = [call.account.profiles.get(member) for member in group.members]
        members = [profile for profile in found if profile is not None]
        render: Callable[[Profile], Any] = (
            (lambda each: reference("profile", each.id))
            if ids_only
            else (
                lambda each: profile_calls.profile_document(
                    call, each, group.members[each.id], member=True
                )
            )
        )
        items = matching(members, conditions(call), read_member)
        return collection(call, items, render, read=read_member, order="joined_group_at")

    return handler


def add_profiles_to_list(call: Call) -> Answer:
    """POST /lists/{id}/relationships/profiles: membership without consent."""
    group, members = _change(call)
    for profile in members:
        join(group, profile, call.now)
    return EMPTY


def remove_profiles_from_list(call: Call) -> Answer:
    """DELETE /lists/{id}/relationships/profiles: consent stays as it was."""
    group, members = _change(call)
    for profile in members:
        leave(group, profile)
    return EMPTY


def _change(call: Call) -> tuple[Group, list[Profile]]:
    group = known(call, "list", call.id)
    identifiers = [each["id"] for each in call.body["data"]]
    if len(identifiers) > MOST_MEMBERS:
        detail = f"At most {MOST_MEMBERS} profiles may be given, not {len(identifiers)}."
        raise invalid(detail, "/data")
    found = {each: call.account.profiles.get(each) for each in identifiers}
    unknown = [each for each, profile in found.items() if profile is None]
    if unknown:
        raise invalid(f"Invalid profile IDs: {', '.join(unknown)}", "/data/")
    return group, [profile for profile in found.values() if profile is not None]


def _groups(call: Call, kind: str) -> Groups:
    return call.account.lists if kind == "list" else call.account.segments


def _named(name: str) -> str:
    if not name.strip():
        raise invalid("This field may not be blank.", "/data/attributes/name")
    return name


HANDLERS: Mapping[str, Handler] = {
    "get_lists": get_groups("list"),
    "create_list": create_list,
    "get_list": get_group("list"),
    "update_list": update_list,
    "delete_list": delete_list,
    "get_profiles_for_list": get_members("list", ids_only=False),
    "get_profile_ids_for_list": get_members("list", ids_only=True),
    "add_profiles_to_list": add_profiles_to_list,
    "remove_profiles_from_list": remove_profiles_from_list,
    "get_segments": get_groups("segment"),
    "create_segment": create_segment,
    "get_segment": get_group("segment"),
    "update_segment": update_segment,
    "delete_segment": delete_segment,
    "get_profiles_for_segment": get_members("segment", ids_only=False),
    "get_profile_ids_for_segment": get_members("segment", ids_only=True),
}
