"""A plan made into one flat Python function.

Measured on the presets (``benchmarks/mapping.py``): a function generated for the whole tree takes
about two thirds of the time of nested closures, because prefixes that several paths share
(``traits``, ``traits.address``) are looked up once and no call is made per field.

Only this module's own words become source text. Everything that a mapping or event holds, names
of members included, is reached through a variable, so nothing a user wrote is ever executed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from sys import intern
from types import CodeType
from typing import Any

from destination.errors import MappingError
from destination.fields import PayloadError
from destination.mapping.budget import UNMETERED, Budget
from destination.mapping.javascript import kind
from destination.mapping.missing import MISSING
from destination.mapping.path import Segments, step
from destination.mapping.plan import (
    Checked,
    Computed,
    Constant,
    Lookup,
    Members,
    Plan,
    Resolver,
    may_be_missing,
)


def as_function(plan: Plan) -> Resolver:
    """``plan`` as a function of the payload and the budget."""
    if isinstance(plan, Computed):
        return plan.resolve
    writer = _Writer()
    result = writer.write(plan)
    resolve: Resolver = writer.function(result)
    return resolve


def as_checked_function(plan: Checked, *, metered: bool) -> Callable[[Any], dict[str, Any]]:
    """``plan`` as a function of the event, with a budget for each if ``metered``.

    It raises ``PayloadError`` with all that its checks found, ``MappingError`` for what is no event.
    """
    writer = _Writer(frozenset({"payload"}))
    writer.lines.append("if type(payload) is not dict: raise not_an_object(payload)")
    writer.lines.append("budget = Budget()" if metered else "budget = UNMETERED")
    writer.lines.append("problems = []")
    result = writer.write(plan)
    writer.lines.append("if problems: raise PayloadError(tuple(problems))")
    make: Callable[[Any], dict[str, Any]] = writer.function(result, "payload")
    return make


def not_an_object(event: Any) -> MappingError:
    """The error for an event that is none."""
    return MappingError("/", f"an event must be an object, not {kind(event)}")


@lru_cache(maxsize=256)
def _compiled(source: str) -> CodeType:
    # Plans of one shape share their source, because their values are not part of it.
    return compile(source, "<mapping>", "exec")


class _Writer:
    """The lines of one function and the values that they name. ``dicts`` are names that hold a dict
    for certain.
    """

    def __init__(self, dicts: frozenset[str] = frozenset()) -> None:
        self.dicts = dicts
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "Budget": Budget,
            "MISSING": MISSING,
            "PayloadError": PayloadError,
            "UNMETERED": UNMETERED,
            "dict": dict,
            "not_an_object": not_an_object,
            "step": step,
            "tuple": tuple,
            "type": type,
        }
        self.found: dict[Segments, str] = {(): "payload"}

    def function(self, result: str, takes: str = "payload, budget") -> Any:
        """The function of all lines, which returns ``result``."""
        source = "\n ".join([f"def resolve({takes}):", *self.lines, f"return {result}"])
        exec(_compiled(source), self.names)  # noqa: S102  the source holds no user text, see above
        return self.names["resolve"]

    def write(self, plan: Plan) -> str:
        """Add what computes ``plan``; the name that holds it then."""
        match plan:
            case Constant(value):
                return self._bind("c", value)
            case Lookup(segments):
                return self._lookup(segments)
            case Computed(resolve):
                return self._assign(f"{self._bind('f', resolve)}(payload, budget)")
            case Members():
                return self._object(plan)
            case Checked():
                return self._checked(plan)

    def _object(self, plan: Members) -> str:
        result = self._assign("{}")
        for name, member in plan.members:
            value = self.write(member)
            condition = ""
            if not plan.keep and may_be_missing(member):
                condition = f"if {value} is not MISSING: "
            self.lines.append(f"{condition}{result}[{self._key(name)}] = {value}")
        return result

    def _checked(self, plan: Checked) -> str:
        """Members that are right already, which most are, cost no call."""
        result = self._assign("{}")
        for name, member, check in plan.members:
            value = self.write(member)
            here = f"if {value} is not MISSING: " if may_be_missing(member) else ""
            put = f"{result}[{self._key(name)}] = {value}"
            if check is None or isinstance(member, Checked):
                self.lines.append(here + put)
                continue
            if check.kind:
                fits = f" and {self._bind('f', check.fits)}({value})" if check.fits else ""
                kind = self._bind("t", check.kind)
                self.lines.append(f"if {value}.__class__ is {kind} and {value}{fits}: {put}")
                here = f"el{here}" if here else "else: "
            self.lines.append(f"{here}{self._bind('f', check.put)}({result}, {value}, problems)")
        for name, missing in plan.required:
            absent = f"{self._key(name)} not in {result}"
            self.lines.append(f"if {absent}: problems.append({self._bind('p', missing)})")
        return result

    def _lookup(self, segments: Segments) -> str:
        parent = "payload"
        for end, segment in enumerate(segments, 1):
            prefix = segments[:end]
            if prefix not in self.found:
                key = self._key(segment)
                member = f"{parent}.get({key}, MISSING)"
                if parent not in self.dicts:
                    member += (
                        f" if type({parent}) is dict"
                        f" else MISSING if {parent} is MISSING else step({parent}, {key}, budget)"
                    )
                self.found[prefix] = self._assign(member)
            parent = self.found[prefix]
        return parent

    def _assign(self, expression: str) -> str:
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {expression}")
        return name

    def _key(self, name: str) -> str:
        # Interned like the names in our code, so that a payload's members are found by identity.
        return self._bind("k", intern(name))

    def _bind(self, prefix: str, value: Any) -> str:
        name = f"{prefix}{len(self.names)}"
        self.names[name] = value
        return name
