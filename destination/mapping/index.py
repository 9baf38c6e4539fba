"""Which mappings an event can concern, known before any trigger is asked.

Nearly every trigger names the type of event that it wants, many the event's name as well. Fifty
mappings then cost little more than the few that are about the event in hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from destination.mapping.file import Mapping
from destination.mapping.trigger import parse_trigger
from destination.mapping.trigger.analysis import cases
from destination.mapping.trigger.syntax import Compare, Condition, Trigger

Wanted = tuple[str | None, str | None]
"""An event's type and name; None for any."""

_ANY: Wanted = (None, None)


class Index:
    """The enabled ones of ``mappings``, by the type and name of the events that they want."""

    def __init__(self, mappings: Iterable[Mapping]) -> None:
        asked = [(each, wanted(parse_trigger(each.trigger))) for each in mappings if each.enabled]
        every = {pair for _mapping, pairs in asked for pair in pairs} | {_ANY}
        kinds, names = ({pair[place] for pair in every} | {None} for place in (0, 1))
        self._by_type = {
            kind: {
                name: [each for each, pairs in asked if _concerns(pairs, kind, name)]
                for name in names
            }
            for kind in kinds
        }

    def matching(self, body: dict[str, Any]) -> list[Mapping]:
        """The mappings that want this event, in their order."""
        by_type = self._by_type
        kind, name = body.get("type"), body.get("event")
        by_name = (by_type.get(kind) if type(kind) is str else None) or by_type[None]
        some = by_name.get(name) if type(name) is str else None
        if some is None:
            some = by_name[None]
        return [mapping for mapping in some if mapping.matches(body)]


def wanted(trigger: Trigger) -> frozenset[Wanted]:
    """Pairs of which every event that ``trigger`` matches has one."""
    return frozenset((_text(case, ("type",)), _text(case, ("event",))) for case in cases(trigger))


def _text(case: Sequence[Condition], place: tuple[str, ...]) -> str | None:
    """The only text that the conditions allow at ``place``; None when they allow others."""
    for each in case:
        if (
            isinstance(each, Compare)
            and each.operator == "="
            and isinstance(each.value, str)
            and each.field.place == place
        ):
            return each.value
    return None


def _concerns(pairs: frozenset[Wanted], kind: str | None, name: str | None) -> bool:
    return any(pair[0] in (None, kind) and pair[1] in (None, name) for pair in pairs)
