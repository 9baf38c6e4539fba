"""Whether a mapping is well formed: Segment's rules, place for place.

The check walks objects. It does not look inside lists, nor inside ordinary objects given where a
directive or any value may stand; a mistake there shows when the mapping is resolved, and in
``certain_failures``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from destination.mapping.directive import METADATA, ROOT_DIRECTIVE, Directives
from destination.mapping.javascript import kind, text_length
from destination.mapping.problem import Place, Problem, excerpt, path_text

Check = Callable[[Any, Place], list[Problem]]


@dataclass(frozen=True, slots=True)
class Checker:
    """The check of parts of a mapping, for directives to call on their options."""

    directives: Directives

    def whole(self, tree: Any, place: Place) -> list[Problem]:
        """A whole mapping, whose top may be a directive for all of it."""
        if not isinstance(tree, dict) or ROOT_DIRECTIVE not in tree:
            return self.mapping(tree, place)
        others = {key: member for key, member in tree.items() if key != ROOT_DIRECTIVE}
        root = tree[ROOT_DIRECTIVE]
        if others and isinstance(root, dict):  # the others become its ``mapping``
            root = {
                name: {**options, "mapping": {}} if isinstance(options, dict) else options
                for name, options in root.items()
            }
        return self.mapping(root, (*place, ROOT_DIRECTIVE)) + self.mapping(others, place)

    def mapping(self, tree: Any, place: Place) -> list[Problem]:
        """Any part of a mapping; lists and scalars stand for themselves."""
        if isinstance(tree, dict):
            return self.directive(tree, place) if _has_at(tree) else self.members(tree, place)
        return []

    def members(self, tree: Any, place: Place) -> list[Problem]:
        """An ordinary object: every member is a mapping."""
        if not isinstance(tree, dict):
            return [_problem(place, f"should be an object but is {kind(tree)}", tree)]
        if _has_at(tree):
            return [_problem(place, "should be an ordinary object but is a directive", tree)]
        return [
            problem
            for key, member in tree.items()
            for problem in self.mapping(member, (*place, key))
        ]

    def directive(self, tree: dict[str, Any], place: Place) -> list[Problem]:
        """An object with an ``@`` key."""
        names = [key for key in tree if key.startswith("@")]
        others = [key for key in tree if not key.startswith("@") and key != METADATA]
        if len(names) > 1:
            found = " and ".join(names[:3])
            return [_problem(place, f"an object holds one directive, but here are {found}")]
        if others:
            return [_problem(place, f"nothing may stand beside {names[0]}: remove {others[0]!r}")]
        if names[0] not in self.directives:
            known = ", ".join(sorted(self.directives))
            return [_problem(place, f"there is no directive {names[0]}; there are {known}")]
        return self.directives[names[0]].check(self, tree[names[0]], (*place, names[0]))

    def directive_or_text(self, tree: Any, place: Place) -> list[Problem]:
        """A directive or a text."""
        return text_or_directive(tree, place) or self.mapping(tree, place)

    def directive_or_object(self, tree: Any, place: Place) -> list[Problem]:
        """A directive or an ordinary object."""
        return object_or_directive(tree, place) or self.mapping(tree, place)

    def directive_or_value(self, tree: Any, place: Place) -> list[Problem]:
        """A directive, which is checked, or any value, which is not."""
        return self.directive(tree, place) if isinstance(tree, dict) and _has_at(tree) else []

    def options(
        self,
        tree: Any,
        place: Place,
        required: Mapping[str, Check],
        optional: Mapping[str, Check] | None = None,
    ) -> list[Problem]:
        """The options of a directive: an ordinary object, its ``required`` and ``optional`` members.

        Other members are allowed. All members are looked at as mappings; only when that finds
        nothing, ``required`` and ``optional`` look at their kind, and need not look inside again.
        """
        problems = self.members(tree, place)
        if problems:
            return problems
        for name, check in {**required, **(optional or {})}.items():
            if name in tree:
                problems += check(tree[name], (*place, name))
            elif name in required:
                problems.append(_problem(place, f'"{name}" is missing'))
        return problems


def anything(_tree: Any, _place: Place) -> list[Problem]:
    """Any value."""
    return []


def text_or_directive(tree: Any, place: Place) -> list[Problem]:
    """A text, or a directive that is not looked into."""
    if isinstance(tree, str) or (isinstance(tree, dict) and _has_at(tree)):
        return []
    return [_problem(place, f"should be a text or a directive but is {kind(tree)}", tree)]


def object_or_directive(tree: Any, place: Place) -> list[Problem]:
    """An object or a directive, which is not looked into."""
    if isinstance(tree, dict):
        return []
    return [_problem(place, f"should be an object or a directive but is {kind(tree)}", tree)]


def text(tree: Any, place: Place) -> list[Problem]:
    """A text, not a directive."""
    if isinstance(tree, str):
        return []
    return [_problem(place, f"should be a text but is {kind(tree)}", tree)]


def text_between(least: int, most: int) -> Check:
    """A text of ``least`` to ``most`` UTF-16 code units."""

    def check(tree: Any, place: Place) -> list[Problem]:
        problems = text(tree, place)
        if not problems and not least <= text_length(tree) <= most:
            problems = [_problem(place, f"should have {least} to {most} characters", tree)]
        return problems

    return check


def boolean(tree: Any, place: Place) -> list[Problem]:
    """True or false, not a directive."""
    if isinstance(tree, bool):
        return []
    return [_problem(place, f"should be true or false but is {kind(tree)}", tree)]


def one_of(*allowed: str) -> Check:
    """One of the words ``allowed``, in any case."""

    def check(tree: Any, place: Place) -> list[Problem]:
        problems = text(tree, place)
        if not problems and tree.lower() not in allowed:
            problems = [_problem(place, f"should be {' or '.join(allowed)}", tree)]
        return problems

    return check


def a_list(tree: Any, place: Place) -> list[Problem]:
    """A list; what is in it is not looked at."""
    if isinstance(tree, list):
        return []
    return [_problem(place, f"should be a list but is {kind(tree)}", tree)]


def _has_at(tree: dict[str, Any]) -> bool:
    return any(key.startswith("@") for key in tree)


def _problem(place: Place, message: str, *seen: Any) -> Problem:
    suffix = f": {excerpt(seen[0])}" if seen else ""
    return Problem(path_text(place), message + suffix)
