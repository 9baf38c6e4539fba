"""Lists and segments as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from destination.sandbox.calls import tags
from destination.sandbox.calls.call import Call
from destination.sandbox.calls.documents import resource
from destination.sandbox.clock import written
from destination.sandbox.world.lists import Group


def group_document(call: Call, kind: str, group: Group) -> dict[str, Any]:
    """A list or segment as the API shows it."""
    attributes: dict[str, Any] = {
        "name": group.name,
        "created": written(group.created),
        "updated": written(group.updated),
    }
    if kind == "list":
        attributes["opt_in_process"] = group.opt_in
    else:
        attributes["definition"] = group.definition
        attributes["is_active"] = group.active
        attributes["is_processing"] = False
        attributes["is_starred"] = group.starred
    if "profile_count" in call.asked(f"additional-fields[{kind}]"):
        attributes["profile_count"] = len(group.members)
    relations = {"profiles": None, "tags": None, "flow-triggers": None}
    return resource(call, kind, group.id, attributes, relations)


def read(group: Group, field: str) -> Any:
    """What a filter or sort on ``field`` sees."""
    if field == "is_active":
        return group.active
    if field == "is_starred":
        return group.starred
    return getattr(group, field, None)


def tags_of(call: Call, kind: str, groups: Sequence[Group]) -> list[Any]:
    """The tags that the groups bear, if the request asks to include them."""
    if "tags" not in call.asked("include"):
        return []
    found = {tag.id: tag for group in groups for tag in tags.borne(call, kind, group.id)}
    return [tags.tag_document(call, each) for each in found.values()]
