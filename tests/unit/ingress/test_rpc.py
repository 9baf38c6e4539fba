"""Census' and Hightouch's destinations over JSON-RPC."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.event import Event, encode
from destination.ingress import census, hightouch
from destination.ingress.census import Setup, Speed
from destination.ingress.format import Inbound, Limits
from destination.ingress.jsonrpc import Reply
from destination.ingress.normalise import Malformed
from tests.unit.ingress.captures import RECEIVED

SETUP = Setup(lists=lambda: {"XyZ123": "Newsletter", "AbC456": "customers"})
Answer = Callable[[Inbound, Setup], Reply]
BOTH = pytest.mark.parametrize("answer", [census.answer, hightouch.answer])


def ask(
    method: Any, params: Any = None, *, answer: Answer = census.answer, setup: Setup = SETUP
) -> Reply:
    call = {"jsonrpc": "2.0", "method": method, "params": params or {}, "id": "id-1"}
    return answer(Inbound("rpc", encode(call), RECEIVED), setup)


def result(method: str, params: Any = None, **about: Any) -> dict[str, Any]:
    reply = ask(method, params, **about)
    assert reply.document["jsonrpc"] == "2.0"
    assert reply.document["id"] == "id-1"
    assert "error" not in reply.document
    return reply.document["result"]  # type: ignore[no-any-return]


def error(reply: Reply) -> dict[str, Any]:
    assert set(reply.document) == {"jsonrpc", "id", "error"}
    assert reply.parsed.events == ()
    return reply.document["error"]  # type: ignore[no-any-return]


@BOTH
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff", -32700),
        (b"[]", -32600),
        (b"5", -32600),
        (b"{}", -32601),
        (b'{"method":"nothing"}', -32601),
        (b'{"method":["x"]}', -32601),
        (b'{"method":"list_fields","params":[]}', -32602),
        (b'{"method":"list_fields","params":{"object":5}}', -32602),
        (b'{"method":"sync_batch","params":{}}', -32602),
    ],
)
def test_what_is_wrong_with_a_call_is_told_in_its_answer(
    answer: Answer, body: bytes, code: int
) -> None:
    """JSON-RPC's own codes, never an exception."""
    if answer is hightouch.answer:
        body = body.replace(b"sync_batch", b"add")
    found = error(answer(Inbound("rpc", body, RECEIVED), SETUP))
    assert found["code"] == code
    assert found["message"]


@BOTH
def test_too_large_a_call_is_refused(answer: Answer) -> None:
    """By its bytes."""
    setup = Setup(limits=Limits(body_bytes=5))
    assert "larger" in error(answer(Inbound("rpc", b'{"id":1}', RECEIVED), setup))["message"]


def test_the_connection_is_tested() -> None:
    """The problem that the runtime found is shown to Census' user."""
    assert result("test_connection") == {"success": True}
    broken = Setup(problem=lambda: "Klaviyo refuses the API key: make a new one")
    assert result("test_connection", setup=broken) == {
        "success": False,
        "error_message": "Klaviyo refuses the API key: make a new one",
    }


def test_objects_include_the_accounts_lists() -> None:
    """Profiles and events can take new fields; each list is an object of its own."""
    objects = result("list_objects")["objects"]
    names = [each["object_api_name"] for each in objects]
    assert names == [
        "profile",
        "event",
        "list_membership",
        "subscription",
        "suppression",
        "list/AbC456",
        "list/XyZ123",
    ]
    assert [each["object_api_name"] for each in objects if "can_create_fields" in each] == [
        "profile",
        "event",
    ]


NAMES = ["profile", "event", "list_membership", "subscription", "suppression", "list/XyZ123"]


@pytest.mark.parametrize("name", NAMES)
def test_fields_obey_the_protocol(name: str) -> None:
    """At least one identifier, of a type that can be one and no array."""
    fields = result("list_fields", {"object": {"object_api_name": name, "label": "x"}})["fields"]
    keys = {
        "field_api_name",
        "label",
        "identifier",
        "required",
        "createable",
        "updateable",
        "type",
        "array",
    }
    assert all(set(each) == keys for each in fields)
    identifiers = [each for each in fields if each["identifier"]]
    assert identifiers
    assert all(each["type"] in ("string", "integer") and not each["array"] for each in identifiers)
    assert len(identifiers) > 1 or identifiers[0]["required"]
    assert len({each["field_api_name"] for each in fields}) == len(fields)
    operations = result("supported_operations", {"object": {"object_api_name": name}})["operations"]
    assert set(operations) <= {"upsert", "insert", "update", "mirror"}
    assert ("mirror" in operations) is (name not in ("profile", "event"))


