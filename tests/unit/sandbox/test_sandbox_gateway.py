"""The checks before any operation: route, key, revision, scopes, limits, media type, size, JSON."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.unit.sandbox.api import Api, errors, profile

BODY = json.dumps(profile(email="a@acme.io")).encode()


def codes(api: Api, method: str, url: str, **given: Any) -> tuple[int, str]:
    """Status and first error code."""
    reply = api.send(method, url, **given)
    return reply.status, json.loads(reply.body)["errors"][0]["code"]


def test_paths_and_methods(api: Api) -> None:
    """With and without a trailing slash it is the same; a redirect is never given."""
    assert api.send("POST", "/api/profiles/", raw=BODY).status == 201
    assert api.send("GET", "/api/profiles").status == 200
    assert codes(api, "GET", "/api/nothing") == (404, "not_found")
    assert codes(api, "DELETE", "/api/profiles") == (405, "method_not_allowed")
    assert api.send("DELETE", "/api/profiles").headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "not_authenticated"),
        ("Bearer pk_x", "not_authenticated"),
        ("Klaviyo-API-Key sk_x", "authentication_failed"),
        ("Klaviyo-API-Key pk_gone", "authentication_failed"),
    ],
)
def test_keys(api: Api, header: str, code: str) -> None:
    """Any key that begins with pk_ is let in, unless it was revoked."""
    api.sandbox.command("keys", {"key": "pk_gone", "revoked": True})
    assert codes(api, "GET", "/api/accounts", headers={"authorization": header}) == (401, code)


def test_only_known_keys_when_the_switch_says_so(api: Api) -> None:
    """And a key may open an account of its own, with a state of its own."""
    api.sandbox.command("switches", {"accept_any_key": False})
    api.sandbox.command("keys", [{"key": "pk_test"}, {"key": "pk_two", "account": "two"}])
    two = {"authorization": "Klaviyo-API-Key pk_two"}
    assert (
        codes(api, "GET", "/api/lists", headers={"authorization": "Klaviyo-API-Key pk_3"})[0] == 401
    )
    api.profile(email="a@acme.io")
    assert api.send("POST", "/api/profiles", raw=BODY, headers=two).status == 201
    assert [api.sandbox.counts(name)["profiles"] for name in ("main", "two")] == [1, 1]


def test_scopes(api: Api) -> None:
    """A key without the scope is refused by name of it."""
    api.sandbox.command("keys", {"key": "pk_test", "scopes": ["profiles:read"]})
    api.get("/api/profiles")
    found = errors(api.post("/api/profiles", profile(email="a@acme.io"), status=403))
    assert found == [("Your API key is missing required scopes: profiles:write", "/data/")]


def test_the_order_of_checks(api: Api) -> None:
    """A request with every fault is told of them one by one, the outermost first."""
    api.sandbox.command("keys", {"key": "pk_small", "scopes": []})
    small = {"authorization": "Klaviyo-API-Key pk_small"}
    worst = {"authorization": "", "revision": "", "content-type": "text/plain"}
    raw = b"x" * 5_000_001
    steps: list[tuple[dict[str, str], int]] = [
        ({}, 401),
        (small, 400),
        ({**small, "revision": "2026-07-15"}, 403),
        ({"authorization": "Klaviyo-API-Key pk_x", "revision": "2026-07-15"}, 415),
    ]
    for step, status in steps:
        reply = api.send("POST", "/api/profiles", raw=raw, headers={**worst, **step})
        assert reply.status == status, step
    assert api.send("POST", "/api/profiles", raw=raw).status == 413
    assert api.send("POST", "/api/profiles", raw=b"{").status == 400
    assert api.send("POST", "/api/profiles", raw=b'{"data":NaN}').status == 400
    assert api.send("POST", "/api/profiles", raw=b"[" * 100_000).status == 400


def test_media_types_and_encodings(api: Api) -> None:
    """Both JSON types pass, with parameters; gzip is taken, its bombs are not."""
    for media in ("application/json; charset=utf-8", "application/vnd.api+json"):
        body = profile(email=f"a{len(media)}@acme.io")
        reply = api.send("POST", "/api/profiles", body, headers={"content-type": media})
        assert reply.status == 201
        assert reply.headers["content-type"] == "application/vnd.api+json"
    packed = {"content-encoding": "gzip"}
    assert api.send("POST", "/api/profiles", raw=gzip.compress(BODY), headers=packed).status == 201
    bomb = gzip.compress(b" " * 50_000_000)
    assert api.send("POST", "/api/profiles", raw=bomb, headers=packed).status == 413
    assert api.send("POST", "/api/profiles", raw=b"no gzip", headers=packed).status == 400
    odd = {"content-encoding": "br"}
    assert api.send("POST", "/api/profiles", raw=BODY, headers=odd).status == 415


def test_a_body_may_have_5_megabytes(api: Api) -> None:
    """To the byte."""
    big = profile(email="a@acme.io", properties={"x": ""})
    text = json.dumps(big).encode()
    api.switches.update({"profile_bytes": 6_000_000})
    full = text.replace(b'"x": ""', b'"x": "' + b"x" * (5_000_000 - len(text)) + b'"')
    assert len(full) == 5_000_000
    assert api.send("POST", "/api/profiles", raw=full + b" ").status == 413
    assert api.send("POST", "/api/profiles", raw=full).status == 201


def test_limits_count_by_second_and_minute(api: Api) -> None:
    """A 429 has Retry-After and no other such header; others describe the minute."""
    api.clock.advance(0.25)
    for left in range(10, 0, -1):
        headers = api.send("GET", "/api/metrics").headers
        assert headers["RateLimit-Limit"] == "150"
        assert headers["RateLimit-Remaining"] == str(139 + left)
        assert headers["RateLimit-Reset"] == "60"
    reply = api.send("GET", "/api/metrics")
    assert reply.status == 429
    assert {name for name in reply.headers if name != "content-type"} == {"retry-after"}
    assert reply.headers["retry-after"] == "1"
    error = json.loads(reply.body)["errors"][0]
    assert (error["code"], error["title"]) == ("throttled", "Request was throttled.")
    assert error["detail"] == "Request was throttled. Expected available in 1 second."
    assert api.send("GET", "/api/lists").status == 200
    api.clock.advance(0.75)
    assert api.send("GET", "/api/metrics").status == 200


def test_a_minute_runs_out_before_its_seconds(api: Api) -> None:
    """15 a minute at one a second: the 16th waits for the minute."""
    for _ in range(15):
        assert api.send("GET", "/api/accounts").status == 200
        api.clock.advance(1)
    assert api.send("GET", "/api/accounts").headers["retry-after"] == "45"
    api.clock.advance(45)
    assert api.send("GET", "/api/accounts").status == 200


def test_limits_are_scaled_and_switched_off(api: Api) -> None:
    """For speed tests; keys of one account share what there is."""
    other = {"authorization": "Klaviyo-API-Key pk_other"}
    assert api.send("GET", "/api/accounts").status == 200
    assert api.send("GET", "/api/accounts", headers=other).status == 429
    api.switches.update({"limit_scale": 3.0})
    assert [api.send("GET", "/api/accounts").status for _ in range(3)] == [200, 200, 429]
    api.switches.update({"limits": "off"})
    reply = api.send("GET", "/api/accounts")
    assert reply.status == 200
    assert "RateLimit-Limit" not in reply.headers


def test_dear_parameters_have_limits_of_their_own(api: Api) -> None:
    """predictive_analytics: ten a second, whichever endpoint; the endpoint itself goes on."""
    news = api.list()
    dear = "additional-fields[profile]=predictive_analytics"
    for _ in range(5):
        api.get(f"/api/profiles?{dear}")
        api.get(f"/api/lists/{news}/profiles?{dear}")
    api.get(f"/api/profiles?{dear}", status=429)
    api.get("/api/profiles")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("include=profiless", "include"),
        ("nope=1", "nope"),
        ("sort=title", "sort"),
        ("fields[profile]=nope", "fields[profile]"),
        ("page[size]=101", "page[size]"),
        ("page[size]=0", "page[size]"),
        ("page[size]=x", "page[size]"),
        ("page[cursor]=x", "page[cursor]"),
        ("filter=equals(title,'x')", "filter"),
        ("filter=contains(email,'x')", "filter"),
        ("filter=equals(email,'x'", "filter"),
        ("filter=equals(email,\"x'),", "filter"),
        ("filter=greater-than(created,soon)", "filter"),
        ("filter=nonsense", "filter"),
        ("filter=equals(email,'a@acme.io'))", "filter"),
        (f"filter={'and(' * 2000}", "filter"),
    ],
)
def test_bad_parameters_are_named(api: Api, query: str, parameter: str) -> None:
    """400 with the parameter in the source."""
    reply = api.send("GET", f"/api/profiles?{query}")
    assert reply.status == 400
    assert errors(json.loads(reply.body))[0][1] == parameter


def test_values_in_filters_are_quoted_and_escaped(api: Api) -> None:
    """What a value holds can never become another condition."""
    odd = 'x","y)\\'
    ann = api.profile(external_id=odd)
    api.profile(external_id="y")
    text = json.dumps(odd).replace("+", "%2B")
    for operator in (f"equals(external_id,{text})", f"any(external_id,[{text}, 'z'])"):
        found = api.get(f"/api/profiles?filter={operator}")["data"]
        assert [each["id"] for each in found] == [ann]
    both = f"and(equals(external_id,{text}),greater-than(created,2020-01-01T00:00:00Z))"
    assert len(api.get(f"/api/profiles?filter={both}")["data"]) == 1
    both = f"equals(external_id,{text}),less-than(created,2020-01-01T00:00:00Z)"
    assert api.get(f"/api/profiles?filter={both}")["data"] == []
