"""Payload fields: cleaning, conversion and checks."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.errors import DestinationError
from destination.fields import Field, PayloadError, compile_fields

SEGMENTS_WORDS = {"choice": "enum"}
HOSTILE = 200_000


def fields_of(form: dict[str, dict[str, Any]]) -> tuple[Field, ...]:
    """Field records from Segment's form of them."""
    return tuple(field_of(name, entry) for name, entry in form.items())


def field_of(name: str, entry: dict[str, Any]) -> Field:
    """One field record from Segment's form.

    What Segment's own translation to a schema loses is left out: the format of a text or password,
    bounds of other types than string and number, format and bounds of a list's items, null for a
    list or an object with sub-fields.
    """
    choices = [c["value"] if isinstance(c, dict) else c for c in entry.get("choices", ())]
    kind, multiple = entry["type"], entry.get("multiple", False)
    bounded = kind in {"string", "number"} and not multiple
    formatted = kind not in {"text", "password"} and not multiple
    properties = fields_of(entry.get("properties") or {})
    return Field(
        name=name,
        type=kind,
        description=entry.get("description", ""),
        required=entry.get("required") is True,
        format=entry.get("format", "") if formatted else "",
        minimum=entry.get("minimum") if bounded else None,
        maximum=entry.get("maximum") if bounded else None,
        choices=tuple(choices),
        multiple=multiple,
        properties=properties,
        additional=entry.get("additionalProperties", False),
        null=entry.get("allowNull", False) and not multiple and not properties,
    )


def pointer(path: str) -> str:
    """A path of ours as JSON pointer."""
    return "/" + path.replace("[", "/").replace("]", "").replace(".", "/")


def typed(value: Any) -> Any:
    """A JSON value in which ``true`` differs from 1, and 1 does not differ from 1.0. Numbers are
    compared as what was recorded, doubles.
    """
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, bool):
        return ("boolean", value)
    return float(value) if isinstance(value, int) else value


def faults(check: Any, payload: Any) -> dict[str, str]:
    """The kind of each problem that a payload has, by path."""
    with pytest.raises(PayloadError) as caught:
        check(payload)
    return {problem.path: problem.kind for problem in caught.value.problems}


def compare(case: dict[str, Any]) -> str:
    """What is wrong with the answer to a recorded case, empty when nothing is."""
    check = compile_fields(fields_of(case["fields"]), batch=case["mode"] == "batch")
    wanted = {(error["pointer"], error["kind"]) for error in case.get("errors", ())}
    try:
        result = check(case["payload"])
    except PayloadError as error:
        got = {(pointer(p.path), SEGMENTS_WORDS.get(p.kind, p.kind)) for p in error.problems}
        # A value of a wrong type is reported once, at Segment also as not among the choices.
        agree = got <= wanted and {at for at, _ in got} == {at for at, _ in wanted}
        return "" if agree else f"{case['id']}: {got} instead of {wanted or case['result']}"
    agree = not wanted and typed(result) == typed(case["result"])
    return "" if agree else f"{case['id']}: {result} instead of {wanted or case['result']}"


def test_every_recorded_case_gives_the_recorded_payload_or_errors(vectors: Path) -> None:
    """Segment's own answers, recorded, are ours as well."""
    cases = json.loads((vectors / "field-validation.json").read_text())
    wrong = [compare(case) for case in cases if "js-quirk" not in case.get("tags", ())]
    assert wrong
    assert not any(wrong), "\n".join(filter(None, wrong))


PERSON = Field(
    "profile",
    "object",
    required=True,
    properties=(
        Field("email", format="email", required=True),
        Field("age", "integer", minimum=18, maximum=120),
    ),
)
ORDER = (
    PERSON,
    Field("metric_name", required=True),
    Field("time", "datetime"),
    Field("country", choices=("US", "GB")),
    Field("products", "object", multiple=True, properties=(Field("price", "number"),)),
)


def test_all_problems_are_reported_with_their_places() -> None:
    """One look shows everything that has to be corrected."""
    payload = {
        "profile": {"email": "a@b", "age": 7},
        "time": "soon",
        "country": "us",
        "products": [{"price": 1}, {"price": "x"}, "y"],
    }
    assert faults(compile_fields(ORDER), payload) == {
        "profile.email": "format",
        "profile.age": "range",
        "metric_name": "required",
        "time": "format",
        "country": "choice",
        "products[1].price": "type",
        "products[2]": "type",
    }


def test_messages_say_what_was_seen_and_what_is_wanted() -> None:
    """A person can act on the text alone, however long the value was."""
    check = compile_fields((Field("email", format="email"), Field("note", maximum=3)))
    with pytest.raises(PayloadError) as caught:
        check({"email": "x" * 500, "note": "four"})
    assert "email: 'xxxx" in str(caught.value)
    assert "is not an e-mail address such as ana@acme.io" in str(caught.value)
    assert "note: 'four' has 4 characters; allowed are at most 3" in str(caught.value)
    assert len(str(caught.value)) < 300
    assert isinstance(caught.value, DestinationError)


def test_many_problems_make_a_short_message_but_are_all_there() -> None:
    """A list of thousands of bad items cannot flood a log."""
    check = compile_fields((Field("n", "number", multiple=True),))
    with pytest.raises(PayloadError, match="and 995 more") as caught:
        check({"n": ["x"] * 1000})
    assert len(caught.value.problems) == 1000
    assert caught.value.problems[-1].path == "n[999]"


