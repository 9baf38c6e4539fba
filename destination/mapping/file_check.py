"""What is wrong with the entries of a mapping file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Dict
from dataclasses import replace
from typing import Any

from destination.action import Action
from destination.catalogue import CATALOGUE
from destination.errors import TriggerError
from destination.mapping.engine import certain_failures, check_mapping
from destination.mapping.field_check import field_problems
from destination.mapping.javascript import is_number, kind
from destination.mapping.problem import Place, Problem, excerpt, path_text
from destination.mapping.strict_json import nearest, unknown_keys
from destination.mapping.trigger import canonical, never_matches, parse_trigger, surprises

FILE_KEYS = ("name", "description", "mappings", "$schema")
ENTRY_KEYS = (
    *("name", "description", "action", "trigger", "enabled", "fields", "batch", "examples"),
)
BATCH_KEYS = ("enabled", "size", "wait_seconds", "skip_unchanged")
EXAMPLE_KEYS = ("name", "event", "payload", "requests", "skipped", "refused")
REQUEST_KEYS = ("method", "path", "query", "json")

MAX_WAIT = 3600
"""Seconds that a row may wait for others."""

_LONGEST_NAME = 100


def is_name(value: Any) -> bool:
    """A text that can name a file's mappings or one of them: no slash, nothing unprintable."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST_NAME
        and value == value.strip()
        and value.isprintable()
        and "/" not in value
    )


def not_a_name(value: Any) -> Problem:
    """The problem of what should be a name and is not."""
    seen = "is missing" if value is None else f"is {excerpt(value)}"
    return Problem("/name", f"should be a name, 1 to 100 characters without /, but {seen}")


