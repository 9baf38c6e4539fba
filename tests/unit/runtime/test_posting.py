"""The tracking API over HTTP: every path, every place for a key, browsers, replayed captures."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from destination.errors import SettingsError
from destination.runtime.routes.posting import tracking_paths
from tests.unit.ingress.captures import KEY as CAPTURED
from tests.unit.ingress.captures import clients, load, wire
from tests.unit.runtime.serving import KEY, Server, serving

TRACK = {"type": "track", "event": "Bought", "userId": "u"}


@pytest.fixture
def server(tmp_path: Path, redis_url: str, client: redis.Redis) -> Iterator[Server]:
    """One source of kind server, and one of kind browser."""
    toml = f"""
    [sources.shop]
    write_keys = ["{KEY}", "{CAPTURED}", "jitsu:secret"]
    [sources.web]
    write_keys = "key-of-the-page"
    kind = "browser"
    """
    with serving(tmp_path, redis_url, toml) as found:
        yield found


def basic(key: str) -> str:
    """The header that SDKs make of a key."""
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


@pytest.mark.parametrize("path", sorted(tracking_paths()))
def test_every_path_of_every_client_takes_events(server: Server, path: str) -> None:
    """Never a redirect: clients follow it with a GET and report success."""
    event = {**TRACK, "previousId": "p", "groupId": "g"}
    document = {"batch": [event]} if tracking_paths()[path] in ("batch", "import") else event
    answer = server.post(path, document, auth=(KEY, ""))
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert server.source("shop")["received"] == 1


def test_the_paths_are_those_that_clients_call() -> None:
    """Segment's, its short ones, what Jitsu's ingest takes; each with a final slash too."""
    paths = tracking_paths()
    for path in (
        *("/v1/identify", "/v1/track", "/v1/page", "/v1/screen", "/v1/group", "/v1/alias"),
        *("/v1/i", "/v1/t", "/v1/p", "/v1/s", "/v1/g", "/v1/a", "/v1/b", "/v1/batch/b"),
        *("/v1/batch", "/v1/import", "/batch", "/import", "/b"),
        *("/api/s/track", "/api/s/identify", "/api/s/s2s/page", "/api/s/s2s/batch"),
    ):
        assert paths[path] == paths[path + "/"]


@pytest.mark.parametrize(
    "about",
    [
        {"headers": {"x-write-key": KEY}},
        {"headers": {"authorization": basic(KEY)}},
        {"headers": {"authorization": basic(f"{KEY}:made-up")}},
        {"headers": {"authorization": basic("jitsu:secret")}},
        {"headers": {"authorization": "Basic " + base64.b64encode(b"jitsu:secret").decode()}},
        {"headers": {"authorization": f"Bearer {KEY}"}},
        {"params": {"writeKey": KEY}},
        {"document": {**TRACK, "writeKey": KEY}},
        {"document": {**TRACK, "writeKey": KEY}, "headers": {"authorization": "Bearer token"}},
        {"document": {**TRACK, "writeKey": "id:***"}, "headers": {"x-write-key": KEY}},
    ],
)
def test_the_key_is_found_wherever_a_client_puts_it(server: Server, about: dict[str, Any]) -> None:
    """Header, basic, bearer, address, body; a masked key in the body is none."""
    document = about.pop("document", TRACK)
    assert server.post("/v1/track", document, **about).json() == {"success": True}


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "has no write key"),
        ({"x-write-key": "stranger"}, "that no source has"),
        ({"authorization": basic("")}, "has no write key"),
        ({"authorization": "Bearer stranger"}, "that no source has"),
    ],
)
def test_a_stranger_is_turned_away(server: Server, headers: dict[str, str], words: str) -> None:
    """401 with what clients of every make read: code, message, error."""
    answer = server.post("/v1/track", TRACK, headers=headers)
    said = answer.json()
    assert (answer.status_code, said["success"], said["code"]) == (401, False, "unknown_source")
    assert words in said["message"]
    assert said["error"] == said["message"]


def test_a_browser_may_ask_first(server: Server) -> None:
    """The preflight names every header that an SDK of today sends."""
    asked = {
        "origin": "https://shop.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    for path in ("/v1/t", "/v1/b/", "/api/s/track", f"/v1/projects/{KEY}/settings"):
        answer = server.ask("OPTIONS", path, headers=asked)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "POST" in answer.headers["access-control-allow-methods"]
        allowed = answer.headers["access-control-allow-headers"].split(", ")
        assert {"authorization", "content-type", "x-retry-count", "x-write-key"} <= set(allowed)
        assert answer.headers["access-control-max-age"] == "86400"


def test_a_browser_may_send_headers_that_nobody_heard_of(server: Server) -> None:
    """Those of an SDK of tomorrow; what is no name of a header is not repeated."""
    asked = {"access-control-request-headers": "x-of-tomorrow, Content-Type,bad name,\u00e9"}
    answer = server.ask("OPTIONS", "/v1/t", headers=httpx.Headers(asked, encoding="latin-1"))
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert "x-of-tomorrow" in allowed
    assert len(allowed) == len(set(allowed))
    assert {"bad name", "\u00e9"}.isdisjoint(allowed)


def test_a_probe_and_a_wrong_method_are_told_apart(server: Server) -> None:
    """HEAD finds the address alive; GET is told what to use."""
    head = server.ask("HEAD", "/v1/batch")
    assert (head.status_code, head.content) == (200, b"")
    answer = server.ask("GET", "/v1/batch")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, HEAD, OPTIONS")
    assert answer.json()["code"] == "method_not_allowed"
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("root", ["/v1/projects", "/projects"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_sdks_of_browsers_get_their_settings(server: Server, root: str, slash: str) -> None:
    """What analytics-next and the mobile SDKs ask for before anything else."""
    answer = server.ask("GET", f"{root}/{KEY}/settings{slash}")
    said = answer.json()
    assert answer.status_code == 200
    assert said["integrations"]["Segment.io"]["apiKey"] == KEY
    assert said["metrics"] == {"sampleRate": 0}
    assert answer.headers["access-control-allow-origin"] == "*"
    wrong = server.ask("GET", f"{root}/stranger/settings{slash}")
    assert (wrong.status_code, wrong.json()["code"]) == (404, "unknown_source")


@pytest.mark.parametrize("slash", ["", "/"])
def test_sdks_of_rudderstack_get_their_configuration(server: Server, slash: str) -> None:
    """What its browser SDK needs to begin, and its mobile SDKs; they name the key in two ways."""
    path = f"/sourceConfig{slash}"
    browser = server.ask("GET", f"{path}?p=npm&v=3.34.1&build=modern&writeKey=key-of-the-page")
    mobile = server.ask("GET", f"{path}?p=android&v=1.0&bv=1", auth=("key-of-the-page", ""))
    assert browser.status_code == mobile.status_code == 200
    source = browser.json()["source"]
    assert browser.json() == mobile.json()
    assert (source["id"], source["enabled"], source["destinations"]) == ("web", True, [])
    assert source["config"]["statsCollection"]["metrics"] == {"enabled": False}
    assert browser.headers["access-control-allow-origin"] == "*"
    wrong = server.ask("GET", f"{path}?writeKey=stranger")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "unknown_source")


def test_a_public_key_causes_only_what_its_source_allows(
    server: Server, client: redis.Redis
) -> None:
    """Nobody can sign strangers up with the key of a page: to its source no mapping wants that."""
    signup = {"type": "track", "event": "Signed Up", "userId": "u"}
    for key in ("key-of-the-page", KEY):
        for event in (signup, TRACK, {"type": "identify", "userId": "u"}):
            assert server.post("/v1/batch", {"batch": [event]}, auth=(key, "")).status_code == 200
    web, shop = server.source("web"), server.source("shop")
    assert (web["accepted"], web["unmatched"]) == (2, 1)
    assert (shop["accepted"], shop["unmatched"]) == (3, 0)
    assert client.llen("destination:default:lane:consent") == 1


def test_a_misspelt_action_of_a_source_is_refused(tmp_path: Path, redis_url: str) -> None:
    """It would withhold in silence what was meant to be allowed."""
    toml = '[sources.web]\nwrite_keys = "k"\nactions = "upsertprofile"\n'
    with (
        pytest.raises(SettingsError, match=r"'upsertprofile'.*upsertProfile"),
        serving(tmp_path, redis_url, toml),
    ):
        raise AssertionError("it must not start")


def test_one_bad_event_fails_none_beside_it(server: Server) -> None:
    """200 with a reason for the bad one; the counts have it as refused."""
    batch = [TRACK, {"type": "track", "userId": "u"}, 5]
    answer = server.post("/v1/batch", {"batch": batch}, auth=(KEY, ""))
    assert answer.status_code == 200
    said = answer.json()
    assert said["success"] is True
    assert [each["code"] for each in said["rejected"]] == ["event_not_defined", "event_not_object"]
    assert "error" not in said
    assert server.source("shop") == {
        "received": 3,
        "accepted": 1,
        "duplicate": 0,
        "unmatched": 0,
        "refused": 2,
    }


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_request"),
        (b'{"batch": [', 400, "bad_request"),
        (b"[]", 400, "bad_request"),
        (b"\x1f\x8bnonsense", 400, "bad_request"),
        (b" " * ((4 << 20) + 1), 413, "payload_too_large"),
        (gzip.compress(b" " * ((4 << 20) + 1)), 413, "payload_too_large"),
    ],
)
def test_an_unreadable_request_says_why(
    server: Server, body: bytes, status: int, code: str
) -> None:
    """An object with code and message: clients that find none take it for a passing fault."""
    answer = server.post("/v1/batch", body, auth=(KEY, ""))
    said = answer.json()
    assert (answer.status_code, said["code"]) == (status, code)
    assert said["message"] == said["error"]
    assert server.source("shop")["received"] == 0


def held(request: dict[str, Any]) -> int:
    """How many events a captured request holds."""
    body = request["body"]
    if not isinstance(body, dict):
        return 0
    return len(body["batch"]) if "batch" in body else 1


def replay(server: Server, name: str) -> int:
    """Send a capture again; each request must be answered 200 with an object. Counts its events."""
    total = 0
    for request in load(name)["requests"]:
        body = wire(request) if request["decoded_bytes"] else b""
        headers = {k: v for k, v in request["headers"].items() if k.lower() != "content-length"}
        answer = server.ask(request["method"], request["path"], content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert isinstance(said, dict)
        assert "rejected" not in said
        assert "error" not in said
        total += held(request)
    return total


@pytest.mark.parametrize("name", clients())
def test_what_real_clients_sent_is_taken(server: Server, name: str) -> None:
    """Every request of every recorded client, byte for byte; every event is counted once."""
    total = replay(server, name)
    first = server.source("shop")
    assert total > 0
    assert first["received"] == total
    assert first["accepted"] + first["unmatched"] + first["duplicate"] == total
    assert first["refused"] == 0
    replay(server, name)
    again = server.source("shop")
    assert again["received"] == 2 * total
    assert again["accepted"] == first["accepted"]
