"""Why a preview is as it is: which part of the mapping gave which value, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from destination.action import Destination
from destination.errors import MappingError
from destination.fields import PayloadError, compile_fields
from destination.fields.problem import FieldProblem
from destination.mapping import MISSING, compile_mapping
from destination.mapping.budget import UNMETERED
from destination.mapping.directive import ROOT_DIRECTIVE, directive_key
from destination.mapping.javascript import is_truthy
from destination.mapping.path import split_path, walk
from destination.mapping.problem import Place, path_text
from destination.mapping.template import parts_of
from destination.mapping.trigger import as_predicate, parse_trigger, to_text
from destination.mapping.trigger.syntax import And, Compare, Find
from destination.pipeline import Route
from destination.preview.examples import same
from destination.preview.preview import Preview, preview, preview_json

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One condition of a trigger, as FQL: whether it holds, and the value that it looked at.

    ``seen`` is ``MISSING`` for no value and for a group of conditions.
    """

    condition: str
    holds: bool
    seen: Any = MISSING


@dataclass(frozen=True, slots=True)
class Reading:
    """A path of the event that a mapping looks at, and what is there."""

    path: str
    value: Any


@dataclass(frozen=True, slots=True)
class Given:
    """One field of the payload as the mapping gave it.

    ``place`` is where in the mapping file's entry the value comes from, after the branches of
    ``@if``: ``/fields/email/@if/else``. ``directive`` stands there, empty for a fixed value;
    ``reads`` is all that the field's mapping looks at. ``problem`` says why it gave nothing.
    """

    field: str
    place: str
    directive: str
    value: Any
    reads: tuple[Reading, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Turned:
    """A value that was changed on its way: by ``validation`` of the action's fields, or by the
    action's own ``preparation``. ``MISSING`` before what was added and after what was removed.
    """

    by: Literal["validation", "preparation"]
    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Explanation:
    """A preview with its reasons. ``problems`` are those for which validation refuses the payload.

    All but ``preview`` and ``asked`` is empty where the mapping does not want the event.
    """

    preview: Preview
    asked: tuple[Asked, ...]
    given: tuple[Given, ...] = ()
    turned: tuple[Turned, ...] = ()
    problems: tuple[FieldProblem, ...] = ()


def explain(
    body: Event, route: Route, destination: Destination, *, now: float, revision: str
) -> Explanation:
    """Run one event through one mapping without sending anything, and say why it is so.

    ``now`` is in unix seconds, ``revision`` the destination's API revision.
    """
    found = preview(body, route, destination, now=now, revision=revision)
    asked = tuple(_asked(route.mapping.trigger, body))
    if not found.matched:
        return Explanation(found, asked)
    given = tuple(_given_by(route, body))
    try:
        resolved = route.mapping.resolve(body) or {}
        checked = compile_fields(route.action.fields)(resolved)
    except MappingError:
        return Explanation(found, asked, given)
    except PayloadError as error:
        return Explanation(found, asked, given, problems=error.problems)
    turned = [*_turned("validation", resolved, checked)]
    if found.payload is not None:
        turned += _turned("preparation", checked, found.payload)
    return Explanation(found, asked, given, tuple(turned))


def explanation_json(found: Explanation) -> dict[str, Any]:
    """An explanation for programs: a preview's members, and ``trigger given turned problems``.

    What is missing is left out: ``seen``, ``value``, ``before`` or ``after``.
    """
    return {
        **preview_json(found.preview),
        "trigger": [
            _known({"condition": each.condition, "holds": each.holds, "seen": each.seen})
            for each in found.asked
        ],
        "given": [_given_json(each) for each in found.given],
        "turned": [
            _known({"by": t.by, "field": t.field, "before": t.before, "after": t.after})
            for t in found.turned
        ],
        "problems": [{"field": p.path, "message": p.message} for p in found.problems],
    }


def _given_json(given: Given) -> dict[str, Any]:
    said = {
        "field": given.field,
        "place": given.place,
        "directive": given.directive,
        "value": given.value,
        "reads": [_known({"path": each.path, "value": each.value}) for each in given.reads],
    }
    return _known({**said, "problem": given.problem} if given.problem else said)


def _known(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not MISSING}


def _asked(source: str, body: Event) -> Iterator[Asked]:
    trigger = parse_trigger(source)
    for part in trigger.parts if isinstance(trigger, And) else (trigger,):
        seen = MISSING
        if isinstance(part, Compare | Find):
            seen = walk(body, part.field.place, UNMETERED)
        yield Asked(to_text(part), as_predicate(part)(body), seen)


def _given_by(route: Route, body: Event) -> Iterator[Given]:
    tree = route.mapping.fields
    if ROOT_DIRECTIVE in tree:
        value, problem = _resolved(tree, body)
        reads = tuple(_reads(tree, body))
        yield Given("", f"/fields/{ROOT_DIRECTIVE}", ROOT_DIRECTIVE, value, reads, problem)
    else:
        yield from _given(tree, "", ("fields",), body)


def _given(tree: Any, field: str, place: Place, body: Event) -> Iterator[Given]:
    """What each member of an object of the mapping gives; a directive is one value."""
    taken, where = _taken(tree, place, body)
    name = directive_key(taken) if isinstance(taken, dict) else None
    if isinstance(taken, dict) and taken and name is None:
        for key, member in taken.items():
            yield from _given(member, f"{field}.{key}" if field else key, (*where, key), body)
        return
    wrapped, problem = _resolved({"value": taken}, body)
    value = wrapped.get("value", MISSING) if isinstance(wrapped, dict) else MISSING
    yield Given(field, path_text(where), name or "", value, tuple(_reads(tree, body)), problem)


def _taken(tree: Any, place: Place, body: Event) -> tuple[Any, Place]:
    """The branch that ``@if`` takes, and where it stands; anything else is itself."""
    while isinstance(tree, dict) and directive_key(tree) == "@if":
        options = tree["@if"]
        branches = {"then": "then", "else": "else"}
        if not isinstance(options, dict):
            break
        named = {
            name: text for name, text in branches.items() if is_truthy(options.get(name, MISSING))
        }
        branch, _ = _resolved({"value": {"@if": {**options, **named}}}, body)
        taken = branch.get("value") if isinstance(branch, dict) else None
        if taken not in named:
            break
        tree, place = options[taken], (*place, "@if", taken)
    return tree, place


def _resolved(tree: Any, body: Event) -> tuple[Any, str]:
    try:
        return compile_mapping(tree)(body), ""
    except MappingError as error:
        return MISSING, error.message


def _reads(tree: Any, body: Event) -> Iterator[Reading]:
    for path, segments in dict(_paths(tree)).items():
        yield Reading(path, walk(body, segments, UNMETERED))


def _paths(tree: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The paths written in a mapping that start at the event, not at items or at what was made."""
    if isinstance(tree, list):
        for item in tree:
            yield from _paths(item)
    if not isinstance(tree, dict):
        return
    for key, option in tree.items():
        match key, option:
            case "@path", str():
                yield option, split_path(option)
            case "@template", str():
                for part in parts_of(option):
                    if not isinstance(part, str):
                        yield ".".join(part), part
            case "@arrayPath", [str(path), *_]:
                yield path, split_path(path)
            case "@arrayPath", [path, *_]:
                yield from _paths(path)
            case "@transform", {"apply": apply}:
                yield from _paths(apply)
            case _:
                yield from _paths(option)


def _turned(
    by: Literal["validation", "preparation"], before: Any, after: Any, field: str = ""
) -> Iterator[Turned]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            inside = f"{field}.{key}" if field else key
            yield from _turned(by, before.get(key, MISSING), after.get(key, MISSING), inside)
    elif before is not after and not same(before, after):
        yield Turned(by, field, before, after)
