"""Tags and tag groups: labels of lists, segments and campaigns."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class TagGroup:
    """A group of tags; of an exclusive one a resource bears at most one tag."""

    id: str
    number: int
    name: str
    exclusive: bool = False
    default: bool = False


@dataclass(slots=True)
class Tag:
    """A tag, and what bears it: kind (``list`` ...) -> ids."""

    id: str
    number: int
    name: str
    group: str
    bearers: dict[str, list[str]] = field(default_factory=dict)
