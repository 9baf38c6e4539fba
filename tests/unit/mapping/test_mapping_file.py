"""Mapping files: what is read, and how every mistake is reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.action import Action, Batch
from destination.delivery import Delivered
from destination.fields import Field
from destination.mapping.file import BatchOptions, Problem, read_mapping_file
from destination.registry import DESTINATIONS

ACTIONS = DESTINATIONS["klaviyo"].actions
PRESETS = sorted((Path(__file__).parents[3] / "mappings").glob("*.json"))

ENTRY: dict[str, Any] = {
    "name": "orders",
    "description": "Every order.",
    "action": "trackEvent",
    "trigger": 'type = "track" and event = "Order Completed"',
    "enabled": True,
    "fields": {
        "metric_name": {"@path": "$.event"},
        "properties": {"@path": "$.properties"},
        "profile": {"email": {"@path": "$.context.traits.email"}},
    },
    "batch": {"enabled": True, "size": 500, "wait_seconds": 0.5},
    "examples": [
        {"name": "other calls", "event": {"type": "page"}, "skipped": True},
        {"name": "nobody", "event": {"type": "track"}, "refused": "missing_identifier"},
    ],
}


def entry(**changes: Any) -> dict[str, Any]:
    """``ENTRY`` with changes; None takes a key away."""
    return {key: value for key, value in {**ENTRY, **changes}.items() if value is not None}


def read(*entries: Any, **document: Any) -> tuple[list[Any], list[Problem]]:
    """What is read from a file of these entries."""
    text = json.dumps({"name": "shop", "mappings": list(entries), **document})
    return read_mapping_file(text, "shop.json", ACTIONS)


def said(problem: Problem) -> str:
    """A problem in short."""
    return f"{problem.severity} {problem.path} {problem.message}"


def test_mapping_is_read_and_works() -> None:
    """Everything in the file is in the record, and its functions run."""
    (mapping,), problems = read(entry())
    assert problems == []
    assert (mapping.name, mapping.action, mapping.source) == (
        "shop/orders",
        "trackEvent",
        "shop.json",
    )
    assert mapping.batch == BatchOptions(True, 500, 0.5)
    assert [example.name for example in mapping.examples] == ["other calls", "nobody"]
    assert mapping.examples[0].skipped
    assert mapping.examples[1].refused == "missing_identifier"
    event = {"type": "track", "event": "Order Completed", "properties": {"total": 1}}
    assert mapping.matches(event)
    assert mapping.resolve(event) == {
        "metric_name": "Order Completed",
        "properties": {"total": 1},
        "profile": {},
    }


def test_what_may_be_left_out_has_defaults() -> None:
    """Enabled, batched as the endpoint allows, without examples."""
    (mapping,), _ = read(entry(description=None, enabled=None, batch=None, examples=None))
    assert (mapping.description, mapping.enabled, mapping.examples) == ("", True, ())
    assert mapping.batch == BatchOptions()


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.name)
def test_presets_have_no_errors(preset: Path) -> None:
    """The files that we ship can be used, all of them."""
    mappings, problems = read_mapping_file(preset.read_bytes(), str(preset), ACTIONS)
    assert len(mappings) == len(json.loads(preset.read_bytes())["mappings"])
    assert [said(problem) for problem in problems if problem.severity == "error"] == []


def test_documented_file_can_be_used() -> None:
    """The example in the documentation has no problem."""
    document = (Path(__file__).parents[3] / "docs" / "mapping.md").read_text()
    example = document.partition("## Mapping files")[2].partition("```json")[2].partition("```")[0]
    mappings, problems = read_mapping_file(example, "docs", ACTIONS)
    assert (len(mappings), problems) == (1, [])


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"name": None}, "/name", "is missing"),
        ({"name": "a/b"}, "/name", "without /"),
        ({"nmae": "x"}, "/nmae", 'did you mean "name"?'),
        ({"action": "trackEvnt"}, "/action", 'did you mean "trackEvent"?'),
        ({"action": None}, "/action", "missing"),
        ({"trigger": None}, "/trigger", "missing"),
        ({"trigger": 'type = "track" AND event = "X"'}, "/trigger", "column 16"),
        ({"enabled": "yes"}, "/enabled", "true or false"),
        ({"description": 5}, "/description", "text"),
        ({"fields": [1]}, "/fields", "a list"),
        ({"fields": {**ENTRY["fields"], "value": {"@oops": 1}}}, "/fields/value", "no directive @oops"),
        ({"fields": {**ENTRY["fields"], "value": {"@path": 5}}}, "/fields/value/@path", "a number: 5"),
        ({"fields": {**ENTRY["fields"], "value": {"@if": {"then": 1}}}}, "/fields/value/@if", "condition"),
        ({"fields": {**ENTRY["fields"], "vlaue": 1}}, "/fields/vlaue", 'did you mean "value"?'),
        ({"fields": {"metric_name": "x", "properties": {}}}, "/fields/profile", "requires profile"),
        ({"fields": {**ENTRY["fields"], "value": "much"}}, "/fields/value", "number"),
        ({"batch": 5}, "/batch", "an object"),
        ({"batch": {"sise": 5}}, "/batch/sise", 'did you mean "size"?'),
        ({"batch": {"size": 1001}}, "/batch/size", "1 to 1,000 rows"),
        ({"batch": {"size": True}}, "/batch/size", "1 to 1,000 rows"),
        ({"batch": {"wait_seconds": -1}}, "/batch/wait_seconds", "0 to 3600"),
        ({"batch": {"enabled": 1}}, "/batch/enabled", "true or false"),
        ({"examples": {}}, "/examples", "a list"),
        ({"examples": [5]}, "/examples/0", "an object"),
        ({"examples": [{"name": "x", "event": {}}]}, "/examples/0", "says nothing"),
        ({"examples": [{"event": {}, "skipped": True}]}, "/examples/0/name", "missing"),
        ({"examples": [{"name": "x", "skipped": True}]}, "/examples/0/event", "missing"),
        ({"examples": [{"name": "x", "event": {}, "refused": "missing"}]}, "/examples/0/refused", "no reason"),
        ({"examples": [{"name": "x", "event": {}, "skipped": True, "payload": {}}]}, "/examples/0", "leaves nothing"),
        ({"examples": [{"name": "x", "event": {}, "requests": [{"path": "/"}]}]}, "/examples/0/requests/0/method", "missing"),
        ({"examples": [{"name": "x", "event": {}, "skiped": True, "payload": {}}]}, "/examples/0/skiped", 'did you mean "skipped"?'),
        ({"examples": [ENTRY["examples"][0]] * 2}, "/examples/1/name", "another example"),
    ],
)  # fmt: skip
def test_mistake_is_an_error_with_place_and_remedy(
    change: dict[str, Any], path: str, message: str
) -> None:
    """The mapping is left out, and the problem says file, mapping, place and what to do."""
    mappings, problems = read(
        {**entry(), **change} if None not in change.values() else entry(**change)
    )
    assert mappings == []
    errors = [problem for problem in problems if problem.severity == "error"]
    assert [problem.path for problem in errors] == [path]
    assert message in errors[0].message
    assert errors[0].file == "shop.json"
    assert errors[0].mapping.startswith("shop/")


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"trigger": 'type = "Track"'}, "/trigger", "matches no event"),
        ({"trigger": "event != null"}, "/trigger", 'the text "null"'),
        ({"action": "deleteProfile", "batch": {"size": 5}, "fields": {"email": "a@b.example"}}, "/batch", "no bulk endpoint"),
    ],
)  # fmt: skip
def test_doubtful_is_a_warning(change: dict[str, Any], path: str, message: str) -> None:
    """The mapping can be used all the same."""
    mappings, problems = read(entry(**change))
    assert len(mappings) == 1
    assert [(problem.severity, problem.path) for problem in problems] == [("warning", path)]
    assert message in problems[0].message


def test_every_problem_is_reported_at_once() -> None:
    """Of the file, of every mapping, and what is well is read."""
    mappings, problems = read(
        entry(),
        entry(name="second", action="nope", trigger="nope"),
        entry(name="orders", trigger='type = "page"'),
        "fourth",
        mapings=[],
    )
    assert [mapping.name for mapping in mappings] == ["shop/orders"]
    assert [(problem.mapping, problem.path) for problem in problems] == [
        ("", "/mapings"),
        ("shop/second", "/action"),
        ("shop/second", "/trigger"),
        ("shop/orders", "/name"),
        ("shop/3", "/"),
    ]


def test_same_events_to_the_same_action_are_warned_of() -> None:
    """However the trigger is written; a disabled one does not count."""
    twice = entry(name="again", trigger='event = "Order Completed" and (type = "track")')
    _, problems = read(entry(), twice)
    assert [said(problem) for problem in problems] == [
        'warning /trigger "orders" sends the same events to the same action: each will be sent twice'
    ]
    assert read(entry(), {**twice, "enabled": False})[1] == []


def test_fields_of_segments_framework_are_kept() -> None:
    """They are nobody's mistake; and a directive may make the whole payload."""
    extra = {
        "enable_batching": True,
        "batch_size": 10,
        "batch_keys": ["a"],
        "retlOnMappingSave": {},
    }
    internal = {"__segment_internal_sync_mode": "upsert"}
    (mapping,), problems = read(entry(fields={**ENTRY["fields"], **extra, **internal}))
    assert problems == []
    assert mapping.fields["batch_size"] == 10
    assert read(entry(fields={"@path": "$.properties"}))[1] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1, column 2"),
        ('{"name": "a", "name": "b", "mappings": []}', "stands twice"),
        ('{"name": "a", "mappings": [{"fields": {"x": 1, "x": 2}}]}', "stands twice"),
        ('{"name": NaN}', "NaN"),
        ('{"name": 1e999}', "too large"),
        ('{"name": "\\ud800"}', "UTF-8"),
        (b'{"name": "\xff"}', "UTF-8"),
        ("[]", "an object"),
        ("[" * 100_000, "nested too deep"),
        ('{"name": "a"}', "list of mappings"),
        ('{"mappings": []}', "is missing"),
    ],
)
def test_file_that_cannot_be_read_is_one_problem(text: str | bytes, message: str) -> None:
    """Nothing is read from it."""
    mappings, problems = read_mapping_file(text, "x.json", ACTIONS)
    assert mappings == []
    assert len(problems) == 1
    assert message in problems[0].message
    assert problems[0].file == "x.json"


