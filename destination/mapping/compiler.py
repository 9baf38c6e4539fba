"""From a tree of JSON to a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from destination.errors import MappingError
from destination.mapping.budget import Budget
from destination.mapping.check import Checker
from destination.mapping.directive import ROOT_DIRECTIVE, Directives, Unusable, directive_key
from destination.mapping.flat import as_function
from destination.mapping.javascript import is_truthy, kind
from destination.mapping.missing import MISSING
from destination.mapping.plan import (
    Computed,
    Constant,
    Lookup,
    Members,
    Plan,
    Resolver,
    may_be_missing,
)
from destination.mapping.problem import Place, Problem, path_text

FEW_LOOKUPS = 200
"""Up to so many values of the event in one result need no look at the size of the result."""


class Compiler:
    """Compiles one mapping, and learns what running it will take.

    ``metered`` tells that it needs a budget, ``amplifies`` that its result can be far larger than
    event and mapping, ``gaps`` that a list in the result may hold ``MISSING``; ``failures`` are the
    places that fail for every event that reaches them.
    """

    def __init__(self, directives: Directives) -> None:
        self.directives = directives
        self.metered = False
        self.amplifies = False
        self.gaps = False
        self.lookups = 0
        self.failures: list[Problem] = []

    @property
    def grows(self) -> bool:
        """Whether the size of a result must be looked at."""
        return self.amplifies or self.lookups > FEW_LOOKUPS

    def root(self, tree: Any, site: Site) -> Plan:
        """A whole mapping: the top of one, or what ``@transform`` applies."""
        if not isinstance(tree, dict):
            return site.fail(f"a mapping must be an object, not {kind(tree)}")
        if ROOT_DIRECTIVE not in tree:
            return self.plan(tree, site)
        site = site.at(ROOT_DIRECTIVE)
        directive = tree[ROOT_DIRECTIVE]
        if not isinstance(directive, dict) or len(directive) != 1:
            return site.fail("must be an object with exactly one directive")
        ((name, options),) = directive.items()
        if not isinstance(options, (dict, list)):
            return site.fail(f"{name} must have an object of options, not {kind(options)}")
        if isinstance(options, dict):
            others = {key: member for key, member in tree.items() if key != ROOT_DIRECTIVE}
            directive = {name: {**options, "mapping": others}}
        problems = Checker(self.directives).mapping(directive, site.place)
        if problems:
            return site.fail(f"{problems[0].path}: {problems[0].message}")
        return self.plan(directive, site)

    def plan(self, tree: Any, site: Site) -> Plan:
        """Any part of a mapping."""
        if isinstance(tree, list):
            return self._list(tree, site)
        if not isinstance(tree, dict):
            return Constant(tree)
        name = directive_key(tree)
        if name is None:
            return self._object(tree, site)
        if name not in self.directives:
            return site.fail(f"there is no directive {name}")
        directive = self.directives[name]
        self.metered |= not directive.light
        site = site.at(name, keep=site.keep)
        try:
            return directive.compile(tree[name], site)
        except Unusable as error:
            return site.fail(str(error))

    def _object(self, tree: dict[str, Any], site: Site) -> Plan:
        members = tuple((key, self.plan(member, site.at(key))) for key, member in tree.items())
        if all(isinstance(plan, Constant) and plan.value is not MISSING for _, plan in members):
            return Constant(
                {key: plan.value for key, plan in members if isinstance(plan, Constant)}
            )
        return Members(members, site.keep)

    def _list(self, tree: list[Any], site: Site) -> Plan:
        plans = [self.plan(item, site.at(str(index))) for index, item in enumerate(tree)]
        gaps = any(map(may_be_missing, plans))
        if not gaps and all(isinstance(plan, Constant) for plan in plans):
            return Constant([plan.value for plan in plans if isinstance(plan, Constant)])
        self.gaps |= gaps
        resolvers = tuple(map(as_function, plans))
        return Computed(lambda payload, budget: [item(payload, budget) for item in resolvers])


@dataclass(frozen=True, slots=True)
class Site:
    """Where a part of a mapping stands, and what a directive there may ask of the compiler.

    ``keep``: the object that this part gives keeps its missing members, see ``Members``.
    """

    compiler: Compiler
    place: Place = ()
    keep: bool = False

    @property
    def path(self) -> str:
        """The place as text."""
        return path_text(self.place)

    def at(self, *keys: str, keep: bool = False) -> Site:
        """The site of a part of this one."""
        return Site(self.compiler, (*self.place, *keys), keep)

    def plan(self, tree: Any, *keys: str) -> Plan:
        """The plan of the part at ``keys``."""
        return self.compiler.plan(tree, self.at(*keys))

    def outcome(self, tree: Any, *keys: str) -> Plan:
        """The plan of the part at ``keys``, which is itself the result here."""
        return self.compiler.plan(tree, self.at(*keys, keep=self.keep))

    def resolver(self, tree: Any, *keys: str) -> Resolver:
        """The function of the part at ``keys``."""
        return as_function(self.plan(tree, *keys))

    def kept(self, tree: Any, *keys: str) -> Resolver:
        """The function of the part at ``keys``, whose object keeps its missing members."""
        return as_function(self.compiler.plan(tree, self.at(*keys, keep=True)))

    def lookup(self, segments: tuple[str, ...]) -> Lookup:
        """A value of the payload."""
        self.compiler.lookups += 1
        return Lookup(segments)

    def fail(self, message: str) -> Plan:
        """A part that fails for every event, like a directive without what it needs."""
        self.compiler.failures.append(Problem(self.path, message))
        path = self.path

        def resolve(_payload: Any, _budget: Budget) -> NoReturn:
            raise MappingError(path, message)

        return Computed(resolve)


def options_of(option: Any, *names: str) -> dict[str, Any]:
    """The options ``option`` of a directive, in which each of ``names`` must be truthy.

    Raises ``Unusable`` where they are not.
    """
    if not isinstance(option, dict):
        raise Unusable(f"needs an object of options, not {kind(option)}")
    for name in names:
        if not is_truthy(option.get(name, MISSING)):
            raise Unusable(f'"{name}" is missing or empty')
    return option
