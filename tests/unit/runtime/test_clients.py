"""Requests in the manner of clients that are not recorded here, after their source code."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.unit.runtime.serving import Server, serving

KEY = "TESTWRITEKEY000"
JITSU = "kid:ksecret"
TOML = f"""
[sources.app]
write_keys = ["{KEY}", "{JITSU}"]
"""
IDENTIFY: dict[str, Any] = {
    "type": "identify",
    "userId": "user-1",
    "traits": {"email": "ann@example.com", "city": "Łódź ☕"},
    "messageId": "m-1",
    "timestamp": "2024-05-06T07:08:09.123Z",
}
TRACK: dict[str, Any] = {
    "type": "track",
    "event": "Bought",
    "anonymousId": "anon-1",
    "properties": {"price": 1e-7},
    "messageId": "m-2",
    "timestamp": "2024-05-06T07:08:09+00:00",
}


def basic(user: str) -> str:
    """The header of basic authentication."""
    return "Basic " + base64.b64encode(user.encode()).decode()


@dataclass(frozen=True)
class Sent:
    """A request, and how many events it holds."""

    path: str
    document: Any
    headers: dict[str, str] = field(default_factory=dict)
    events: int = 2
    zipped: bool = False
    mark: bytes = b""
    ascii: bool = True

    def body(self) -> bytes:
        """As bytes on the wire."""
        text = json.dumps(self.document, separators=(",", ":"), ensure_ascii=self.ascii).encode()
        return gzip.compress(text) if self.zipped else self.mark + text


BATCH = {"batch": [IDENTIFY, TRACK], "sentAt": "2024-05-06T07:08:10.000Z"}
KEYED = {**BATCH, "writeKey": KEY}
PHP = [
    {**IDENTIFY, "context": {"library": {"name": "analytics-php", "consumer": "LibCurl"}}},
    {**TRACK, "properties": [], "context": [], "integrations": [], "userId": None},
]
JSON = {"content-type": "application/json"}
PLAIN = {"content-type": "text/plain"}

CLIENTS = {
    "ruby": Sent(
        "/v1/import",
        BATCH,
        {**JSON, "authorization": basic(f"{KEY}:"), "user-agent": "analytics-ruby/2.5.0"},
    ),
    "php": Sent(
        "/v1/batch",
        {"batch": PHP, "sentAt": "2024-05-06T07:08:10+00:00"},
        {**JSON, "authorization": basic(f"{KEY}:"), "expect": "100-continue"},
    ),
    "java": Sent(
        "/v1/import/",
        {**KEYED, "sequence": 3, "context": {"library": {"name": "analytics-java"}}},
        {**JSON, "authorization": basic(f"{KEY}:"), "x-retry-count": "1"},
    ),
    "go": Sent("/v1/batch", {**BATCH, "messageId": "b-1"}, {"authorization": basic(f"{KEY}:")}),
    "dotnet": Sent("/v1/import", KEYED, {**JSON, "authorization": basic(f"{KEY}:")}),
    "dotnet, gzip": Sent(
        "/v1/import",
        KEYED,
        {**JSON, "authorization": basic(f"{KEY}:"), "content-encoding": "gzip"},
        zipped=True,
    ),
    "kotlin": Sent(
        "/v1/b", KEYED, {"content-type": "text/plain", "content-encoding": "gzip"}, zipped=True
    ),
    "swift": Sent("/v1/b", KEYED, {"content-type": "application/json; charset=utf-8"}, ascii=False),
    "csharp": Sent("/v1/b", KEYED, {**PLAIN, "content-encoding": "GZIP"}, zipped=True),
    "android": Sent(
        "/v1/import",
        BATCH,
        {**JSON, "authorization": basic(KEY), "content-encoding": "gzip"},
        zipped=True,
    ),
    "browser, batching": Sent("/v1/b", KEYED, PLAIN, ascii=False),
    "browser, beacon": Sent("/beacon/v1/batch?writeKey=" + KEY, BATCH, PLAIN),
    "browser, one call": Sent(
        "/v1/i",
        {**IDENTIFY, "type": None, "writeKey": KEY, "_metadata": {"bundled": []}},
        PLAIN,
        events=1,
    ),
    "a token beside the key": Sent("/v1/batch", KEYED, {"authorization": "Bearer an.oauth.token"}),
    "rudder, browser": Sent(
        "/v1/track",
        {**TRACK, "channel": "web", "originalTimestamp": TRACK["timestamp"]},
        {
            "content-type": "application/json;charset=UTF-8",
            "authorization": basic(f"{KEY}:"),
            "anonymousid": "YW5vbi0x",
            "sentat": "2024-05-06T07:08:10.000Z",
        },
        events=1,
    ),
    "rudder, gzip that nobody announced": Sent(
        "/v1/batch",
        BATCH,
        {"content-type": "application/x-www-form-urlencoded", "authorization": basic(f"{KEY}:")},
        zipped=True,
    ),
    "jitsu, browser": Sent(
        "/api/s/track",
        {**TRACK, "writeKey": "kid:***", "sentAt": "2024-05-06T07:08:10.000Z"},
        {**JSON, "x-write-key": JITSU, "x-enable-debug": "false"},
        events=1,
    ),
    "jitsu, server": Sent("/api/s/s2s/identify", IDENTIFY, {"x-write-key": JITSU}, events=1),
    "jitsu, basic": Sent("/api/s/s2s/batch", BATCH, {"authorization": basic(JITSU)}),
    "jitsu as segment": Sent("/v1/batch", BATCH, {"authorization": basic(f"{JITSU}:")}),
    "a mark before the text": Sent("/v1/batch", KEYED, mark=b"\xef\xbb\xbf", ascii=False),
    "no content type": Sent("/batch", KEYED),
}


@pytest.fixture
def server(tmp_path: Path, redis_url: str, client: redis.Redis) -> Iterator[Server]:
    """One source with a key of Segment's form and one of Jitsu's."""
    with serving(tmp_path, redis_url, TOML) as found:
        yield found


@pytest.mark.parametrize("sent", CLIENTS.values(), ids=CLIENTS)
def test_whatever_a_client_makes_of_it_is_taken(server: Server, sent: Sent) -> None:
    """All of it, with exactly 200 and an answer that even Ruby's client takes for success."""
    answer = server.post(sent.path, sent.body(), headers=sent.headers)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    counts = server.source("app")
    assert (counts["received"], counts["refused"]) == (sent.events, 0)
    again = server.post(sent.path, sent.body(), headers=sent.headers)
    assert again.json() == {"success": True}
    assert server.source("app")["duplicate"] == sent.events
