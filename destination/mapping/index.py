"""Which mappings an event can concern, known before any trigger is asked.

Nearly every trigger names the type of event that it wants, many the event's name as well. Fifty
mappings then cost little more than the few that are about the event in hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from destination.mapping.file import Mapping
from destination.mapping.trigger import parse_trigger
from destination.mapping.trigger.analysis import cases
from destination.mapping.trigger.syntax import Compare, Condition, Trigger, conditions

Wanted = tuple[str | None, str | None]
"""An event's type and name; None for any."""

_ANY: Wanted = (None, None)


@dataclass(frozen=True, slots=True)
class Concerned:
    """Mappings that an event's type and name let want it; ``seen`` says whether their triggers ask
    only for what part of an event shows.
    """

    mappings: Sequence[Mapping]
    seen: bool


class Index:
    """The enabled ones of ``mappings``, by the type and name of the events that they want.

    ``shows`` tells of a place whether it is seen in the part of an event that is known at first.
    """

    def __init__(
        self,
        mappings: Iterable[Mapping],
        shows: Callable[[tuple[str, ...]], bool] = lambda _place: True,
    ) -> None:
        asked = [(each, wanted(parse_trigger(each.trigger))) for each in mappings if each.enabled]
        every = {pair for _mapping, pairs in asked for pair in pairs} | {_ANY}
        kinds, names = ({pair[place] for pair in every} | {None} for place in (0, 1))
        self._by_type = {
            kind: {
                name: _concerned(
                    [each for each, pairs in asked if _concerns(pairs, kind, name)], shows
                )
                for name in names
            }
            for kind in kinds
        }

    def matching(self, body: dict[str, Any]) -> list[Mapping]:
        """The mappings that want this event, in their order."""
        return [mapping for mapping in self.concerned(body).mappings if mapping.matches(body)]

    def concerned(self, body: dict[str, Any]) -> Concerned:
        """Those that may want an event, for all that its type and name tell."""
        by_type = self._by_type
        kind, name = body.get("type"), body.get("event")
        by_name = (by_type.get(kind) if type(kind) is str else None) or by_type[None]
        some = by_name.get(name) if type(name) is str else None
        return by_name[None] if some is None else some


def wanted(trigger: Trigger) -> frozenset[Wanted]:
    """Pairs of which every event that ``trigger`` matches has one."""
    return frozenset((_text(case, ("type",)), _text(case, ("event",))) for case in cases(trigger))


def _concerned(mappings: Sequence[Mapping], shows: Callable[[tuple[str, ...]], bool]) -> Concerned:
    asked = (each for mapping in mappings for each in conditions(parse_trigger(mapping.trigger)))
    return Concerned(mappings, all(shows(each.field.place) for each in asked))


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