@pytest.mark.parametrize("method", ["list_fields", "supported_operations"])
@pytest.mark.parametrize("name", ["orders", "list/", "list/" + "x" * 101, 5, None, ["x"]])
def test_an_unknown_object_is_an_error(method: str, name: Any) -> None:
    """It names what was asked for."""
    assert error(ask(method, {"object": {"object_api_name": name}}))["code"] == -32602


@pytest.mark.parametrize(
    ("params", "speed"),
    [
        ({}, 5),
        ({"sync_plan": {}}, 5),
        ({"sync_plan": {"object": {"object_api_name": 7}}}, 5),
        ({"sync_plan": {"object": {"object_api_name": "profile"}}}, 75),
    ],
)
def test_the_speed_is_that_of_the_object(params: dict[str, Any], speed: int) -> None:
    """Three figures; without a plan those for any."""
    setup = Setup(speed=lambda name: Speed(500, 2, {"profile": 75, "": 5}[name]))
    assert result("get_sync_speed", params, setup=setup) == {
        "maximum_batch_size": 500,
        "maximum_parallel_batches": 2,
        "maximum_records_per_second": speed,
    }


def plan(name: str = "profile", operation: str = "upsert", key: str = "email") -> dict[str, Any]:
    return {
        "object": {"object_api_name": name, "label": "x"},
        "operation": operation,
        "sync_id": 1,
        "sync_run_id": 17,
        "schema": {
            "plan": {"active_identifier": False, "field": {}},
            key: {"active_identifier": True, "field": {}},
        },
    }


def test_each_record_has_its_result() -> None:
    """In order, by the identifier's value; the good ones are events."""
    records = [{"email": "a@b.c", "plan": "Pro"}, {"plan": "x"}, 5, {"email": "c@b.c"}]
    reply = ask("sync_batch", {"sync_plan": plan(), "records": records})
    first, second, third, fourth = reply.document["result"]["record_results"]
    assert first == {"identifier": "a@b.c", "success": True}
    assert fourth == {"identifier": "c@b.c", "success": True}
    assert (second["identifier"], second["success"]) == (None, False)
    assert "email" in second["error_message"]
    assert not third["success"]
    assert [event.body["properties"] for event in reply.parsed.events] == [records[0], records[3]]
    body = reply.parsed.events[0].body
    assert body["event"] == "new"
    assert body["__segment_id"] == "a@b.c"
    assert body["context"]["source"] == {
        "object": "profile",
        "tool": "census",
        "operation": "upsert",
    }


@pytest.mark.parametrize(
    ("operation", "event"),
    [("upsert", "new"), ("insert", "new"), ("update", "updated"), ("delete", "deleted")],
)
def test_operations_are_events(operation: str, event: str) -> None:
    """A mirror comes as upserts and deletes in batches of their own."""
    params = {"sync_plan": plan("list/XyZ123", operation), "records": [{"email": "a@b.c"}]}
    [found] = ask("sync_batch", params).parsed.events
    assert found.body["event"] == event
    assert found.body["context"]["source"]["id"] == "XyZ123"


def test_a_record_sent_again_in_its_run_is_the_same_event() -> None:
    """Census retries records, batches and whole syncs."""
    params = {"sync_plan": plan(), "records": [{"email": "a@b.c"}]}
    first = ask("sync_batch", params).parsed.events[0].id
    assert ask("sync_batch", params).parsed.events[0].id == first
    other = {"sync_plan": {**plan(), "sync_run_id": 18}, "records": [{"email": "a@b.c"}]}
    assert ask("sync_batch", other).parsed.events[0].id != first


def test_rows_can_be_judged_by_more_than_their_identifier() -> None:
    """Whoever knows Klaviyo's rules hands in the check; its words reach the row's user."""

    def check(event: Event) -> None:
        if "@" not in event.body["properties"]["email"]:
            raise Malformed("invalid_email", f"no address in {event.body['event']}")

    setup = Setup(check=check)
    params = {"sync_plan": plan(), "records": [{"email": "a@b.c"}, {"email": "nobody"}]}
    results = result("sync_batch", params, setup=setup)["record_results"]
    assert [each["success"] for each in results] == [True, False]
    assert results[1]["error_message"] == "no address in new"


@pytest.mark.parametrize(
    "change",
    [
        {"sync_plan": {**plan(), "schema": {"email": {}}}},
        {"sync_plan": {**plan(), "schema": 5}},
        {"sync_plan": {**plan(), "operation": None}},
        {"sync_plan": plan("nothing")},
        {"records": {}},
        {"records": [{}] * 3},
    ],
)
def test_a_batch_that_cannot_be_read_stores_nothing(change: dict[str, Any]) -> None:
    """The whole call is an error, and Census tries it again."""
    setup = Setup(limits=Limits(batch_events=2))
    params = {"sync_plan": plan(), "records": [{"email": "a@b.c"}], **change}
    assert error(ask("sync_batch", params, setup=setup))["code"] == -32602


