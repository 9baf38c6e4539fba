"""Not sending what was sent already, where a mapping asks for that."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.event import encode
from destination.klaviyo import KLAVIYO
from destination.mapping.file import Mapping, Problem, read_mapping_file
from destination.pipeline import unchanged

PERSON = {"email": "ana@acme.io", "first_name": "Ana", "properties": {"plan": "pro", "n": 1}}
rows = st.lists(st.tuples(st.sampled_from("pqr"), st.sampled_from(["A", "B", ""])), max_size=10)
last = st.dictionaries(st.sampled_from("pqr"), st.sampled_from("AB"), max_size=3)


def digest(**payload: Any) -> str:
    """The digest of a payload of upsertProfile."""
    action = KLAVIYO.actions["upsertProfile"]
    assert action.digest
    return action.digest({**PERSON, **payload})


def read(action: str, skip: Any) -> tuple[list[Mapping], list[Problem]]:
    """A mapping file with one mapping that says something of what is unchanged."""
    entry = {
        "name": "m",
        "action": action,
        "trigger": 'type = "identify"',
        "fields": {"email": "ana@acme.io", "list_id": "L"},
        "batch": {"skip_unchanged": skip},
    }
    text = encode({"name": "f", "mappings": [entry]})
    return read_mapping_file(text, "f.json", KLAVIYO.actions)


@given(rows, last)
def test_what_klaviyo_holds_in_the_end_is_what_all_rows_would_have_left(
    given_rows: list[tuple[str, str]], known: dict[str, str]
) -> None:
    """Sending only what is to be sent changes nothing about the end."""
    skipped = unchanged(given_rows, known)
    holds, would = dict(known), dict(known)
    for (person, said), skip in zip(given_rows, skipped, strict=True):
        would[person] = said
        if not skip:
            holds[person] = said
    assert holds == would
    assert not any(skip for (_, said), skip in zip(given_rows, skipped, strict=True) if not said)


def test_a_row_that_says_the_same_is_not_sent() -> None:
    """However often; once something else was sent everything is."""
    asked = [("p", "A"), ("q", "A"), ("p", "A"), ("p", "B"), ("p", "A")]
    assert unchanged(asked, {"p": "A"}) == [True, False, True, False, False]


def test_equal_payloads_have_equal_digests() -> None:
    """Whatever the order of their keys; any other value makes another one."""
    assert digest() == digest(properties={"n": 1, "plan": "pro"})
    others = [digest(first_name="Bo"), digest(title=None), digest(properties={"plan": "pro"})]
    assert len({digest(), *others}) == 4


@pytest.mark.parametrize(
    "payload",
    [
        {"list_id": "L"},
        {"override_list_id": "L"},
        {"list_name": "News"},
        {"append_properties": {"skus": "a"}},
        {"unappend_properties": {"skus": "a"}},
        {"unset_properties": ["a"]},
    ],
)
def test_what_does_something_is_always_sent(payload: dict[str, Any]) -> None:
    """The person may have left the list; to append twice is not to append once."""
    assert digest(**payload) == ""


@pytest.mark.parametrize("name", sorted(KLAVIYO.actions))
def test_only_what_can_be_skipped_may_be_asked_to(name: str) -> None:
    """An event that is left out is lost; a decision about consent may have been undone."""
    mappings, problems = read(name, skip=True)
    wrong = [each for each in problems if each.path == "/batch/skip_unchanged"]
    if name == "upsertProfile":
        assert not wrong
        assert mappings[0].batch.skip_unchanged
    else:
        assert [each.severity for each in wrong] == ["error"]


def test_nothing_is_skipped_unless_asked() -> None:
    """And the wish is true or false."""
    mappings, _ = read("upsertProfile", skip=False)
    assert not mappings[0].batch.skip_unchanged
    _, problems = read("upsertProfile", skip="yes")
    assert [each.path for each in problems] == ["/batch/skip_unchanged"]
