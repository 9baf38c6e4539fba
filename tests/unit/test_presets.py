"""The mapping files that are shipped: sound, explained, and so exemplified that no change goes unseen."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from destination.mapping.file import Mapping, read_mapping_file
from destination.mapping.problem import Problem
from destination.mapping.trigger import Trigger, parse_trigger, to_text
from destination.mapping.trigger.syntax import And, Compare, Find, Not, Or
from destination.preview import Overlap, overlaps, run_examples
from destination.registry import DESTINATIONS

KLAVIYO = DESTINATIONS["klaviyo"]
REVISION = "2026-07-15"
FOLDER = Path(__file__).parents[2] / "mappings"
FILES = sorted(FOLDER.rglob("*.json"))
Entry = dict[str, Any]
Place = tuple[str | int, ...]

ENTRIES = [
    (document["name"], entry)
    for document in (json.loads(file.read_bytes()) for file in FILES)
    for entry in document["mappings"]
]
each_entry = pytest.mark.parametrize(
    ("name", "entry"), ENTRIES, ids=[f"{name}/{entry['name']}" for name, entry in ENTRIES]
)

WORDS = {
    "right": "left",
    "lower": "upper",
    "upper": "lower",
    "encode": "decode",
    "decode": "encode",
}
"""Options for which another word is as valid."""

SAME = {"removeProfileFromList": "removeProfile", "removeProfile": "removeProfileFromList"}
"""Actions that are one under two names."""

EQUIVALENT = {
    "rudderstack/profile": {
        # The objects are {name: value} for different names: no order among them.
        *("append_properties/@if/then/@merge/direction changed",),
        *("append_properties/@if/then/@merge/objects reversed",),
        *("unappend_properties/@if/then/@merge/direction changed",),
        *("unappend_properties/@if/then/@merge/objects reversed",),
    },
    "segment-original/subscribe-profile": {
        # What Segment writes down here is what the action does without it; and the time of a
        # consent that is not historical is not sent.
        *("custom_source removed", "historical_import removed"),
        *("consented_at removed", "consented_at/@path changed"),
    },
}
"""Changes that change nothing: what they leave means the same."""

TOGETHER: list[tuple[str, ...]] = [
    ("segment.json", "presets/rows.json"),
    ("presets/ecommerce.json", "presets/rows.json", "presets/engage.json"),
    ("presets/rudderstack.json", "presets/rows.json"),
]
"""Files that docs/presets.md says may stand in one folder."""

UNSEEN = ("name", "description", "enabled", "batch", "examples")
"""Members of a mapping that no example can show: what they say is not about what is sent."""


def read(path: Path) -> tuple[list[Mapping], list[Problem]]:
    return read_mapping_file(path.read_bytes(), path.name, KLAVIYO.actions)


def complains(name: str, entry: Entry, known: list[str]) -> bool:
    """Whether the check says anything of an entry that it did not say before."""
    text = json.dumps({"name": name, "mappings": [entry]})
    mappings, problems = read_mapping_file(text, "f", KLAVIYO.actions)
    if [str(problem) for problem in problems] != known or not mappings:
        return True
    return any(ran.failures for ran in run_examples(mappings, KLAVIYO, revision=REVISION))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_file_is_sound(path: Path) -> None:
    """No errors, no warnings, and its examples hold."""
    mappings, problems = read(path)
    assert [str(problem) for problem in problems] == []
    assert [ran for ran in run_examples(mappings, KLAVIYO, revision=REVISION) if ran.failures] == []


@each_entry
def test_a_shipped_mapping_says_what_it_does(name: str, entry: Entry) -> None:
    """And shows it: exact requests, and an event that it leaves alone or refuses."""
    assert len(entry["description"]) > 40
    assert any("requests" in example for example in entry["examples"])
    assert any("skipped" in example or "refused" in example for example in entry["examples"])


@each_entry
def test_no_change_of_a_shipped_mapping_goes_unseen(name: str, entry: Entry) -> None:
    """Whatever part of it is changed or taken away, `destination check` says so."""
    _, problems = read_mapping_file(
        json.dumps({"name": name, "mappings": [entry]}), "f", KLAVIYO.actions
    )
    known = [str(problem) for problem in problems]
    assert not complains(name, entry, known)
    survived = [
        said
        for said, changed in chain(_of_action(entry), _of_trigger(entry), _of_fields(entry))
        if not complains(name, changed, known)
    ]
    assert set(survived) == EQUIVALENT.get(f"{name}/{entry['name']}", set())


@pytest.mark.parametrize("names", [*((str(f.relative_to(FOLDER)),) for f in FILES), *TOGETHER])
def test_files_that_go_together_send_nothing_twice(names: tuple[str, ...]) -> None:
    """No event of their examples is wanted by two mappings of one action; names are their own."""
    mappings = [mapping for name in names for mapping in read(FOLDER / name)[0]]
    found: list[Overlap] = overlaps(mappings)
    assert [str(overlap) for overlap in found] == []
    assert len({mapping.name for mapping in mappings}) == len(mappings)


def test_the_page_on_presets_names_every_file() -> None:
    """And says of each combination that is tested here that it works."""
    page = (FOLDER.parent / "docs" / "presets.md").read_text()
    for file in FILES:
        assert f"`{file.relative_to(FOLDER.parent)}`" in page
    for file in FILES:
        for entry in json.loads(file.read_bytes())["mappings"]:
            if not entry.get("enabled", True):
                assert f"`{entry['name']}`" in page


def test_every_member_of_a_mapping_is_changed_or_known_to_be_unseen() -> None:
    """So that a new one is not forgotten here."""
    members = {key for _, entry in ENTRIES for key in entry}
    assert members <= {"action", "trigger", "fields", *UNSEEN}


def _of_action(entry: Entry) -> Iterator[tuple[str, Entry]]:
    for action in KLAVIYO.actions:
        if action not in {entry["action"], SAME.get(entry["action"])}:
            yield f"action {action}", {**entry, "action": action}


def _of_trigger(entry: Entry) -> Iterator[tuple[str, Entry]]:
    for trigger in _variants(parse_trigger(entry["trigger"])):
        text = to_text(trigger)
        yield f"trigger {text}", {**entry, "trigger": text}


def _variants(trigger: Trigger) -> Iterator[Trigger]:
    """Triggers that differ in one condition, or in how conditions are joined."""
    match trigger:
        case And(parts) | Or(parts):
            other = Or if isinstance(trigger, And) else And
            yield other(parts)
            for index, part in enumerate(parts):
                rest = parts[:index] + parts[index + 1 :]
                yield rest[0] if len(rest) == 1 else type(trigger)(rest)
                for variant in _variants(part):
                    yield type(trigger)((*parts[:index], variant, *parts[index + 1 :]))
        case Not(part):
            yield part
            yield from (Not(variant) for variant in _variants(part))
        case Compare(_, operator, value):
            yield replace(trigger, operator="=" if operator == "!=" else "!=")
            yield from _of_field(trigger)
            if isinstance(value, str):
                yield replace(trigger, value=f"{value}~")
            elif isinstance(value, bool):
                yield replace(trigger, value=not value)
        case Find(_, _, text, negated):
            yield replace(trigger, negated=not negated)
            yield replace(trigger, text=f"{text}~")
            yield from _of_field(trigger)


def _of_field(condition: Compare | Find) -> Iterator[Trigger]:
    *parents, last = condition.field.path
    if parents:
        yield replace(condition, field=replace(condition.field, path=(*parents, f"{last}x")))


def _of_fields(entry: Entry) -> Iterator[tuple[str, Entry]]:
    for place in _places(entry["fields"], ()):
        for said, changed in _changes(entry["fields"], place):
            yield f"{'/'.join(map(str, place))} {said}", {**entry, "fields": changed}


def _places(tree: Any, here: Place) -> Iterator[Place]:
    if here:
        yield here
    if isinstance(tree, dict):
        for key, member in tree.items():
            yield from _places(member, (*here, key))
    if isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from _places(item, (*here, index))


def _changes(tree: Any, place: Place) -> Iterator[tuple[str, Any]]:
    """``tree`` without the part at ``place``, and with each other value that a leaf might have."""
    yield "removed", _edited(tree, place, None)
    leaf = tree
    for key in place:
        leaf = leaf[key]
    if not isinstance(leaf, dict | list):
        yield "changed", _edited(tree, place, [_other(leaf)])
    if isinstance(leaf, list) and len(leaf) > 1:
        yield "reversed", _edited(tree, place, [leaf[::-1]])
    if isinstance(leaf, dict) and {"then", "else"} <= leaf.keys():
        swapped = {**leaf, "then": leaf["else"], "else": leaf["then"]}
        yield "swapped", _edited(tree, place, [swapped])


def _other(leaf: Any) -> Any:
    if isinstance(leaf, str):
        return WORDS.get(leaf, f"{leaf}~")
    if isinstance(leaf, bool) or leaf is None:
        return not leaf
    return leaf + 1


def _edited(tree: Any, place: Place, value: list[Any] | None) -> Any:
    """A copy of ``tree`` with another value at ``place``, or with nothing there."""
    made = copy.deepcopy(tree)
    parent = made
    for key in place[:-1]:
        parent = parent[key]
    if value is None:
        del parent[place[-1]]
    else:
        parent[place[-1]] = value[0]
    return made