def test_an_unknown_operation_fails_each_record() -> None:
    """With the words that are known."""
    params = {"sync_plan": plan(operation="explode"), "records": [{"email": "a@b.c"}]}
    [found] = result("sync_batch", params)["record_results"]
    assert "explode" in found["error_message"]


CONFIGURATION = {
    "object": {"id": "list/XyZ123"},
    "identifierMapping": {"from": "EMAIL", "to": "email"},
    "mappings": [{"from": "PLAN", "to": "plan"}],
}


def high(method: str, params: Any = None) -> dict[str, Any]:
    return result(method, params, answer=hightouch.answer)


def test_hightouch_finds_objects_modes_and_fields() -> None:
    """The same objects under its own names."""
    assert {"id": "list/XyZ123", "label": "List: Newsletter"} in high("list_objects")["objects"]
    assert high("list_modes", {"object": "profile"})["modes"][0]["id"] == "upsert"
    assert high("list_modes", {"object": {"id": "list/XyZ123"}})["modes"][0]["id"] == "mirror"
    fields = {each["id"]: each for each in high("list_fields", {"object": None})["fields"]}
    assert fields["email"]["identifier"] is True
    assert fields["latitude"]["type"] == "NUMBER"
    assert high("list_options") == {"options": None}


def test_hightouch_is_told_what_a_configuration_can_do() -> None:
    """Removing is for lists; what is wrong is named."""
    assert high("validate", {"configuration": CONFIGURATION}) == {"errors": []}
    assert high("behavior", {"configuration": CONFIGURATION}) == {
        "batchSize": 1_000,
        "operations": {"add": True, "change": True, "remove": True},
        "skipInitialRun": False,
    }
    profile = {**CONFIGURATION, "object": "profile"}
    assert high("behavior", {"configuration": profile})["operations"]["remove"] is False
    for wrong in ({"object": "x"}, {"identifierMapping": None}, {"mappings": 5}, {"mappings": [5]}):
        assert high("validate", {"configuration": {**CONFIGURATION, **wrong}})["errors"]
    assert high("validate")["errors"]


@pytest.mark.parametrize(
    ("method", "event"), [("add", "new"), ("change", "updated"), ("remove", "deleted")]
)
def test_hightouchs_rows_are_events(method: str, event: str) -> None:
    """Under our names of its columns; what is refused is listed."""
    rows = [{"ID": 1, "EMAIL": "a@b.c", "PLAN": "Pro", "OTHER": 1}, {"ID": 2, "EMAIL": ""}, 5]
    reply = ask(
        method,
        {"idColumn": "ID", "configuration": CONFIGURATION, "rows": rows},
        answer=hightouch.answer,
    )
    [found] = reply.parsed.events
    assert found.body["event"] == event
    assert found.body["properties"] == {"email": "a@b.c", "plan": "Pro"}
    assert found.body["context"]["source"]["tool"] == "hightouch"
    rejected = reply.document["result"]["rejectedRows"]
    assert [each["id"] for each in rejected] == [2, None]
    assert all(each["error"] for each in rejected)


def test_hightouchs_rows_are_judged_and_counted() -> None:
    """As Census' are."""

    def check(_event: Event) -> None:
        raise Malformed("never", "no")

    setup = Setup(check=check, limits=Limits(batch_events=1))
    params = {"idColumn": 5, "configuration": CONFIGURATION, "rows": [{"EMAIL": "a"}]}
    reply = ask("add", params, answer=hightouch.answer, setup=setup)
    assert reply.document["result"] == {"rejectedRows": [{"id": None, "error": "no"}]}
    many = ask("add", {**params, "rows": [{}, {}]}, answer=hightouch.answer, setup=setup)
    assert error(many)["code"] == -32602


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.just("profile")
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["object", "object_api_name", "id", "sync_plan", "records", "schema", "operation", "email",
         "active_identifier", "configuration", "rows", "identifierMapping", "mappings", "from", "to",
         "idColumn"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
METHODS = st.sampled_from(
    [
        "list_fields",
        "supported_operations",
        "sync_batch",
        "list_modes",
        "validate",
        "behavior",
        "add",
    ]
)


@given(METHODS, JSON, st.booleans())
def test_no_call_raises(method: str, params: Any, first: bool) -> None:
    """Whatever the params are, there is an answer that can be sent."""
    answer = census.answer if first else hightouch.answer
    reply = ask(method, params, answer=answer)
    assert ("result" in reply.document) is not ("error" in reply.document)
    json.loads(encode(reply.document))
