"""Census' and Hightouch's calls over HTTP: who may call, what is asked of Klaviyo, results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.unit.runtime.serving import KEY, FakeKlaviyo, Server, serving

SECRET = "secret-of-the-warehouse"
BEARER = {"authorization": f"Bearer {SECRET}"}
TOML = f"""
[sources.warehouse]
write_keys = "{KEY}"
signing_secrets = "{SECRET}"
[sources.page]
write_keys = "key-of-page"
kind = "browser"
"""


@pytest.fixture
def klaviyo() -> FakeKlaviyo:
    """The account behind the server."""
    return FakeKlaviyo()


@pytest.fixture
def server(
    tmp_path: Path, redis_url: str, client: redis.Redis, klaviyo: FakeKlaviyo
) -> Iterator[Server]:
    """One source for the tools, and a page that is not to be one."""
    with serving(tmp_path, redis_url, TOML, klaviyo) as found:
        yield found


def call(
    server: Server, tool: str, method: str, params: dict[str, Any] | None = None, **about: Any
) -> dict[str, Any]:
    """The result of a call that must succeed."""
    document = {"jsonrpc": "2.0", "id": "c-1", "method": method, "params": params or {}}
    answer = server.post(f"/rpc/{tool}", document, **{"headers": BEARER, **about})
    said: dict[str, Any] = answer.json()
    assert answer.status_code == 200, said
    assert (said["jsonrpc"], said["id"]) == ("2.0", "c-1")
    result: dict[str, Any] = said["result"]
    return result


BOTH = pytest.mark.parametrize("tool", ["census", "hightouch"])


@BOTH
@pytest.mark.parametrize(
    ("about", "status", "code"),
    [
        ({"headers": BEARER}, 200, None),
        ({"headers": {"authorization": f"Bearer {KEY}"}}, 200, None),
        ({"params": {"writeKey": KEY}}, 200, None),
        ({}, 401, "unknown_source"),
        ({"headers": {"authorization": "Bearer guess"}}, 401, "unknown_source"),
        ({"headers": {"authorization": "Bearer key-of-page"}}, 403, "public_key"),
    ],
)
def test_who_may_call(
    server: Server, tool: str, about: dict[str, Any], status: int, code: str | None
) -> None:
    """A write key or signing secret, as the token that the tools send or in the address."""
    document = {"jsonrpc": "2.0", "id": 1, "method": "list_objects", "params": {}}
    answer = server.post(f"/rpc/{tool}", document, **about)
    assert (answer.status_code, answer.json().get("code")) == (status, code)


@BOTH
def test_addresses_can_be_probed(server: Server, tool: str) -> None:
    """With and without a final slash."""
    for path in (f"/rpc/{tool}", f"/rpc/{tool}/"):
        assert server.ask("HEAD", path).status_code == 200
        assert server.ask("GET", path).status_code == 405


@BOTH
def test_what_is_wrong_with_a_call_is_its_answer(server: Server, tool: str) -> None:
    """HTTP 200 with JSON-RPC's error."""
    answer = server.post(f"/rpc/{tool}", b"{", headers=BEARER)
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, -32700)


@BOTH
def test_the_accounts_lists_are_objects(server: Server, klaviyo: FakeKlaviyo, tool: str) -> None:
    """They are asked for at that call only, and a failure is one to be repeated."""
    labels = [each["label"] for each in call(server, tool, "list_objects")["objects"]]
    assert "List: Newsletter" in labels
    klaviyo.trouble = "no room"
    document = {"jsonrpc": "2.0", "id": 1, "method": "list_objects", "params": {}}
    answer = server.post(f"/rpc/{tool}", document, headers=BEARER)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


def test_the_connection_is_tested_with_klaviyo(server: Server, klaviyo: FakeKlaviyo) -> None:
    """What keeps the account from being used is shown in the tool."""
    assert call(server, "census", "test_connection") == {"success": True}
    klaviyo.trouble = "Klaviyo refuses the key"
    said = call(server, "census", "test_connection")
    assert said == {"success": False, "error_message": "Klaviyo refuses the key"}


def sync(records: list[Any], operation: str = "upsert") -> dict[str, Any]:
    """The params of a batch of profiles."""
    plan = {
        "object": {"object_api_name": "profile", "label": "Profile"},
        "operation": operation,
        "sync_run_id": 17,
        "schema": {"email": {"active_identifier": True, "field": {}}},
    }
    return {"sync_plan": plan, "records": records}


def test_census_hears_of_each_record(server: Server, client: redis.Redis) -> None:
    """What no mapping can use fails in Census, with the reason; the rest is stored."""
    records = [{"email": "ann@acme.io"}, {"email": "no address"}, {"email": ""}]
    for _ in range(2):
        results = call(server, "census", "sync_batch", sync(records))["record_results"]
        assert [each["success"] for each in results] == [True, False, False]
        assert "email" in results[1]["error_message"]
    assert client.llen("destination:default:lane:test/rows") == 1
    counts = server.source("warehouse")
    assert (counts["accepted"], counts["duplicate"], counts["refused"]) == (1, 1, 4)


def test_a_record_that_no_mapping_wants_fails(server: Server) -> None:
    """Census asks to report success only when sure."""
    results = call(server, "census", "sync_batch", sync([{"email": "a@acme.io"}], "delete"))
    (result,) = results["record_results"]
    assert not result["success"]
    assert "no mapping wants" in result["error_message"]


def test_hightouch_hears_of_rejected_rows(server: Server, client: redis.Redis) -> None:
    """Rows come by the source's columns."""
    params = {
        "idColumn": "ID",
        "configuration": {
            "object": "profile",
            "identifierMapping": {"from": "MAIL", "to": "email"},
            "mappings": [],
        },
        "rows": [{"ID": 1, "MAIL": "ann@acme.io"}, {"ID": 2, "MAIL": "no address"}],
    }
    rejected = call(server, "hightouch", "add", params)["rejectedRows"]
    assert [each["id"] for each in rejected] == [2]
    assert client.llen("destination:default:lane:test/rows") == 1


@pytest.mark.parametrize(
    ("batched", "object_", "speed"),
    [
        (True, "profile", 2_000),
        (True, "suppression", 1_250),
        (True, None, 1_250),
        (False, "profile", 12),
        (False, "event", 2_000),
        (False, None, 12),
    ],
)
def test_the_speed_follows_klaviyos_limits(
    tmp_path: Path,
    redis_url: str,
    client: redis.Redis,
    batched: bool,
    object_: str | None,
    speed: int,
) -> None:
    """By the way that the mapping in use sends them; many at once are bounded by what we can take."""
    mapping = {
        "name": "profiles",
        "action": "upsertProfile",
        "trigger": 'type = "track"',
        "fields": {"email": {"@path": "$.properties.email"}},
        "batch": {"enabled": batched},
    }
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "own.json").write_text(json.dumps({"name": "own", "mappings": [mapping]}))
    with serving(tmp_path, redis_url, TOML, DESTINATION_MAPPINGS=str(folder)) as server:
        plan = {"object": {"object_api_name": object_}} if object_ else {}
        said = call(server, "census", "get_sync_speed", {"sync_plan": plan})
    assert said["maximum_records_per_second"] == speed
