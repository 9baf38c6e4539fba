"""The mapping and the check of its fields as one function: the same as one after the other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from destination.errors import MappingError
from destination.fields import Field, PayloadError, compile_fields
from destination.mapping import check_mapping, compile_mapping
from destination.mapping.payload import compile_payload
from destination.registry import DESTINATIONS
from tests.unit.mapping.mapping_cases import same
from tests.unit.mapping.test_mapping_properties import events, mappings, values

TYPES = ["string", "text", "number", "integer", "boolean", "datetime", "object"]
NAMES = ["f", "g", "h"]

plain_fields = st.builds(
    Field,
    name=st.just(""),
    type=st.sampled_from(TYPES),
    required=st.booleans(),
    null=st.booleans(),
    multiple=st.booleans(),
)
narrow_fields = st.builds(
    Field, name=st.just(""), format=st.sampled_from(["", "email"]), maximum=st.sampled_from([0, 3])
)


def named(fields: st.SearchStrategy[Field]) -> st.SearchStrategy[tuple[Field, ...]]:
    """Fields of different names."""
    chosen = st.dictionaries(st.sampled_from(NAMES), fields, max_size=3)
    return chosen.map(
        lambda found: tuple(replace(field, name=name) for name, field in found.items())
    )


objects = st.builds(
    Field,
    name=st.just(""),
    type=st.just("object"),
    required=st.booleans(),
    additional=st.booleans(),
    properties=named(plain_fields | narrow_fields),
)
all_fields = named(plain_fields | narrow_fields | objects)
trees = st.dictionaries(
    st.sampled_from([*NAMES, "__segment_internal_directive"]),
    mappings | values | st.dictionaries(st.sampled_from(NAMES), mappings, max_size=3),
)


def outcome(make: Callable[[Any], Any], event: Any) -> Any:
    """The payload, or the text of the error."""
    try:
        return make(event)
    except (MappingError, PayloadError) as error:
        return [type(error).__name__, str(error)]


@settings(max_examples=500)
@given(trees, all_fields, events)
def test_one_function_gives_what_two_give(
    tree: Any, fields: tuple[Field, ...], event: dict[str, Any]
) -> None:
    """Payload, order of its members and errors, and the event stays as it was."""
    if check_mapping(tree):
        with pytest.raises(MappingError):
            compile_payload(tree, fields)
        return
    resolve, check = compile_mapping(tree), compile_fields(fields)
    before = copy.deepcopy(event)
    expected = outcome(lambda body: check(resolve(body) or {}), event)
    given = outcome(compile_payload(tree, fields), event)
    assert same(given, expected)
    if isinstance(expected, dict):
        assert list(given) == list(expected)
    assert event == before


def test_what_no_field_names_is_not_made_but_still_fails() -> None:
    """A directive that cannot be resolved fails for a member that would be dropped, too."""
    fields = (Field("f"),)
    assert compile_payload({"x": {"@path": "a"}, "f": "y"}, fields)({"a": 1}) == {"f": "y"}
    broken = {"x": {"@path": {"@path": "a"}}, "f": "y"}
    with pytest.raises(MappingError):
        compile_payload(broken, fields)({"a": 1})


def test_an_event_must_be_an_object() -> None:
    """Whatever the mapping."""
    with pytest.raises(MappingError, match="must be an object, not a list"):
        compile_payload({"f": "x"}, ())([])  # type: ignore[arg-type]  # on purpose


def test_all_breaches_are_told_in_the_order_of_the_mapping() -> None:
    """Those inside of an object by their path."""
    fields = DESTINATIONS["klaviyo"].actions["trackEvent"].fields
    tree = {
        "time": {"@path": "when"},
        "profile": {"email": {"@path": "mail"}, "phone_number": "+14155552671"},
        "value": {"@path": "value"},
    }
    with pytest.raises(PayloadError) as error:
        compile_payload(tree, fields)({"when": "never", "mail": "no", "value": "much"})
    paths = [problem.path for problem in error.value.problems]
    assert paths == ["time", "profile.email", "value", "metric_name", "properties"]
