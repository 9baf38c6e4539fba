"""A client that does what Census does, from finding the objects to the last record's result."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.acceptance.stack import KEY, Stack
from tests.acceptance.warehouse import warehouse

ROWS = 10_000
BAD = 100
Record = dict[str, Any]


@pytest.fixture
def stack() -> Iterator[Stack]:
    """An installation for rows."""
    with warehouse() as found:
        yield found


class Census:
    """A connection of Census: JSON-RPC, one call in a request."""

    def __init__(self, stack: Stack, http: httpx.Client) -> None:
        self._url = f"{stack.server}/rpc/census"
        self._http = http
        self._ids = itertools.count(1)

    def call(self, method: str, **params: Any) -> Any:
        """The result of a call. HTTP must say 200, the answer must be the call's and no error."""
        asked = {"jsonrpc": "2.0", "method": method, "params": params, "id": str(next(self._ids))}
        answer = self._http.post(
            self._url,
            json=asked,
            headers={
                "user-agent": "Census https://www.getcensus.com",
                "authorization": f"Bearer {KEY}",
            },
        )
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert said.keys() == {"jsonrpc", "id", "result"}, said
        assert said["id"] == asked["id"]
        return said["result"]

    def connect(self, label: str) -> Record:
        """Test the connection and choose the object of this label."""
        assert self.call("test_connection") == {"success": True}
        objects = self.call("list_objects")["objects"]
        (found,) = [each for each in objects if each["label"] == label]
        assert isinstance(found, dict)
        return found

    def sync(self, wanted: Record, operation: str, key: str, records: list[Record]) -> list[Record]:
        """Send all records as fast as the destination allows; the result of each."""
        assert operation in self.call("supported_operations", object=wanted)["operations"]
        fields = {each["field_api_name"]: each for each in self._fields(wanted)}
        assert fields[key]["identifier"]
        plan = {
            "object": wanted,
            "operation": operation,
            "sync_id": 1,
            "sync_run_id": 7,
            "schema": {
                name: {"active_identifier": name == key, "field": fields.get(name, {})}
                for name in sorted({column for record in records for column in record})
            },
        }
        speed = self.call("get_sync_speed", sync_plan=plan)
        size = speed["maximum_batch_size"]
        batches = [records[at : at + size] for at in range(0, len(records), size)]
        with ThreadPoolExecutor(speed["maximum_parallel_batches"]) as threads:
            answers = threads.map(
                lambda batch: self.call("sync_batch", sync_plan=plan, records=batch), batches
            )
            return [result for answer in answers for result in answer["record_results"]]

    def _fields(self, wanted: Record) -> list[Record]:
        found: list[Record] = self.call("list_fields", object=wanted)["fields"]
        return found


BROKEN: tuple[tuple[Record, str], ...] = (
    ({"email": "no address"}, "email"),
    ({"email": None}, "email is empty"),
    ({"email": ""}, "email is empty"),
    ({"email": "twice@@acme.io"}, "email"),
    ({"first_name": "Nobody"}, "email is empty"),
)


def test_ten_thousand_rows_of_which_some_are_bad(stack: Stack) -> None:
    """Every good record is delivered, every bad one fails with its reason, and nothing else is."""
    records: list[Record] = [
        {"email": f"census{n}@acme.io", "first_name": f"C{n}", "age": "41"} for n in range(ROWS)
    ]
    reasons: dict[int, str] = {}
    for number, place in enumerate(range(0, ROWS, ROWS // BAD)):
        record, reasons[place] = BROKEN[number % len(BROKEN)]
        records[place] = {"age": "41", **record}

    with httpx.Client(trust_env=False, timeout=30) as http:
        census = Census(stack, http)
        results = census.sync(census.connect("Profile"), "upsert", "email", records)

    assert [each["identifier"] for each in results] == [each.get("email") for each in records]
    failed = {n: each["error_message"] for n, each in enumerate(results) if not each["success"]}
    assert failed.keys() == reasons.keys()
    for place, said in failed.items():
        assert reasons[place] in said

    counts = stack.settle()
    connection = counts["connections"]["default"]
    states = ("accepted", "delivered", "dropped", "dead", "pending")
    assert [connection[state] for state in states] == [ROWS - BAD, ROWS - BAD, 0, 0, 0]
    assert counts["sources"]["default"]["refused"] == BAD
    held = stack.held()
    assert {each["email"] for each in held["profiles"]} == {
        record["email"] for n, record in enumerate(records) if n not in reasons
    }
    assert len(held["profiles"]) == ROWS - BAD


def test_an_audience_is_mirrored_in_batches_of_both_kinds(stack: Stack) -> None:
    """Live lists are objects; a mirror comes as batches that add and batches that delete."""
    made = stack.http.post(
        f"{stack.sandbox}/api/lists",
        json={"data": {"type": "list", "attributes": {"name": "VIP"}}},
        headers={"authorization": "Klaviyo-API-Key pk_test", "revision": "2026-07-15"},
    )
    assert made.status_code == 201, made.text
    people = [{"email": f"vip{n}@acme.io"} for n in range(5)]
    with httpx.Client(trust_env=False, timeout=30) as http:
        census = Census(stack, http)
        vip = census.connect("List: VIP")
        assert vip["object_api_name"] == f"list/{made.json()['data']['id']}"
        assert "mirror" in census.call("supported_operations", object=vip)["operations"]
        plan = {
            "object": vip,
            "sync_id": 2,
            "sync_run_id": 8,
            "schema": {"email": {"active_identifier": True, "field": {}}},
        }
        for operation, records in (("upsert", people), ("delete", people[:2])):
            batch = census.call(
                "sync_batch", sync_plan={**plan, "operation": operation}, records=records
            )
            assert all(each["success"] for each in batch["record_results"])
            stack.settle()
    (held,) = stack.held()["lists"]
    assert len(held["members"]) == 3
