"""Rows of reverse-ETL tools as events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.errors import Rejected
from destination.event import decode, encode
from destination.ingress.encoding import read_loose_json
from destination.ingress.format import Inbound, Limits, Parsed
from destination.ingress.rows import answer_rows, is_strict, parse_rows
from tests.unit.ingress.captures import RECEIVED, outcome

ROW = {"email": "a@b.c", "plan": "Pro"}


def of(
    document: Any,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    later: float = 0,
) -> Inbound:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    received = RECEIVED + timedelta(seconds=later)
    return Inbound("rows", body, received, headers or {}, query or {})


def read(document: Any, target: str = "profile", **about: Any) -> Parsed:
    return parse_rows(of(document, **about), target)


def words(found: Parsed) -> list[str]:
    return [event.body["event"] for event in found.events]


def test_a_row_is_the_event_of_segments_reverse_etl() -> None:
    """So that one mapping serves both."""
    [event] = read(
        [ROW],
        "list/XyZ123",
        headers={"user-agent": "Hightouch/1.2 (x)", "x-operation": "added"},
        query={"key": "email"},
    ).events
    assert event.type == "track"
    assert {name: event.body[name] for name in ("event", "properties", "__segment_id")} == {
        "event": "new",
        "properties": ROW,
        "__segment_id": "a@b.c",
    }
    assert event.body["context"]["source"] == {
        "object": "list",
        "id": "XyZ123",
        "tool": "hightouch",
        "operation": "added",
    }
    assert event.body["timestamp"] == event.body["receivedAt"] == "2026-11-22T11:00:00.250Z"


@pytest.mark.parametrize(
    ("row", "query", "key"),
    [
        ({"email": "a@b.c", "external_id": "7"}, {}, "a@b.c"),
        ({"email": "", "external_id": 7}, {}, "7"),
        ({"phone_number": "+15005550006"}, {}, "+15005550006"),
        ({"plan": "pro"}, {}, None),
        ({"email": "a@b.c", "ID": 5}, {"key": "ID"}, "5"),
        ({"email": "a@b.c"}, {"key": "ID"}, None),
    ],
)
def test_a_row_has_the_key_that_is_named_or_else_its_identifier(
    row: dict[str, Any], query: dict[str, str], key: str | None
) -> None:
    """Whatever happens to one key keeps its order."""
    [event] = read([row], query=query).events
    assert event.body.get("__segment_id") == key


@pytest.mark.parametrize(
    "document",
    [
        [ROW, ROW | {"plan": "Free"}],
        {"rows": [ROW, ROW | {"plan": "Free"}]},
        {"records": [ROW, ROW | {"plan": "Free"}]},
        {"api_version": 1, "data": [ROW, ROW | {"plan": "Free"}]},
        {
            "event": "sync.records",
            "object": {
                "id": "o",
                "records": [
                    {"hash": "h", "fields": ROW},
                    {"hash": "i", "fields": ROW | {"plan": "Free"}},
                ],
            },
        },
    ],
    ids=["array", "rows", "records", "census", "polytomic"],
)
def test_rows_are_found_in_every_envelope(document: Any) -> None:
    """Each tool wraps them its own way."""
    found = read(document)
    assert [event.body["properties"]["plan"] for event in found.events] == ["Pro", "Free"]


def test_one_row_needs_no_envelope() -> None:
    """Its columns are not taken for an operation."""
    row = {**ROW, "operation": "deleted", "data": {"x": 1}}
    [event] = read(row).events
    assert event.body["properties"] == row
    assert event.body["event"] == "new"


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/x-ndjson; charset=utf-8"])
def test_rows_may_stand_one_to_a_line(kind: str) -> None:
    """A bad line is refused alone."""
    found = read(b'{"a":1}\n\n{"a":\r\n{"a":3}\n', headers={"content-type": kind})
    assert [event.body["properties"] for event in found.events] == [{"a": 1}, {"a": 3}]
    assert [(bad.index, bad.code) for bad in found.refused] == [(1, "bad_request")]


@pytest.mark.parametrize(
    ("word", "event"),
    [
        *((word, "new") for word in ("added", "new", "INSERT", "created", "upsert", "mirror")),
        *((word, "updated") for word in ("updated", "update", " changed ")),
        *((word, "deleted") for word in ("removed", "deleted", "delete")),
    ],
)
def test_every_tools_words_are_understood(word: str, event: str) -> None:
    """As the three events that Segment has."""
    assert words(read([ROW], query={"op": word})) == [event]


def test_the_nearest_word_counts() -> None:
    """The row's own, the address, the header, then what stands beside the rows."""
    body = {"operation": "changed", "rows": [ROW, {**ROW, "_op": "removed"}]}
    assert words(read(body)) == ["updated", "deleted"]
    assert words(read(body, headers={"x-operation": "added"})) == ["new", "deleted"]
    both = read(body, headers={"x-operation": "added"}, query={"op": "delete"})
    assert words(both) == ["deleted", "deleted"]
    assert words(read({"action": "removed", "rows": [ROW]})) == ["deleted"]
    assert "_op" not in read(body).events[1].body["properties"]


