"""Webhooks over HTTP: whose they are, what proves it, probes, results, audiences."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from destination.ingress.webhooks import FORMATS
from tests.unit.ingress.captures import load, lowered
from tests.unit.runtime.serving import KEY, FakeKlaviyo, Server, serving

SECRET = "TESTSHAREDSECRET"
TRACK = {"type": "track", "event": "Bought", "userId": "u", "messageId": "m"}
TOML = f"""
[sources.shop]
write_keys = "{KEY}"
signing_secrets = ["the-next-secret", "{SECRET}"]
[sources.plain]
write_keys = "key-of-plain"
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
    """One source that signs, one that does not, one of browsers."""
    with serving(tmp_path, redis_url, TOML, klaviyo) as found:
        yield found


def signed(document: Any, secret: str = SECRET) -> tuple[bytes, dict[str, str]]:
    """A body and the header by which Segment signs it."""
    body = json.dumps(document, separators=(",", ":")).encode()
    first = body
    if isinstance(document, list):
        first = json.dumps(document[0], separators=(",", ":")).encode()
    return body, {"x-signature": hmac.new(secret.encode(), first, hashlib.sha1).hexdigest()}


def post_signed(
    server: Server, document: Any, path: str = "/webhooks/segment", secret: str = SECRET
) -> httpx.Response:
    """A request that Segment would make."""
    body, headers = signed(document, secret)
    return server.post(path, body, headers=headers)


@pytest.mark.parametrize("secret", [SECRET, "the-next-secret"])
@pytest.mark.parametrize("path", ["/webhooks/segment", "/webhooks/segment/shop"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_signed_webhook_is_taken(server: Server, path: str, method: str, secret: str) -> None:
    """By any of the secrets, so that one can be changed without a gap."""
    body, headers = signed(TRACK, secret)
    answer = server.ask(method, path, content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "received": 1,
        "accepted": 1,
        "duplicate": 0,
        "unmatched": 0,
    }
    assert server.source("shop")["accepted"] == 1


@pytest.mark.parametrize("destination", ["actions", "extensible"])
def test_what_segments_own_code_sent_is_taken(server: Server, destination: str) -> None:
    """Byte for byte, with its signature; a foreign Authorization header is no hindrance."""
    for request in load(f"segment-destination-webhook-{destination}")["requests"]:
        headers = {k: v for k, v in lowered(request).items() if k != "content-length"}
        body = request["raw_text"].encode()
        answer = server.ask(request["method"], "/webhooks/segment", content=body, headers=headers)
        assert answer.status_code == 200
        assert answer.json()["success"] is True
    counts = server.source("shop")
    assert (counts["received"], counts["refused"]) == (5, 0)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_signature"),
        ({"x-signature": "00" * 20}, "invalid_signature"),
        ({"x-signature": "00" * 20, "x-write-key": KEY}, "invalid_signature"),
        ({"x-write-key": "stranger"}, "missing_signature"),
        ({"authorization": "Bearer key-of-plain"}, ""),
    ],
)
def test_only_a_signature_or_the_key_proves_a_webhook(
    server: Server, headers: dict[str, str], code: str
) -> None:
    """A wrong signature is not excused by a key; a key alone is as good on other routes."""
    answer = server.post("/webhooks/segment", TRACK, headers=headers)
    assert answer.status_code == (401 if code else 200)
    assert answer.json().get("code", "") == code
    assert server.source("shop")["received"] == 0


