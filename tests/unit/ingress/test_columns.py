"""Column mappings: conversions, places, and what is refused with the place of the mistake."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.errors import MappingError
from destination.ingress.columns import AS_THEY_ARE, read_columns
from destination.ingress.conversions import (
    ABSENT,
    CONVERSIONS,
    Conversion,
    Example,
    compile_conversion,
)
from destination.ingress.normalise import Malformed

EXAMPLES = [
    (conversion, example) for conversion in CONVERSIONS.values() for example in conversion.examples
]


@pytest.mark.parametrize(
    ("conversion", "example"),
    EXAMPLES,
    ids=lambda each: each.call if isinstance(each, Example) else each.name,
)
def test_an_example_holds(conversion: Conversion, example: Example) -> None:
    """And it is about the conversion that shows it."""
    assert conversion.name in example.call
    found = compile_conversion(example.call, "")(example.given)
    assert found == example.gives
    assert type(found) is type(example.gives)


def test_every_conversion_has_an_example_and_says_what_its_argument_is() -> None:
    """Those whose examples have brackets explain them."""
    for conversion in CONVERSIONS.values():
        assert conversion.examples
        bracketed = any(f"{conversion.name}(" in each.call for each in conversion.examples)
        assert bracketed <= bool(conversion.argument)


@pytest.mark.parametrize(
    ("call", "value", "words"),
    [
        ("to_integer", "12.5", "whole number"),
        ("to_integer", "1e3", "whole number"),
        ("to_integer", "9" * 40, "whole number"),
        ("to_number", "1,5", "to_number(,)"),
        ("to_number", "nan", "not a number"),
        ("to_number(,)", "1.5", "to_number(.)"),
        ("to_boolean", "maybe", "neither true nor false"),
        ("to_iso(%d.%m.%Y)", "2026-01-31", "%d.%m.%Y"),
        ("to_iso", "next week", "not a time"),
        ("to_iso", True, "not a time"),
        ("to_iso", 1e300, "not a time"),
        ("to_e164", "030 901820", "to_e164(US)"),
        ("to_e164(DE)", "12", "phone number"),
        ("json", "{'a': 1}", "not JSON"),
        ("json", '{"a": NaN}', "not JSON"),
    ],
)
def test_a_value_that_does_not_convert_says_why(call: str, value: Any, words: str) -> None:
    """With the conversion's name and the value seen."""
    with pytest.raises(ValueError) as failed:
        compile_conversion(call, "")(value)
    assert words in str(failed.value)
    assert str(failed.value).startswith(call.partition("(")[0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("to_int", "did you mean to_integer"),
        ("trim(x)", "takes no argument"),
        ("to_e164(USA)", "two letters"),
        ("to_iso(%Q)", "bad directive"),
        ("to_iso(dd.mm)", "day, month and year"),
        ("to_number(;)", "decimal mark"),
        ("default", "default(US)"),
        ("trim lower", "cannot be read"),
        ("split(", "cannot be read"),
    ],
)
def test_a_conversion_that_cannot_be_used_is_refused_at_its_place(call: str, words: str) -> None:
    """Before any row is read."""
    with pytest.raises(MappingError) as failed:
        read_columns(mapping(("a", "b", call)))
    assert failed.value.path == "mapped_fields[0].convert_function"
    assert words in failed.value.message


@given(
    st.sampled_from(sorted(CONVERSIONS)), st.text() | st.none() | st.floats() | st.lists(st.text())
)
def test_no_value_breaks_a_conversion(name: str, value: Any) -> None:
    """It converts or raises ``ValueError``, and what it gives is JSON."""
    call = "default(x)" if name == "default" else name
    try:
        found = compile_conversion(call, "")(value)
    except ValueError:
        return
    if found is not ABSENT and found is not value:
        json.dumps(found, allow_nan=False)


def mapping(*fields: tuple[str, ...], **about: Any) -> dict[str, Any]:
    """A document with these fields: origin, destination, conversion."""
    names = ("origin_field", "destination_field", "convert_function")
    listed = [dict(zip(names, each, strict=False)) for each in fields]
    return {"mapped_fields": listed, **about}


