"""Directives: what their records say is what they do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from destination.errors import MappingError
from destination.mapping import MISSING, certain_failures, check_mapping, compile_mapping
from destination.mapping.directive import Example
from destination.mapping.directives import DIRECTIVES
from destination.mapping.reference import directive_reference
from tests.unit.mapping.mapping_cases import same

EXAMPLES = [
    pytest.param(example, id=f"{directive.name} {number}")
    for directive in DIRECTIVES.values()
    for number, example in enumerate(directive.examples, 1)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_gives_what_it_says(example: Example) -> None:
    """Every example of every record runs."""
    assert same(compile_mapping(example.mapping)(example.event), example.result)


def test_documentation_is_in_step_with_the_records() -> None:
    """The reference in the documentation is what the records make."""
    document = (Path(__file__).parents[3] / "docs" / "mapping.md").read_text()
    assert directive_reference() in document, (
        "put what destination.mapping.reference.directive_reference() gives into docs/mapping.md"
    )


@pytest.mark.parametrize(
    ("mapping", "event", "result"),
    [
        # A missing member takes an earlier one away, also through directives in between.
        ({"@merge": {"direction": "right", "objects": [{"a": 1}, {"@literal": {"a": {"@path": "x"}}}]}}, {}, {}),
        (
            {
                "@merge": {
                    "direction": "right",
                    "objects": [{"a": 1, "b": 2}, {"@excludeWhenNull": {"@path": "o"}}],
                }
            },
            {"o": {"a": None}},
            {"b": 2},
        ),
        # A missing item of a list is missing to who looks at it, and null in the result.
        (
            {
                "@transform": {
                    "apply": {"l": {"@arrayPath": ["$.p", {"@path": "$.s"}]}},
                    "mapping": {"first": {"@path": "$.l[0]"}, "all": {"@path": "$.l"}},
                }
            },
            {"p": [{}, {"s": 1}]},
            {"all": [None, 1]},
        ),
        (
            {
                "@flatten": {
                    "value": {"@arrayPath": ["$.p", {"@path": "$.s"}]},
                    "separator": ".",
                }
            },
            {"p": [{"s": 1}, {}, {"s": 3}]},
            {"0": 1, "2": 3},
        ),
        ({"a": [{"@case": {"operator": "lower"}}, 1]}, {}, {"a": [None, 1]}),
        (
            {
                "@transform": {
                    "apply": {"@path": "none"},
                    "mapping": {
                        "@transform": {"apply": {"a": 1}, "mapping": {"b": {"@path": "a"}}}
                    },
                }
            },
            {},
            {"b": 1},
        ),
        (
            {"@merge": {"direction": "right", "objects": [{"@path": "s"}]}},
            {"s": "😀x"},
            {"0": "😀", "2": "x"},
        ),
        (
            {
                "@json": {
                    "mode": "encode",
                    "value": {"@flatten": {"value": {"@path": ""}, "separator": "_"}},
                }
            },
            {"b": 1, "0": [True]},
            '{"0_0":true,"b":1}',
        ),
        *(
            (
                {"@merge": {"direction": "right", "objects": [{"a": 1, "b": 2}, made]}},
                {},
                {"b": 2},
            )
            for gone in [{"a": {"@path": "x"}}]
            for made in (
                gone,
                {"@literal": gone},
                {"@case": {"operator": "upper", "value": {"@literal": gone}}},
                {"@flatten": {"value": gone, "separator": "."}},
                {"@json": {"mode": "decode", "value": gone}},
                {"@arrayPath": [{"@literal": gone}]},
                {"@transform": {"apply": {}, "mapping": gone}},
                {"@merge": {"direction": "left", "objects": [gone]}},
            )
        ),
        ({"@case": {"operator": "upper", "value": {"@path": "$.a"}}}, {"a": "ß"}, "SS"),
        ({"@path": "$.a[0]"}, {"a": "😀"}, MISSING),
        ({"@path": "$.a.length"}, {"a": "😀b"}, 3),
        ({"@template": "{{id}}"}, {"id": 9007199254740993}, "9007199254740993"),
        ({"@json": {"mode": "decode", "value": {"@path": "a"}}}, {"a": "1e999"}, "1e999"),
        ({"@json": {"mode": "decode", "value": {"@path": "a"}}}, {"a": '"\\ud800"'}, '"\\ud800"'),
        ({"@json": {"mode": "ENCODE", "value": {"@path": "a"}}}, {"a": True}, "true"),
        ({"@json": {"mode": "encode", "value": {"@path": "a"}}}, {"a": {"b": 1, "2": 2, "10": 3}}, '{"2":2,"10":3,"b":1}'),
    ],
)  # fmt: skip
def test_mapping_gives(mapping: Any, event: dict[str, Any], result: Any) -> None:
    """Corners that no recorded case covers."""
    assert same(compile_mapping(mapping)(event), result)


@pytest.mark.parametrize(
    ("mapping", "path"),
    [
        ({"a": [{"@nope": 1}]}, "/a/0"),
        ({"a": {"@if": {"then": 1}}}, "/a/@if"),
        ({"a": {"@case": {"value": "x"}}}, "/a/@case"),
        ({"a": {"@merge": {"objects": []}}}, "/a/@merge"),
        ({"a": {"@flatten": {"value": 1, "separator": ""}}}, "/a/@flatten"),
        ({"a": {"@liquid": "{% for x in y %}{% endfor %}"}}, "/a/@liquid"),
        ({"a": {"@liquid": "{{ list | sort }}"}}, "/a/@liquid"),
        ({"a": {"@liquid": "x" * 1001}}, "/a/@liquid"),
        (
            {"a": [{"@transform": {"apply": {"b": {"@path": 5}}, "mapping": {"c": 1}}}]},
            "/a/0/@transform",
        ),
        ({"a": [{"@merge": {"direction": "up", "objects": []}}]}, "/a/0/@merge"),
        ({"__segment_internal_directive": "x"}, "/__segment_internal_directive"),
        (
            {"__segment_internal_directive": {"@literal": {"@path": "a"}}},
            "/__segment_internal_directive",
        ),
        ([1], "/"),
    ],
)
def test_what_always_fails_is_known_before_any_event(mapping: Any, path: str) -> None:
    """Segment's check passes these; resolving fails at the place that is told beforehand."""
    assert check_mapping(mapping) == []
    assert [problem.path for problem in certain_failures(mapping)] == [path]
    with pytest.raises(MappingError):
        compile_mapping(mapping)({})


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"@nope": 1}, "there is no directive @nope"),
        ({"@path": "a", "other": 1}, "remove 'other'"),
        ({"@path": "a", "@template": "b"}, "one directive"),
        ({"a": {"@path": 5}}, "should be a text or a directive but is a number: 5"),
        ({"a": {"@replace": {"pattern": "x" * 11, "value": "y"}}}, "1 to 10 characters"),
        ({"a": float}, "JSON"),
        ({1: "a"}, "JSON"),
    ],
)
def test_problem_says_what_is_wrong(mapping: Any, said: str) -> None:
    """With the value seen or the remedy."""
    (problem,) = check_mapping(mapping)
    assert said in problem.message
    with pytest.raises(MappingError) as refused:
        compile_mapping(mapping)
    assert refused.value.message == problem.message