@pytest.mark.parametrize(
    ("path", "headers", "document", "status", "code"),
    [
        ("/webhooks/segment", {"x-write-key": KEY}, TRACK, 200, None),
        ("/webhooks/segment/shop", {"authorization": f"Bearer {KEY}"}, TRACK, 200, None),
        ("/webhooks/segment/shop", {}, {**TRACK, "writeKey": KEY}, 200, None),
        (f"/webhooks/segment/shop?writeKey={KEY}", {}, TRACK, 200, None),
        ("/webhooks/segment/plain", {"x-write-key": "key-of-plain"}, TRACK, 200, None),
        ("/webhooks/segment/plain", {}, {**TRACK, "writeKey": "key-of-plain"}, 200, None),
        ("/webhooks/segment/plain", {"x-write-key": KEY}, TRACK, 401, "unknown_source"),
        ("/webhooks/segment/plain", {}, TRACK, 401, "unknown_source"),
        ("/webhooks/segment/nobody", {"x-write-key": KEY}, TRACK, 404, "unknown_source"),
        ("/webhooks/segment/page", {"x-write-key": "key-of-page"}, TRACK, 403, "public_key"),
        ("/webhooks/segment", {"x-write-key": "key-of-page"}, TRACK, 403, "public_key"),
        ("/webhooks/rudderstack", {"x-write-key": "key-of-plain"}, TRACK, 200, None),
        ("/webhooks/rudderstack", {"authorization": SECRET}, TRACK, 200, None),
        ("/webhooks/rudderstack", {"authorization": f"Bearer {SECRET}"}, TRACK, 200, None),
        ("/webhooks/jitsu/shop", {"authorization": "Bearer no"}, TRACK, 401, "invalid_signature"),
        ("/webhooks/jitsu/shop", {"authorization": f"Bearer {KEY}"}, TRACK, 200, None),
    ],
)
def test_whose_a_webhook_is(
    server: Server,
    path: str,
    headers: dict[str, str],
    document: Any,
    status: int,
    code: str | None,
) -> None:
    """The source in the path, that of the key, or the only one that signs."""
    answer = server.post(path, document, headers=headers)
    assert (answer.status_code, answer.json().get("code")) == (status, code)


def test_without_a_secret_the_key_may_stand_in_the_body(
    tmp_path: Path, redis_url: str, client: redis.Redis
) -> None:
    """No source signs, so only a key can tell whose the webhook is."""
    with serving(tmp_path, redis_url, DESTINATION_WRITE_KEY=KEY) as server:
        assert server.post("/webhooks/segment", {**TRACK, "writeKey": KEY}).status_code == 200
        assert server.post("/webhooks/segment", TRACK).json()["code"] == "unknown_source"


def test_strict_sources_take_nothing_that_is_not_wholly_signed(
    tmp_path: Path, redis_url: str, client: redis.Redis
) -> None:
    """Segment signs the first event of a batch only, and a key proves no body."""
    toml = f"""
    [sources.shop]
    write_keys = "{KEY}"
    signing_secrets = "{SECRET}"
    require_full_signature = true
    """
    with serving(tmp_path, redis_url, toml) as server:
        assert post_signed(server, TRACK).status_code == 200
        assert post_signed(server, [TRACK]).status_code == 200
        batch = post_signed(server, [TRACK, {**TRACK, "messageId": "m2"}])
        assert (batch.status_code, batch.json()["code"]) == (401, "partly_signed")
        keyed = server.post("/webhooks/segment", TRACK, headers={"x-write-key": KEY})
        assert (keyed.status_code, keyed.json()["code"]) == (401, "missing_signature")