def test_columns_become_the_fields_named() -> None:
    """Columns that are not named are not sent, empty cells are absent, dots make objects."""
    columns = read_columns(
        mapping(
            ("E-Mail", "email", "trim | lower"),
            ("City", "location.city"),
            ("Country", "location.country", "default(US)"),
            ("Age", "age", "to_integer"),
            ("Note", "note", "or_null"),
        )
    )
    row = columns.row(
        {"E-Mail": " Ann@Acme.io", "City": "Bonn", "Age": "", "Note": "", "Secret": "x"}
    )
    assert row == {
        "email": "ann@acme.io",
        "location": {"city": "Bonn", "country": "US"},
        "note": None,
    }


def test_origins_of_json_rows_may_be_paths() -> None:
    """A column whose name holds the dot goes first."""
    columns = read_columns(mapping(("user.email", "email"), ("user.plan.name", "plan")))
    assert columns.row({"user": {"email": "a@b.io", "plan": {"name": "pro"}}}) == {
        "email": "a@b.io",
        "plan": "pro",
    }
    assert columns.row({"user.email": "c@d.io", "user": {"email": "a@b.io"}}) == {"email": "c@d.io"}


def test_without_a_mapping_every_filled_cell_is_sent() -> None:
    """As text, under its own name."""
    assert AS_THEY_ARE.row({"email": "a@b.io", "plan": "", "age": "7"}) == {
        "email": "a@b.io",
        "age": "7",
    }


def test_a_row_that_fails_names_column_and_value() -> None:
    """So that a person can find it."""
    columns = read_columns(mapping(("Age", "age", "to_integer")))
    with pytest.raises(Malformed) as failed:
        columns.row({"Age": "old"})
    assert (failed.value.code, failed.value.message) == (
        "conversion_failed",
        "column 'Age': to_integer: \"old\" is not a whole number",
    )
    with pytest.raises(Malformed) as empty:
        columns.row({"Age": ""})
    assert empty.value.code == "row_empty"


def test_a_column_that_the_file_has_not_is_a_mistake() -> None:
    """With the name that was probably meant."""
    columns = read_columns(mapping(("Emial", "email")))
    with pytest.raises(MappingError, match="Did you mean 'Email'"):
        columns.check_header(["Email", "Name"])


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ([], ""),
        ({"mapped_field": []}, "mapped_field"),
        ({"mapped_fields": {}}, "mapped_fields"),
        ({"mapped_fields": ["a"]}, "mapped_fields[0]"),
        (mapping(("a",)), "mapped_fields[0].destination_field"),
        (mapping(("", "b")), "mapped_fields[0].origin_field"),
        (mapping(("a", "b..c")), "mapped_fields[0].destination_field"),
        (mapping(("a", "x"), ("b", "x")), "mapped_fields[1].destination_field"),
        (mapping(("a", "x"), ("b", "x.y")), "mapped_fields[1].destination_field"),
        ({"mapped_fields": [{"origin": "a"}]}, "mapped_fields[0].origin"),
        ({"chunk_size": 0.5}, "chunk_size"),
        ({"chunk_size": 10_001}, "chunk_size"),
        ({"chunk_waiting_time": 1000}, "chunk_waiting_time"),
        ({"object": 5}, "object"),
    ],
)
def test_a_document_that_cannot_be_used_is_refused_at_its_place(document: Any, path: str) -> None:
    """Misspelt members too: in silence they would do nothing."""
    with pytest.raises(MappingError) as failed:
        read_columns(document)
    assert failed.value.path == path


def test_what_a_mapping_says_about_the_whole_load() -> None:
    """Object, operation, key, chunks and the pause between them."""
    columns = read_columns(
        mapping(
            ("a", "b"),
            object="list/XyZ123",
            operation="removed",
            key="b",
            chunk_size=50,
            chunk_waiting_time=1,
        )
    )
    assert (columns.object, columns.operation, columns.key) == ("list/XyZ123", "removed", "b")
    assert (columns.chunk_size, columns.chunk_waiting_time) == (50, 1.0)