@pytest.mark.parametrize("payload", [None, [], "text", 5, [{"profile": {}}]])
def test_a_payload_that_is_no_object_is_refused(payload: Any) -> None:
    """A mapping may resolve to anything."""
    assert faults(compile_fields(ORDER), payload) == {"": "type"}


def test_an_empty_text_goes_when_single_and_stays_in_a_batch() -> None:
    """Segment's two ways, chosen by the caller."""
    fields = (Field("name"), Field("place", "object", properties=(Field("city"),)))
    payload = {"name": "", "place": {"city": ""}}
    assert compile_fields(fields)(payload) == {"place": {"city": ""}}
    assert compile_fields(fields, batch=True)(payload) == payload


def test_empty_sub_fields_go_inside_a_list_as_well() -> None:
    """Segment forgets these and sends "" or 0 for null."""
    items = Field("items", "object", multiple=True, properties=(Field("sku"), Field("n", "number")))
    assert compile_fields((items,))({"items": [{"sku": None, "n": ""}]}) == {"items": [{}]}


def test_numbers_that_json_cannot_hold_are_refused() -> None:
    """JavaScript reads these as infinity and sends null."""
    check = compile_fields((Field("a", "number"), Field("b", "integer"), Field("c")))
    payload = {"a": "1e999", "b": float("inf"), "c": float("nan")}
    assert faults(check, payload) == {"a": "type", "b": "type", "c": "type"}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e21, "1e+21"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e-7, "1e-7"),
        (0.000001, "0.000001"),
        (2.0, "2"),
        (-0.0, "0"),
        (10**15, "1000000000000000"),
        (10**22, "1e+22"),
    ],
)
def test_a_number_becomes_the_text_that_javascript_writes(number: float, text: str) -> None:
    """Ids that arrive as numbers look the same as at Segment."""
    assert compile_fields((Field("id"),))({"id": number}) == {"id": text}


@pytest.mark.parametrize(
    "field", [Field("a", "float"), Field("a", format="phone"), Field("a", "list", multiple=True)]
)
def test_a_field_of_unknown_type_or_format_is_refused_when_compiling(field: Field) -> None:
    """A mistake in an action shows at once and not at the first event."""
    with pytest.raises(ValueError, match="unknown"):
        compile_fields((field,))


@pytest.mark.parametrize(
    "field",
    [
        Field("f", format="email"),
        Field("f", format="uri"),
        Field("f", "datetime"),
        Field("f", "number"),
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "a." * HOSTILE,
        "a@" + "a." * HOSTILE,
        "a@" + "a-" * HOSTILE,
        "a@" + "-" * HOSTILE,
        "a@" + "a" * HOSTILE + "!",
        "h://" + "a:" * HOSTILE + " ",
        "h:" + "/" * HOSTILE + " ",
        "h://[" + ":" * HOSTILE,
        "2024" + " " * HOSTILE + "x",
        "(" * HOSTILE,
        "1" * HOSTILE + "x",
        " " * HOSTILE + "x",
        "0x" + "f" * HOSTILE + "g",
    ],
)
def test_hostile_texts_cost_no_more_than_their_length(field: Field, text: str) -> None:
    """Patterns that backtrack would need hours for these."""
    assert set(faults(compile_fields((field,)), {"f": text})) == {"f"}


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["", " 5 ", "0x10", "true", "a@b.co", "2024-04-05", "US", "April 5, 2024"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)
    ),
    max_leaves=12,
)


payloads = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


def trees(depth: int = 2) -> st.SearchStrategy[tuple[Field, ...]]:
    """Any fields, nested ones included."""
    inner = trees(depth - 1) if depth else st.just(())
    bound = st.sampled_from((None, None, 0, 2, 5))

    def build(
        name: str, kind: str, form: str, inside: tuple[Field, ...], low: Any, high: Any, flags: Any
    ) -> Field:
        required, many, null, additional, chosen = flags
        return Field(
            name,
            kind,
            required=required,
            format=form if kind == "string" else "",
            minimum=low,
            maximum=high,
            choices=("US", "5") if chosen else (),
            multiple=many,
            properties=inside if kind == "object" else (),
            additional=additional,
            null=null,
        )

    kinds = ["string", "text", "number", "integer", "boolean", "datetime", "object", "object"]
    some = st.builds(
        build,
        st.sampled_from("abcd"),
        st.sampled_from(kinds),
        st.sampled_from(("", "", "email", "uri")),
        inner,
        bound,
        bound,
        st.tuples(*[st.sampled_from((False, False, True))] * 5),
    )
    return st.lists(some, max_size=4, unique_by=lambda field: field.name).map(tuple)


def accepted(check: Callable[[Any], dict[str, Any]], payload: Any) -> dict[str, Any] | None:
    """What a payload becomes, None when it is refused."""
    with suppress(PayloadError):
        return check(payload)
    return None


@given(trees(), payloads, st.booleans())
def test_any_payload_is_left_as_it_was_and_checked_for_good(
    fields: tuple[Field, ...], payload: dict[str, Any], batch: bool
) -> None:
    """The input stays; the only error is ``PayloadError``; what passed passes again unchanged."""
    check = compile_fields(fields, batch=batch)
    before = repr(payload)
    once = accepted(check, payload)
    assert repr(payload) == before
    # ``[""]`` becomes "", and a single payload loses "" only where it comes in.
    if once is None or (not batch and "" in once.values()):
        return
    assert typed(check(once)) == typed(once)
    assert set(once) <= {field.name for field in fields}