def stripe(body: bytes, at: float) -> dict[str, str]:
    """A signature with its time, as Stripe makes it."""
    text = str(int(at)).encode() + b"." + body
    found = hmac.new(b"s", text, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={int(at)},v1={found}"}


def test_a_senders_own_way_of_signing_is_a_matter_of_settings(
    tmp_path: Path, redis_url: str, client: redis.Redis
) -> None:
    """Header, payload, prefix; a signature too old for the source's tolerance is refused."""
    toml = """
    [sources.stripe]
    signing_secrets = "s"
    signature_tolerance = 60
    [sources.stripe.signature]
    header = "Stripe-Signature"
    prefix = "v1="
    separator = ","
    payload = "{timestamp}.{body}"
    timestamp_prefix = "t="
    """
    body = b'{"type":"charge.succeeded","data":{"amount":5}}'
    now = time.time()
    with serving(tmp_path, redis_url, toml) as server:
        for at, status, code in ((now, 200, None), (now - 90, 401, "stale_signature")):
            answer = server.post("/webhooks/standard/stripe", body, headers=stripe(body, at))
            assert (answer.status_code, answer.json().get("code")) == (status, code)


def test_formats_that_there_are_not(server: Server) -> None:
    """404 with those that there are."""
    for method in ("POST", "HEAD", "OPTIONS", "GET"):
        for path in ("/webhooks/hubspot", "/webhooks/hubspot/shop"):
            assert server.ask(method, path).status_code == 404
    said = server.post("/webhooks/hubspot", TRACK).json()
    assert said["code"] == "unknown_format"
    assert all(name in said["message"] for name in FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_addresses_can_be_probed(server: Server, name: str) -> None:
    """HEAD and OPTIONS always; an empty POST with a credential; nothing is counted."""
    for path in (f"/webhooks/{name}", f"/webhooks/{name}/shop", f"/webhooks/{name}/"):
        assert server.ask("HEAD", path).status_code == 200
        options = server.ask("OPTIONS", path)
        assert (options.status_code, options.headers["allow"].split(", ")[0]) == (200, "POST")
    empty = server.post(f"/webhooks/{name}", headers={"x-write-key": KEY})
    assert (empty.status_code, empty.json()["received"]) == (200, 0)
    assert server.post(f"/webhooks/{name}").status_code == 401
    assert server.ask("GET", f"/webhooks/{name}").status_code == 405
    assert server.source("shop")["received"] == 0


def test_cloudevents_shake_hands(server: Server) -> None:
    """The sender is allowed by name and at any rate."""
    asked = {"webhook-request-origin": "events.example"}
    answer = server.ask("OPTIONS", "/webhooks/cloudevents", headers=asked)
    assert answer.headers["webhook-allowed-origin"] == "events.example"
    assert answer.headers["webhook-allowed-rate"] == "*"


def test_shopify_signs_the_body_and_names_the_topic_in_a_header(server: Server) -> None:
    """A repeated delivery has the same event id and is a duplicate."""
    body = b'{"id":820982911946154508,"email":"jon@acme.io","line_items":[]}'
    proof = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    headers = {
        "x-shopify-topic": "orders/create",
        "x-shopify-hmac-sha256": proof,
        "x-shopify-event-id": "e-1",
    }
    for _ in range(2):
        assert server.post("/webhooks/shopify/shop", body, headers=headers).status_code == 200
    counts = server.source("shop")
    assert (counts["accepted"], counts["duplicate"]) == (1, 1)


def test_integrations_of_a_relay_are_not_ours_to_obey(server: Server) -> None:
    """Engage sends All false; Segment has decided already that we get the event."""
    event = {**TRACK, "integrations": {"All": False}}
    assert post_signed(server, event).json()["unmatched"] == 0
    assert server.source("shop")["accepted"] == 1


@pytest.mark.parametrize(
    "asked", [{"params": {"results": "1"}}, {"headers": {"prefer": "return=representation"}}]
)
def test_a_function_hears_of_each_event(server: Server, asked: dict[str, Any]) -> None:
    """The array that a Segment Function's onBatch may return as it is."""
    body, headers = signed([TRACK, {"type": "track"}, {**TRACK, "messageId": "m2"}])
    about = {**asked, "headers": {**headers, **asked.get("headers", {})}}
    answer = server.post("/webhooks/segment", body, **about)
    assert answer.status_code == 200
    assert [each["status"] for each in answer.json()] == [200, 400, 200]
    assert "event" in answer.json()[1]["errormessage"]


def test_a_batch_with_a_bad_event_is_no_failure(server: Server) -> None:
    """Segment would send every event again. What happened to each kind is counted."""
    other = {**TRACK, "type": "page", "messageId": "m3"}
    answer = post_signed(server, [TRACK, TRACK, other, {"type": "track"}])
    assert answer.status_code == 200
    said = answer.json()
    assert [bad["index"] for bad in said.pop("rejected")] == [3]
    assert said == {
        "success": True,
        "received": 4,
        "accepted": 3,
        "duplicate": 1,
        "unmatched": 1,
    }


class TestAudiences:
    """Segment's Webhook Audiences: an Engage audience makes its list by itself."""

    @pytest.mark.parametrize(
        ("path", "extras", "about"),
        [
            ("/webhooks/segment/audiences", {}, {"params": {"writeKey": KEY}}),
            ("/webhooks/segment/audiences", {"token": SECRET}, {}),
            ("/webhooks/segment/audiences", {"writeKey": KEY}, {}),
            ("/webhooks/segment/shop/audiences", {"token": KEY}, {}),
            ("/webhooks/segment/audiences", {}, {"headers": {"authorization": f"Bearer {SECRET}"}}),
        ],
    )
    def test_the_list_is_made_once_and_found_again(
        self,
        server: Server,
        klaviyo: FakeKlaviyo,
        path: str,
        extras: dict[str, str],
        about: dict[str, Any],
    ) -> None:
        """The credential stands in the address, a header or the extras."""
        asked = {**extras, "audienceName": "VIPs"}
        made = [server.post(f"{path}/create", asked, **about) for _ in range(2)]
        assert [answer.json() for answer in made] == [{"externalId": "New001"}] * 2
        assert klaviyo.held["New001"] == "VIPs"
        found = server.post(f"{path}/get", {**extras, "externalId": "New001"}, **about)
        assert (found.status_code, found.json()) == (200, {"externalId": "New001"})

    def test_a_list_that_is_gone_is_an_error(self, server: Server) -> None:
        """Segment takes any answer without the id for one; the message says why."""
        asked = {"token": SECRET, "externalId": "Gone00"}
        answer = server.post("/webhooks/segment/audiences/get", asked)
        assert (answer.status_code, answer.json()["code"]) == (404, "list_not_found")

    @pytest.mark.parametrize("extras", [{}, {"token": "guess"}, {"token": "key-of-page"}])
    def test_strangers_and_pages_make_no_lists(
        self, server: Server, klaviyo: FakeKlaviyo, extras: dict[str, str]
    ) -> None:
        """A browser's key is known to everybody."""
        asked = {**extras, "audienceName": "VIPs"}
        answer = server.post("/webhooks/segment/audiences/create", asked)
        assert answer.status_code in (401, 403)
        assert klaviyo.held == {"XyZ123": "Newsletter"}

    def test_klaviyos_trouble_is_told_with_a_time(
        self, server: Server, klaviyo: FakeKlaviyo
    ) -> None:
        """Segment asks again after it."""
        klaviyo.trouble = "no room"
        asked = {"token": SECRET, "audienceName": "VIPs"}
        answer = server.post("/webhooks/segment/audiences/create", asked)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")

    def test_one_list_can_serve_all_audiences(
        self, tmp_path: Path, redis_url: str, client: redis.Redis
    ) -> None:
        """The operator chose it; nothing is made."""
        klaviyo = FakeKlaviyo()
        toml = f'[sources.shop]\nsigning_secrets = "{SECRET}"\naudience_list = "XyZ123"\n'
        with serving(tmp_path, redis_url, toml, klaviyo) as server:
            asked = {"token": SECRET, "audienceName": "VIPs"}
            answer = server.post("/webhooks/segment/audiences/create", asked)
            assert answer.json() == {"externalId": "XyZ123"}
        assert klaviyo.held == {"XyZ123": "Newsletter"}
        assert klaviyo.closed

    def test_extras_are_not_signed_and_not_stored(
        self, tmp_path: Path, redis_url: str, client: redis.Redis
    ) -> None:
        """Segment merges them into each event after it has signed it."""
        toml = (
            f'[sources.shop]\nsigning_secrets = "{SECRET}"\naudience_extras = ["token", "team"]\n'
        )
        body, headers = signed(TRACK)
        merged = body[:-1] + b',"token":"t","team":5}'
        with serving(tmp_path, redis_url, toml) as server:
            answer = server.post("/webhooks/segment", merged, headers=headers)
            assert answer.status_code == 200
        (row,) = client.lrange("destination:default:lane:test/events", 0, -1)
        assert b"token" not in row