def test_a_bad_row_is_refused_alone() -> None:
    """With its place, for the answer."""
    found = read([ROW, 5, {**ROW, "_op": "explode"}, None, [ROW]])
    assert len(found.events) == 1
    assert [(bad.index, bad.code) for bad in found.refused] == [
        (1, "row_not_object"),
        (2, "unknown_operation"),
        (3, "row_not_object"),
        (4, "row_not_object"),
    ]
    status, body = answer_rows(found)
    assert status == 200
    assert (body["success"], body["received"], body["accepted"]) == (True, 5, 1)
    assert [bad["index"] for bad in body["rejected"]] == [1, 2, 3, 4]
    assert "error" not in body


def test_strict_answers_fail_when_a_row_is_bad() -> None:
    """For tools that show a status and nothing else."""
    status, body = answer_rows(read([ROW, 5]), strict=True)
    assert (status, body["success"], body["code"]) == (422, False, "rows_refused")
    assert "1 of 2 rows" in body["message"]
    assert answer_rows(read([ROW]), strict=True)[0] == 200
    assert is_strict({"strict": "1"}) and not is_strict({"strict": "0"}) and not is_strict({})


def ids(document: Any, target: str = "profile", **about: Any) -> list[str]:
    return [event.id for event in read(document, target, **about).events]


def test_a_resent_row_is_the_same_event() -> None:
    """Within the run that it belongs to, however the tool names it."""
    runs: list[dict[str, Any]] = [
        {"query": {"run": "7"}},
        {"headers": {"idempotency-key": "7"}},
    ]
    for about in runs:
        first = ids([ROW], **about)
        assert first == ids([ROW], later=7_200, **about)
        assert first != ids([{**ROW, "plan": "Free"}], **about)
        assert first != ids([ROW], "subscription", **about)
        assert first != ids([{**ROW, "_op": "removed"}], **about)
    census = {"sync_run_at": "2026-11-22", "data": [ROW]}
    assert ids(census) == ids(census, later=7_200)
    assert ids([ROW]) == ids([ROW], later=1)


def test_a_state_that_comes_again_later_is_another_event() -> None:
    """Joined, left and joined again is three changes, not two."""
    assert ids([ROW], "list/X") != ids([ROW], "list/X", later=900)
    assert ids([ROW], query={"run": "1"}) != ids([ROW], query={"run": "2"})


def test_what_happened_once_stays_one_event() -> None:
    """An event or an order is the same however often and whenever it is loaded."""
    for target in ("event", "order"):
        assert ids([ROW], target) == ids([ROW], target, later=86_400, query={"run": "2"})
        assert ids([ROW], target) != ids([{**ROW, "n": 2}], target)


def test_trailing_commas_of_templates_are_forgiven() -> None:
    """Loops leave them; strings that look like them are left alone."""
    body = b'{"rows": [{"email": "a@b.c,]", "plan": "\\",}",},\n {"email": "b@b.c"}, \n ], }'
    assert [event.body["properties"].get("email") for event in read(body).events] == [
        "a@b.c,]",
        "b@b.c",
    ]
    with pytest.raises(Rejected):
        read(b'[{"a": 1},,]')


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_forgiving_changes_nothing_else(value: Any) -> None:
    """With a comma added at the end of every container the value is the same."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    strict = text.encode()
    assert read_loose_json(strict) == value
    if isinstance(value, list | dict) and value:
        assert read_loose_json(strict[:-1] + b" , " + strict[-1:]) == value


@pytest.mark.parametrize("body", [b"5", b'"x"', b"null", b"{", b"[1", b"\xff"])
def test_a_body_without_rows_is_rejected(body: bytes) -> None:
    """400 with the place and the remedy."""
    with pytest.raises(Rejected) as caught:
        read(body)
    assert caught.value.status == 400


def test_a_probe_and_limits() -> None:
    """An empty body is a test of the address; size and number end at the limits."""
    assert read(b"") == Parsed((), (), None)
    assert read([]) == Parsed((), (), None)
    for limits in (Limits(body_bytes=10), Limits(batch_events=1)):
        with pytest.raises(Rejected) as caught:
            parse_rows(of([ROW, ROW]), "profile", limits=limits)
        assert caught.value.status == 413
    for target in ("", "x" * 201):
        with pytest.raises(Rejected, match="object"):
            read([ROW], target)


@given(st.binary(max_size=60), st.sampled_from(["application/x-ndjson", ""]))
def test_any_bytes_are_rows_or_rejected(body: bytes, kind: str) -> None:
    """Nothing but Rejected is raised, and what is read can be stored."""
    found = outcome(lambda: read(body, headers={"content-type": kind}))
    if isinstance(found, Parsed):
        assert all(decode(encode(event.body)) == event.body for event in found.events)
    else:
        assert found.status == 400