def test_version_changes_with_what_is_delivered_only() -> None:
    """Not with descriptions, examples, the order of keys or defaults that are spelled out."""

    def version(**changes: Any) -> str:
        (mapping,), _ = read(entry(**changes))
        return str(mapping.version)

    same = {version(), version(description="other", examples=None)}
    same.add(version(fields=dict(reversed(ENTRY["fields"].items()))))
    assert len(same) == 1
    assert len(version()) == 12
    different = {
        version(fields={**ENTRY["fields"], "value": 1}),
        version(enabled=False),
        version(trigger='type = "track"'),
        version(batch={"size": 5}),
        *same,
    }
    assert len(different) == 5


def test_sub_fields_are_checked_like_fields() -> None:
    """Unknown and missing ones, unless the object may hold anything."""
    inner = (Field("id", required=True), Field("name"))
    fields = (Field("closed", "object", properties=inner), Field("open", "object", properties=inner, additional=True))  # fmt: skip
    action = Action(
        "do", "", "", "", fields, lambda payload, _now: payload, lambda _payload, _account: Delivered(),
        Batch(5, 5, 5, lambda _rows, _account: []),
    )  # fmt: skip
    tree = {
        "closed": {"nmae": {"@path": "a"}},
        "open": {"id": {"@path": "b"}, "more": {"@path": "c"}},
    }
    document = {"name": "f", "mappings": [entry(action="do", fields=tree, batch=None)]}
    _, problems = read_mapping_file(json.dumps(document), "f", {"do": action})
    assert [said(problem) for problem in problems] == [
        'error /fields/closed/nmae closed has no "nmae"; did you mean "name"?',
        "error /fields/closed/id closed requires id: map it",
    ]


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
_entries = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "b", ""]) | _json,
        "action": st.sampled_from(sorted(ACTIONS)) | _json,
        "trigger": st.sampled_from(['type = "track"', "x"]) | _json,
        "fields": _json,
        "enabled": st.booleans() | _json,
        "batch": st.fixed_dictionaries({}, optional={"size": _json, "enabled": _json, "wait_seconds": _json}) | _json,
        "examples": st.lists(st.fixed_dictionaries({}, optional={"name": _json, "event": _json, "requests": _json}), max_size=2) | _json,
    },
)  # fmt: skip


@given(st.fixed_dictionaries({}, optional={"name": _json, "mappings": st.lists(_entries | _json, max_size=3) | _json}) | _json)  # fmt: skip
def test_any_document_is_read_or_refused(document: Any) -> None:
    """Nothing is raised, and what is not read has an error."""
    mappings, problems = read_mapping_file(json.dumps(document), "x", ACTIONS)
    entries = document.get("mappings") if isinstance(document, dict) else None
    errors = [problem for problem in problems if problem.severity == "error"]
    assert errors or len(mappings) == len(entries or [])


@given(st.text(max_size=30) | st.binary(max_size=30))
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    """Nothing is raised."""
    assert read_mapping_file(text, "x", ACTIONS)[1]