class Earlier:
    """What the entries before one are called and wish for."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.wishes: dict[tuple[str, str], str] = {}


def check_entry(entry: Any, earlier: Earlier, actions: Dict[str, Action]) -> list[Problem]:
    """Everything wrong with one entry, by places inside of it; adds it to ``earlier``."""
    if not isinstance(entry, dict):
        return [Problem("/", f"a mapping should be an object but is {kind(entry)}")]
    action = actions.get(str(entry.get("action")))
    return [
        *unknown_keys(entry, ENTRY_KEYS, (), "a mapping"),
        *_name(entry.get("name"), earlier),
        *_kinds(entry),
        *_action(entry, actions),
        *_trigger(entry.get("trigger")),
        *_repetition(entry, earlier),
        *_fields(entry.get("fields"), action),
        *_batch(entry.get("batch", {}), action),
        *_examples(entry.get("examples", [])),
    ]


def _name(name: Any, earlier: Earlier) -> Iterator[Problem]:
    if not is_name(name):
        yield not_a_name(name)
        return
    if name in earlier.names:
        yield Problem("/name", f"an earlier mapping has the name {excerpt(name)} already")
    earlier.names.add(name)


def _repetition(entry: dict[str, Any], earlier: Earlier) -> Iterator[Problem]:
    """Whether an earlier mapping does the same to the same events, both being enabled."""
    wish = _wish(entry)
    if wish in earlier.wishes:
        message = f"{excerpt(earlier.wishes[wish])} sends the same events to the same action: "
        yield Problem("/trigger", f"{message}each will be sent twice", "warning")
    elif wish:
        earlier.wishes[wish] = str(entry.get("name"))


def _wish(entry: dict[str, Any]) -> tuple[str, str] | None:
    if entry.get("enabled", True) is not True:
        return None
    try:
        return str(entry.get("action")), canonical(parse_trigger(str(entry.get("trigger"))))
    except TriggerError:
        return None


def _kinds(entry: dict[str, Any]) -> Iterator[Problem]:
    if not isinstance(entry.get("description", ""), str):
        yield Problem("/description", f"should be a text but is {kind(entry['description'])}")
    if not isinstance(entry.get("enabled", True), bool):
        yield Problem("/enabled", f"should be true or false but is {excerpt(entry['enabled'])}")


def _action(entry: dict[str, Any], actions: Dict[str, Action]) -> Iterator[Problem]:
    name = entry.get("action")
    if not isinstance(name, str):
        yield Problem(
            "/action", f"should be the name of an action but is {_found(entry, 'action')}"
        )
    elif name not in actions:
        yield Problem("/action", f"there is no action {excerpt(name)}; {nearest(name, actions)}")


def _found(entry: dict[str, Any], key: str) -> str:
    return kind(entry[key]) if key in entry else "missing"


def _trigger(source: Any) -> Iterator[Problem]:
    if not isinstance(source, str):
        seen = "missing" if source is None else kind(source)
        yield Problem("/trigger", f'should be a trigger such as type = "track" but is {seen}')
        return
    try:
        trigger = parse_trigger(source)
    except TriggerError as error:
        yield Problem("/trigger", error.message)
        return
    reason = never_matches(trigger)
    if reason:
        yield Problem("/trigger", f"matches no event: {reason}", "warning")
    for surprise in surprises(trigger):
        yield Problem("/trigger", surprise, "warning")


def _fields(tree: Any, action: Action | None) -> list[Problem]:
    if not isinstance(tree, dict):
        seen = "missing" if tree is None else kind(tree)
        return [Problem("/fields", f"should be an object of fields but is {seen}")]
    wrong = check_mapping(tree)
    if not wrong:
        wrong = certain_failures(tree)
    problems = [replace(each, path=f"/fields{each.path}".rstrip("/")) for each in wrong]
    if action is not None and not problems:
        problems = field_problems(tree, action.fields, ("fields",))
    return problems


def _batch(options: Any, action: Action | None) -> Iterator[Problem]:
    if not isinstance(options, dict):
        yield Problem("/batch", f"should be an object but is {kind(options)}")
        return
    yield from unknown_keys(options, BATCH_KEYS, ("batch",), "batch")
    enabled, size = options.get("enabled", True), options.get("size")
    if not isinstance(enabled, bool):
        yield Problem("/batch/enabled", f"should be true or false but is {excerpt(enabled)}")
    if action is not None and action.batch is None and options and enabled is True:
        message = f"{action.name} has no bulk endpoint: its rows go one by one"
        yield Problem("/batch", message, "warning")
    most = action.batch.rows if action is not None and action.batch is not None else None
    if size is not None and (type(size) is not int or size < 1 or (most and size > most)):
        bound = f"1 to {most:,}" if most else "1 or more"
        yield Problem("/batch/size", f"should be {bound} rows but is {excerpt(size)}")
    wait = options.get("wait_seconds", 0)
    if not is_number(wait) or not 0 <= wait <= MAX_WAIT:
        yield Problem("/batch/wait_seconds", f"should be 0 to {MAX_WAIT} but is {excerpt(wait)}")
    skip = options.get("skip_unchanged", False)
    if not isinstance(skip, bool):
        yield Problem("/batch/skip_unchanged", f"should be true or false but is {excerpt(skip)}")
    elif skip and action is not None and action.digest is None:
        message = f"{action.name} cannot skip what is unchanged: sending it twice does it twice"
        yield Problem("/batch/skip_unchanged", message)


def _examples(examples: Any) -> Iterator[Problem]:
    if not isinstance(examples, list):
        yield Problem("/examples", f"should be a list but is {kind(examples)}")
        return
    names: set[str] = set()
    for index, example in enumerate(examples):
        place = ("examples", str(index))
        if not isinstance(example, dict):
            yield Problem(path_text(place), f"should be an object but is {kind(example)}")
            continue
        yield from _example(example, place)
        name = str(example.get("name"))
        if name in names:
            yield Problem(path_text((*place, "name")), "another example has this name")
        names.add(name)


def _example(example: dict[str, Any], place: Place) -> Iterator[Problem]:
    yield from unknown_keys(example, EXAMPLE_KEYS, place, "an example")
    for key, wanted in (("name", str), ("event", dict)):
        if not isinstance(example.get(key), wanted):
            what = "a text" if wanted is str else "an object"
            yield Problem(
                path_text((*place, key)), f"should be {what} but is {_found(example, key)}"
            )
    if not isinstance(example.get("skipped", False), bool):
        yield Problem(path_text((*place, "skipped")), "should be true or false")
    if not isinstance(example.get("payload", {}), dict):
        yield Problem(path_text((*place, "payload")), "should be an object")
    refused = example.get("refused", "mapping_failed")
    if refused not in CATALOGUE:
        hint = nearest(str(refused), CATALOGUE)
        yield Problem(
            path_text((*place, "refused")), f"there is no reason {excerpt(refused)}; {hint}"
        )
    yield from _requests(example.get("requests", []), (*place, "requests"))
    yield from _claims(example, place)


def _claims(example: dict[str, Any], place: Place) -> Iterator[Problem]:
    said = [key for key in ("payload", "requests", "skipped", "refused") if key in example]
    if not said:
        message = 'says nothing: give "payload", "requests", "skipped" or "refused"'
        yield Problem(path_text(place), message)
    ends = [key for key in said if key in {"skipped", "refused"} and example[key]]
    if ends and len(said) > 1:
        yield Problem(
            path_text(place), f'"{ends[0]}" leaves nothing that {_others(said, ends[0])} could be'
        )


def _others(said: Iterable[str], end: str) -> str:
    return " and ".join(f'"{key}"' for key in said if key != end)


def _requests(requests: Any, place: Place) -> Iterator[Problem]:
    if not isinstance(requests, list):
        yield Problem(path_text(place), f"should be a list but is {kind(requests)}")
        return
    for index, request in enumerate(requests):
        inside = (*place, str(index))
        if not isinstance(request, dict):
            yield Problem(path_text(inside), f"should be an object but is {kind(request)}")
            continue
        yield from unknown_keys(request, REQUEST_KEYS, inside, "a request")
        for key in ("method", "path"):
            if not isinstance(request.get(key), str):
                yield Problem(
                    path_text((*inside, key)), f"should be a text but is {_found(request, key)}"
                )
