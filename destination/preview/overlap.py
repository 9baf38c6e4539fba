"""Mappings that would each do the same with one event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from destination.mapping.file import Mapping


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two enabled mappings of one action that want the same event, and the example that shows it."""

    mapping: str
    other: str
    action: str
    example: str
    file: str = ""

    def __str__(self) -> str:
        return (
            f"{self.mapping} and {self.other} both send the event of the example"
            f" {self.example!r} to {self.action}: it would be done twice"
        )


def overlaps(mappings: Sequence[Mapping]) -> list[Overlap]:
    """Pairs among ``mappings``, which are in use together, each once.

    Found with the events of their examples: what triggers can mean for other events is not told.
    """
    enabled = [mapping for mapping in mappings if mapping.enabled]
    found: dict[tuple[str, str], Overlap] = {}
    for owner in enabled:
        for example in owner.examples:
            if not owner.matches(example.event):
                continue
            for other in enabled:
                alike = other is not owner and other.action == owner.action
                if alike and other.matches(example.event):
                    first, second = sorted((owner.name, other.name))
                    shown = f"{owner.name}: {example.name}"
                    overlap = Overlap(first, second, owner.action, shown, owner.source)
                    found.setdefault((first, second), overlap)
    return list(found.values())
