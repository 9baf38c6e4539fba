"""Lists and segments: named groups of profiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from destination.sandbox.world.profiles import Profile


@dataclass(slots=True)
class Group:
    """A list, or a segment (``definition`` is then set). ``members`` maps ids to joining times."""

    id: str
    number: int
    name: str
    created: float
    updated: float
    opt_in: str = "double_opt_in"
    definition: dict[str, Any] | None = None
    starred: bool = False
    active: bool = True
    members: dict[str, float] = field(default_factory=dict)


class Groups:
    """All groups of one kind, by id."""

    def __init__(self) -> None:
        self._by_id: dict[str, Group] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Group]:
        return iter(self._by_id.values())

    def get(self, identifier: str) -> Group | None:
        """The group with that id."""
        return self._by_id.get(identifier)

    def create(self, identifier: str, name: str, now: float, **details: Any) -> Group:
        """A new, empty group."""
        self._number += 1
        group = Group(identifier, self._number, name, now, now, **details)
        self._by_id[identifier] = group
        return group

    def delete(self, identifier: str) -> None:
        """Forget the group."""
        self._by_id.pop(identifier, None)


def join(group: Group, profile: Profile, now: float) -> None:
    """Make a profile a member; a member stays one since it first joined."""
    group.members.setdefault(profile.id, now)
    profile.lists.setdefault(group.id, now)


def leave(group: Group, profile: Profile) -> None:
    """End a membership, if there is one."""
    group.members.pop(profile.id, None)
    profile.lists.pop(group.id, None)
