"""What holds for every mapping and every event."""

from __future__ import annotations

import copy
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from destination.errors import MappingError
from destination.event import encode
from destination.mapping import MISSING, check_mapping, compile_mapping
from destination.mapping.directives import DIRECTIVES
from destination.mapping.path import split_name
from destination.mapping.template import parts_of
from tests.unit.mapping.mapping_cases import same

KEYS = ["a", "b", "0", "1", "length", ""]
PATHS = ["$.a", "a.b", "$.a[0]", "b.1", "a.b.0", "", ".", "$", "a.length", "x", "a['b']"]
TEXTS = ["", "x", "a", "{{a}}", "{{{b}}} {{a.b}}", "12", "Äß", "😀", "$&", '{"a":[1]}', "a-b"]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**17),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(TEXTS),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
events = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)


def option(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object of options, in which any may be absent."""
    return st.fixed_dictionaries({}, optional=members)


def directives(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Directives with options that are mostly right."""
    flags, texts = st.booleans(), st.sampled_from(TEXTS)
    options = {
        "@path": st.sampled_from(PATHS) | inner,
        "@template": texts | inner,
        "@literal": inner,
        "@if": option(exists=inner, blank=inner, then=inner, **{"else": inner}),
        "@case": option(operator=st.sampled_from(["lower", "upper", "x"]), value=inner),
        "@replace": option(
            pattern=texts, replacement=texts, value=inner, ignorecase=flags, pattern2=texts
        ),
        "@arrayPath": st.lists(st.sampled_from(PATHS) | inner, max_size=2),
        "@flatten": option(value=inner, separator=texts, omitArrays=flags),
        "@json": option(mode=st.sampled_from(["encode", "decode", "Encode"]), value=inner),
        "@merge": option(
            direction=st.sampled_from(["left", "right", "LEFT"]),
            objects=st.lists(inner, max_size=3),
        ),
        "@transform": option(apply=inner, mapping=inner),
        "@excludeWhenNull": inner,
        "@liquid": st.sampled_from(["{{ a }}", "{{ b | json }}", "{% if a %}x{% endif %}", "{{"]),
        "@nope": inner,
    }
    assert options.keys() >= DIRECTIVES.keys()
    return st.one_of(
        *(
            st.builds(lambda option, name=name: {name: option}, made)
            for name, made in options.items()
        )
    )


mappings = st.recursive(
    scalars | st.builds(lambda path: {"@path": path}, st.sampled_from(PATHS)),
    lambda inner: st.one_of(
        directives(inner),
        directives(inner),
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([*KEYS, "@path", "_metadata"]), inner, max_size=3),
    ),
    max_leaves=10,
)
roots = st.dictionaries(st.sampled_from(["f", "g", "__segment_internal_directive"]), mappings)


def outcome(mapping: Any, event: Any) -> Any:
    """The value, or the text of the error."""
    try:
        return compile_mapping(mapping)(event)
    except MappingError as error:
        return str(error)


@settings(max_examples=400, deadline=None)
@given(roots, events)
def test_resolve_gives_a_value_or_a_mapping_error(mapping: Any, event: dict[str, Any]) -> None:
    """Nothing else is raised, nothing is changed, and what comes out can be written as JSON."""
    before = copy.deepcopy((mapping, event))
    result = outcome(mapping, event)
    assert same([mapping, event], list(before))
    assert result is MISSING or encode(result)


@settings(max_examples=300, deadline=None)
@given(roots | mappings)
def test_check_accepts_what_the_compiler_accepts(mapping: Any) -> None:
    """No more and no less."""
    try:
        compile_mapping(mapping)
        compiled = True
    except MappingError:
        compiled = False
    assert (check_mapping(mapping) == []) is compiled


@settings(max_examples=150, deadline=None)
@given(roots, st.lists(events, min_size=2, max_size=4))
def test_compiling_once_is_compiling_each_time(mapping: Any, several: list[dict[str, Any]]) -> None:
    """No event leaves anything behind for the next."""
    if check_mapping(mapping):
        return
    resolve = compile_mapping(mapping)
    for event in [*several, *several]:
        try:
            result = resolve(event)
        except MappingError as error:
            result = str(error)
        assert same(result, outcome(mapping, event))


@given(st.text(st.sampled_from("{}ab. "), max_size=40))
def test_placeholders_are_those_of_the_pattern(template: str) -> None:
    """The one-pass search finds what the patterns of the format find."""
    parts: list[Any] = []
    for piece in re.split(r"(\{\{\{[^}]+\}\}\})", template):
        if re.fullmatch(r"\{\{\{[^}]+\}\}\}", piece):
            parts.append(split_name(piece[3:-3].strip()))
            continue
        for text in re.split(r"(\{\{[^}]+\}\})", piece):
            is_name = re.fullmatch(r"\{\{[^}]+\}\}", text)
            parts.append(split_name(text[2:-2].strip()) if is_name else text)
    assert parts_of(template) == tuple(part for part in parts if part != "")