def test_what_is_run_is_named_in_the_error() -> None:
    """The place in the mapping, and the kind of value that was found there."""
    resolve = compile_mapping({"a": {"b": {"@path": {"@path": "$.which"}}}})
    with pytest.raises(
        MappingError, match=r"/a/b/@path: the path should be a text but is a number"
    ):
        resolve({"which": 5})


def test_event_must_be_an_object() -> None:
    """Anything else is refused in both forms of the function."""
    for mapping in ({"a": {"@path": "b"}}, {"a": {"@template": "b"}}):
        with pytest.raises(MappingError, match="an event must be an object, not a list"):
            compile_mapping(mapping)(cast("Any", []))


def test_result_shares_the_event_and_leaves_it_alone() -> None:
    """Objects are passed on, not copied."""
    event = {"properties": {"a": [1]}}
    result = compile_mapping({"properties": {"@path": "$.properties"}})(event)
    assert result["properties"] is event["properties"]


def test_mapping_may_be_changed_after_it_was_compiled() -> None:
    """Constants are copied when the mapping is compiled."""
    mapping: dict[str, Any] = {"keys": ["a"], "o": {"x": [{"y": 1}]}}
    resolve = compile_mapping(mapping)
    mapping["keys"].append("b")
    mapping["o"]["x"][0]["y"] = 2
    assert resolve({}) == {"keys": ["a"], "o": {"x": [{"y": 1}]}}


def test_liquid_names_the_package_that_it_needs() -> None:
    """Without python-liquid the check and the compiler say how to get it; all else works."""
    script = (
        "import sys; sys.modules['liquid'] = None\n"
        "from destination.mapping import check_mapping, compile_mapping\n"
        "assert compile_mapping({'a': {'@path': 'b'}})({'b': 1}) == {'a': 1}\n"
        "print(check_mapping({'a': {'@liquid': 'x'}})[0])\n"
        "try: compile_mapping({'a': {'@liquid': 'x'}})\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert "pip install 'destination[liquid]'" in first
    assert second.startswith("MappingError /a/@liquid: ")
