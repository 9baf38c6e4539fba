"""Budgets: hostile mappings and events end at a count, not at a clock or by luck."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest

from destination.errors import MappingError
from destination.mapping import check_mapping, compile_mapping

LONG = "x" * 1_000_000


def nested(depth: int, value: Any = 1, *, in_lists: bool = False) -> Any:
    """``value`` inside of ``depth`` objects or lists."""
    return reduce(lambda inner, _: [inner] if in_lists else {"a": inner}, range(depth), value)


def transforms(depth: int, apply: Any, mapping: Any) -> Any:
    """``apply`` done ``depth`` times before ``mapping``."""
    return reduce(
        lambda inner, _: {"@transform": {"apply": apply, "mapping": inner}}, range(depth), mapping
    )


WHOLE = {"@path": ""}
DOUBLED = {"a": WHOLE, "b": WHOLE}

EXPENSIVE = {
    "a large text inserted often": ({"@template": "{{a}}" * 1000}, {"a": LONG}),
    "a large list shown often": ({"@template": "{{a}}" * 1000}, {"a": list(range(10_000))}),
    "lists of lists": (
        {
            "@arrayPath": [
                {"@literal": list(range(4000))},
                {"x": {"@arrayPath": [{"@literal": list(range(4000))}, {"y": WHOLE}]}},
            ]
        },
        {},
    ),
    "many merges of many keys": (
        {"@merge": {"direction": "right", "objects": [{"@path": "a"}] * 2000}},
        {"a": {str(key): key for key in range(10_000)}},
    ),
    "a replacement that inserts all": (
        {"@replace": {"pattern": "x", "replacement": "$`$'$`$'", "value": {"@path": "a"}}},
        {"a": LONG},
    ),
    "replacements of replacements": (
        {
            "@replace": {
                "pattern": "x",
                "replacement": "1111111111",
                "pattern2": "1",
                "replacement2": "1111111111",
                "value": {"@path": "a"},
            }
        },
        {"a": LONG},
    ),
    "an object doubled again and again": (transforms(40, DOUBLED, WHOLE), {"x": 1}),
    "the same, as text": (
        transforms(40, DOUBLED, {"@json": {"mode": "encode", "value": WHOLE}}),
        {"x": 1},
    ),
    "a text doubled again and again": (
        transforms(40, {"s": {"@template": "{{s}}{{s}}"}}, {"@path": "s"}),
        {"s": "x" * 100},
    ),
    "long names for many leaves": (
        {"@flatten": {"value": WHOLE, "separator": "."}},
        {"k" * 10_000: {str(key): key for key in range(10_000)}},
    ),
    "a large value in many fields": (
        {f"f{number}": {"@path": "$.a"} for number in range(1000)},
        {"a": list(range(10_000))},
    ),
    "JSON that is read again and again": (
        {f"f{number}": {"@json": {"mode": "decode", "value": {"@path": "a"}}} for number in range(50)},
        {"a": "[" + "1," * 100_000 + "1]"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("mapping", "event"), EXPENSIVE.values(), ids=EXPENSIVE)
def test_too_much_work_is_refused(mapping: Any, event: dict[str, Any]) -> None:
    """With the place, and every time."""
    resolve = compile_mapping({"field": mapping})
    for _ in range(2):
        with pytest.raises(MappingError, match="too expensive"):
            resolve(event)


@pytest.mark.parametrize("in_lists", [True, False])
@pytest.mark.parametrize(
    "mapping",
    [
        {"@flatten": {"value": {"@path": "$.v"}, "separator": "."}},
        {"@json": {"mode": "encode", "value": {"@path": "$.v"}}},
        {"@template": "{{v}}"},
        {"@excludeWhenNull": {"@path": "$.v"}},
        {"@if": {"blank": {"@path": "$.v"}, "then": 1}},
        {"@liquid": "{{ v }}{{ v | json }}"},
        [{"@path": "$.v"}],
    ],
)
def test_deep_values_never_exhaust_the_stack(mapping: Any, in_lists: bool) -> None:
    """Either the directive does not walk into them, or it says that they are too deep."""
    event = {"v": nested(5000, None, in_lists=in_lists)}
    assert "nested deeper than" in complaint({"field": mapping}, event, "nested deeper than")


def complaint(mapping: Any, event: dict[str, Any], nothing: str) -> str:
    """What resolving fails with, ``nothing`` if it does not."""
    try:
        compile_mapping(mapping)(event)
    except MappingError as error:
        return error.message
    return nothing


def test_deep_json_text_is_refused() -> None:
    """A text of opening brackets."""
    resolve = compile_mapping({"a": {"@json": {"mode": "decode", "value": {"@path": "a"}}}})
    with pytest.raises(MappingError, match="nested too deep"):
        resolve({"a": "[" * 200_000})


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        (nested(1000), "deeper than 100 levels"),
        ({"a": [0] * 10_001}, "more than 10,000 values"),
        ({"a": "x" * 1_000_001}, "more than 1,000,000 characters"),
        ({"k" * 1_000_001: 1}, "more than 1,000,000 characters"),
    ],
)
def test_mapping_has_a_largest_size(mapping: Any, said: str) -> None:
    """Told by the check and the compiler alike."""
    assert said in check_mapping(mapping)[0].message
    with pytest.raises(MappingError, match=said):
        compile_mapping(mapping)


def test_deeply_nested_directives_are_checked_in_linear_time() -> None:
    """Each part is looked at once, although directives are checked as objects and as directives."""
    tree: Any = {"@path": "a"}
    for _ in range(40):
        tree = {"@if": {"exists": tree, "then": {"@path": "a"}}}
    assert compile_mapping({"v": tree})({"a": 1}) == {"v": 1}


def test_templates_are_read_in_one_pass() -> None:
    """A megabyte of braces is no more work than a megabyte of letters."""
    resolve = compile_mapping({"v": {"@template": {"@path": "t"}}})
    for text in ("{" * 1_000_000, "{{{a}" * 200_000, "}" * 1_000_000):
        assert resolve({"t": text})["v"]
