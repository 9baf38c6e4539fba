"""Mappings: check one, compile it once, resolve it for every event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from destination.errors import MappingError
from destination.mapping.budget import NODE, UNMETERED, Budget
from destination.mapping.check import Checker
from destination.mapping.compiler import Compiler, Site
from destination.mapping.directives import DIRECTIVES
from destination.mapping.flat import as_function, not_an_object
from destination.mapping.missing import MISSING
from destination.mapping.plan import Plan
from destination.mapping.problem import Problem, path_text
from destination.mapping.size import size_problems

_CHECKER = Checker(DIRECTIVES)


def check_mapping(tree: Any) -> list[Problem]:
    """What is wrong with the mapping ``tree``; empty exactly when ``compile_mapping`` takes it."""
    return size_problems(tree) or _CHECKER.whole(tree, ())


def compile_mapping(tree: Any) -> Callable[[dict[str, Any]], Any]:
    """``resolve(event)``: the value that the mapping ``tree`` gives for an event.

    Compile once, call often. ``resolve`` never changes the event, but what it gives shares objects
    and lists with the event and with other results: treat it as read-only. It gives ``MISSING``
    where Segment's gives undefined and raises ``MappingError`` with the place in the mapping where
    a directive cannot be resolved or the work of one event is too much.

    Raises ``MappingError`` for the first problem that ``check_mapping`` finds.
    """
    compiler, plan = compiled(tree)
    resolve_plan = as_function(plan)
    grows, gaps = compiler.grows, compiler.gaps

    def resolve_light(event: dict[str, Any]) -> Any:
        if type(event) is not dict:
            raise not_an_object(event)
        return resolve_plan(event, UNMETERED)

    def resolve(event: dict[str, Any]) -> Any:
        if type(event) is not dict:
            raise not_an_object(event)
        budget = Budget()
        result = resolve_plan(event, budget)
        if grows:
            _weigh(result, budget)
        if gaps:
            _fill_gaps(result)
        return result

    return resolve if compiler.metered or grows or gaps else resolve_light


def compiled(tree: Any) -> tuple[Compiler, Plan]:
    """A mapping's plan, and the compiler with what it learned. Raises as ``compile_mapping``."""
    problems = check_mapping(tree)
    if problems:
        raise MappingError(problems[0].path, problems[0].message)
    compiler = Compiler(DIRECTIVES)
    return compiler, compiler.root(tree, Site(compiler))


def certain_failures(tree: Any) -> list[Problem]:
    """The places of a valid mapping that fail for every event that reaches them.

    The check passes them, because Segment's does: an unknown directive inside a list, an ``@if``
    without a condition, an ``@liquid`` text that cannot be parsed.
    """
    compiler = Compiler(DIRECTIVES)
    compiler.root(tree, Site(compiler))
    return compiler.failures


def _weigh(result: Any, budget: Budget) -> None:
    """Charge for the size of ``result`` as it will be written, shared parts as often as they occur."""
    waiting = [result]
    while waiting:
        value = waiting.pop()
        budget.spend(NODE, path_text(()))
        if isinstance(value, str):
            budget.spend(len(value), path_text(()))
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _fill_gaps(result: Any) -> None:
    """Put null where a list of ``result`` has a missing item. Such lists are new, never the event's."""
    waiting, seen = [result], set()
    while waiting:
        value = waiting.pop()
        if not isinstance(value, (dict, list)) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, list):
            for index, item in enumerate(value):
                if item is MISSING:
                    value[index] = None
        waiting.extend(value.values() if isinstance(value, dict) else value)
