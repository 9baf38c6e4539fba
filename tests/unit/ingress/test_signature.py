"""Signatures and shared secrets: real ones pass, forged ones do not, nothing raises."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.ingress.format import Inbound, Options, Scheme, Verdict
from destination.ingress.signature import verify_secret, verify_signature
from tests.unit.ingress.captures import load, lowered

NOW = 1_800_000_000.0
SECRET = "TESTSHAREDSECRET"
SEGMENT = Scheme(header="x-signature", algorithm="sha1", payload="segment_first")
GITHUB = Scheme(header="x-hub-signature-256", prefix="sha256=")
STRIPE = Scheme(
    header="stripe-signature",
    prefix="v1=",
    separator=",",
    payload="{timestamp}.{body}",
    timestamp_prefix="t=",
)
STANDARD = Scheme(
    header="webhook-signature",
    encoding="base64",
    prefix="v1,",
    separator=" ",
    payload="{id}.{timestamp}.{body}",
    id_header="webhook-id",
    timestamp_header="webhook-timestamp",
    base64_secret=True,
)
WHSEC = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def judge(
    body: bytes,
    headers: Mapping[str, str],
    scheme: Scheme = SEGMENT,
    secrets: tuple[str, ...] = (SECRET,),
    **options: Any,
) -> Verdict:
    inbound = Inbound("segment", body, datetime.now(UTC), headers)
    return verify_signature(inbound, secrets, NOW, Options(**options), scheme)


def sha1(text: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), text, hashlib.sha1).hexdigest()


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


CAPTURED = [
    (name.removeprefix("segment-destination-webhook-"), request)
    for name in ("segment-destination-webhook-actions", "segment-destination-webhook-extensible")
    for request in load(name)["requests"]
]


@pytest.mark.parametrize(("name", "request_"), CAPTURED)
def test_signatures_made_by_segments_own_code_are_verified(
    name: str, request_: dict[str, Any]
) -> None:
    """One event is covered whole, of a batch the first event."""
    batch = isinstance(request_["body"], list)
    raw = request_["raw_text"].encode()
    verdict = judge(raw, lowered(request_))
    assert verdict == Verdict(True, "partly_signed" if batch else "verified")
    strict = judge(raw, lowered(request_), require_full_signature=True)
    assert strict.accepted is not batch
    assert not judge(raw, lowered(request_), secrets=("other",)).accepted


@pytest.mark.parametrize(("name", "request_"), CAPTURED)
def test_a_changed_event_is_refused(name: str, request_: dict[str, Any]) -> None:
    """One byte of the signed event is enough, wherever it stands."""
    raw = request_["raw_text"].encode()
    for old, new in ((b"anon-1", b"anon-2"), (b"39.95", b"39.950"), (b'"m-1"', b'"m-3"')):
        if old in raw:
            assert judge(raw.replace(old, new, 1), lowered(request_)).code == "invalid_signature"
    assert not judge(b" " + raw[:1] + b"1," + raw[1:], lowered(request_)).accepted


def test_events_appended_to_a_signed_one_are_seen() -> None:
    """Segment signs the first only, so the rest is worth what the verdict says."""
    event = compact({"type": "track", "event": "E"})
    headers = {"x-signature": sha1(event)}
    assert judge(b"[" + event + b"]", headers).code == "verified"
    forged = b"[" + event + b',{"type":"track","event":"Forged"}]'
    assert judge(forged, headers) == Verdict(True, "partly_signed")
    assert not judge(forged, headers, require_full_signature=True).accepted
    assert not judge(b'[{"type":"track"},' + event + b"]", headers).accepted


def test_numbers_are_not_written_anew() -> None:
    """JavaScript prints 1e-7 and 1, Python 1e-07 and 1.0; keys keep their order."""
    event = b'{"z":1e-7,"a":1.0,"u":"\\u0141"}'
    headers = {"x-signature": sha1(event)}
    assert judge(b'[{"json":' + event + b"}]", headers).accepted
    assert not judge(b'[{"json":{"z":1e-07,"a":1.0,"u":"\\u0141"}}]', headers).accepted


def test_of_equal_keys_the_one_that_is_read_must_be_signed() -> None:
    """A reader takes the last of them, so a signed first one is no proof."""
    event = compact({"type": "track"})
    headers = {"x-signature": sha1(event)}
    assert not judge(b'[{"json":' + event + b',"json":{"type":"x"}}]', headers).accepted


def test_a_signed_event_inside_another_proves_nothing() -> None:
    """Only a wrapping that is taken off by the reader may hold what is signed."""
    event = compact({"type": "track"})
    forged = b'[{"json":' + event + b',"type":"track","event":"Forged"}]'
    assert not judge(forged, {"x-signature": sha1(event)}).accepted


def test_members_added_after_signing_are_set_aside() -> None:
    """Webhook Audiences merges its extras into events that are signed already."""
    event = {"type": "track", "event": "Audience Entered", "properties": {"price": 1.5}}
    headers = {"x-signature": sha1(compact(event))}
    sent = compact({**event, "team": "growth", "env": {"a": 1}})
    extras = ("team", "env")
    assert judge(sent, headers, extras=extras).code == "verified"
    assert judge(b"[" + sent + b"]", headers, extras=extras).code == "verified"
    assert judge(b"[" + sent + b",{}]", headers, extras=extras).code == "partly_signed"
    assert not judge(sent, headers).accepted
    assert not judge(sent, headers, extras=("env",)).accepted
    assert not judge(sent.replace(b"Entered", b"Exited"), headers, extras=extras).accepted


@pytest.mark.parametrize("secrets", [("new", SECRET), (SECRET, "new"), ("a", "b", SECRET)])
def test_a_secret_can_be_changed_without_a_gap(secrets: tuple[str, ...]) -> None:
    """Each of several secrets is good until it is removed."""
    assert judge(b"{}", {"x-signature": sha1(b"{}")}, secrets=secrets).code == "verified"
    others = tuple(secret for secret in secrets if secret != SECRET)
    assert not judge(b"{}", {"x-signature": sha1(b"{}")}, secrets=others).accepted


def test_without_a_secret_nothing_is_judged() -> None:
    """The verdict says so."""
    assert judge(b"{}", {}, secrets=()) == Verdict(True, "unsigned")


def test_upper_case_hex_is_the_same_signature() -> None:
    """Some senders write it so."""
    assert judge(b"{}", {"x-signature": sha1(b"{}").upper()}).accepted


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "missing_signature"),
        ("0", "invalid_signature"),
        (sha1(b"{}")[:-1], "invalid_signature"),
        (sha1(b"{}") + "00", "invalid_signature"),
        (sha1(b"{}")[:-2] + "  ", "invalid_signature"),
        (sha1(b"{}", "other"), "invalid_signature"),
        ("ü" * 40, "invalid_signature"),
        ("٣" * 40, "invalid_signature"),
        ("ab" * 100_000, "invalid_signature"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_not_the_signature_is_refused(value: str, code: str) -> None:
    """Short, long, of another, in other letters: refused and never an error."""
    verdict = judge(b"{}", {"x-signature": value})
    assert (verdict.accepted, verdict.code) == (False, code)
    assert "x-signature" in verdict.message


def test_github_and_stripe_are_only_settings() -> None:
    """A prefix, several parts, a time in the same header."""
    body = b'{"a":1}'
    digest = hmac.new(b"s", body, hashlib.sha256).hexdigest()
    assert judge(body, {GITHUB.header: f"sha256={digest}"}, GITHUB, ("s",)).accepted
    assert not judge(body, {GITHUB.header: digest}, GITHUB, ("s",)).accepted
    stamp = int(NOW)
    good = hmac.new(b"s", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    value = f"t={stamp},v0=00,v1=00,v1={good}"
    assert judge(body, {STRIPE.header: value}, STRIPE, ("s",)).accepted
    assert not judge(body, {STRIPE.header: value.replace("t=", "t=1")}, STRIPE, ("s",)).accepted
    assert judge(body, {STRIPE.header: f"v1={good}"}, STRIPE, ("s",)).code == "missing_signature"


def standard(
    body: bytes = b"{}", stamp: Any = int(NOW), signature: str | None = None, name: str = "msg_1"
) -> Verdict:
    key = base64.b64decode(WHSEC.removeprefix("whsec_"))
    signed = hmac.new(key, f"msg_1.{stamp}.".encode() + b"{}", hashlib.sha256).digest()
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(stamp),
        "webhook-signature": signature or "v1," + base64.b64encode(signed).decode(),
    }
    return judge(body, headers, STANDARD, (WHSEC,))


def test_the_published_example_of_standard_webhooks_is_verified() -> None:
    """The test vector of the specification's reference libraries."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    inbound = Inbound("", b'{"test": 2432232314}', datetime.now(UTC), headers)
    secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    for form in (secret, f"whsec_{secret}"):
        verdict = verify_signature(inbound, (form,), 1614265330.5, Options(), STANDARD)
        assert verdict.code == "verified"


def test_standard_webhooks_cover_id_time_and_body() -> None:
    """Changing any of them breaks the signature."""
    assert standard().code == "verified"
    assert standard(body=b"[]").code == "invalid_signature"
    assert standard(name="msg_2").code == "invalid_signature"


@pytest.mark.parametrize("skew", [-300, 300])
def test_a_replay_within_the_tolerance_passes(skew: int) -> None:
    """It is the messageId that keeps it from counting twice."""
    assert standard(stamp=int(NOW) + skew).accepted


@pytest.mark.parametrize(("skew", "side"), [(-301, "behind"), (301, "ahead"), (3600, "ahead")])
def test_a_replay_outside_the_tolerance_is_refused(skew: int, side: str) -> None:
    """The message names the skew, so that a wrong clock is found."""
    verdict = standard(stamp=int(NOW) + skew)
    assert verdict.code == "stale_signature"
    assert f"{abs(skew)} s {side}" in verdict.message


@pytest.mark.parametrize("stamp", ["nan", "inf", "-1", "", "1e9", "١٨٠٠٠٠٠٠٠٠", "9" * 400, " 1"])
def test_a_time_that_is_none_is_refused(stamp: str) -> None:
    """Only plain digits are a unix time."""
    assert standard(stamp=stamp).code == "missing_signature"


@pytest.mark.parametrize(
    "signature",
    [
        "v1",
        "v1,",
        "v1,,AAAA",
        "v1,!!!",
        "v1,ü",
        "v1a,AAAA",
        "v2,AAAA",
        "AAAA",
        " ".join(["v1,AAAA"] * 10_000),
        "v1," + "A" * 1_000_000,
    ],
    ids=lambda value: value[:12],
)
def test_hostile_signature_headers_are_refused_quietly(signature: str) -> None:
    """Never an error, whatever stands there."""
    assert standard(signature=signature).code == "invalid_signature"


def test_one_good_signature_among_several_is_enough() -> None:
    """A sender that changes its secret sends one for each."""
    key = base64.b64decode(WHSEC.removeprefix("whsec_"))
    signed = hmac.new(key, f"msg_1.{int(NOW)}.{{}}".encode(), hashlib.sha256).digest()
    good = base64.b64encode(signed).decode()
    assert standard(signature=f"v1a,AAAA v1,AAAA v1,{good}").accepted


def by_secret(value: str, secrets: tuple[str, ...] = ("s3cret",), **options: Any) -> Verdict:
    inbound = Inbound("", b"{}", datetime.now(UTC), {"authorization": value, "x-secret": value})
    return verify_secret(inbound, secrets, NOW, Options(**options))


@pytest.mark.parametrize(
    "value",
    [
        "s3cret",
        "Bearer s3cret",
        "bearer s3cret",
        "Basic " + base64.b64encode(b"s3cret:").decode(),
        "Basic " + base64.b64encode(b"s3cret").decode(),
    ],
)
def test_a_shared_secret_may_come_in_several_forms(value: str) -> None:
    """Senders without signatures let their users set a header."""
    assert by_secret(value).code == "verified"
    assert by_secret(value, secrets=("old", "s3cret")).code == "verified"
    assert by_secret(value, secrets=("s3cre",)).code == "invalid_signature"
    assert by_secret(value, credential_header="x-secret").code == "verified"
    assert by_secret(value, credential_header="x-other").code == "missing_signature"


@pytest.mark.parametrize("value", ["s3cret ", "S3CRET", "s3cre", "Bearer", "Basic ü", "x" * 99_999])
def test_any_other_secret_is_refused(value: str) -> None:
    """Nearly is not enough."""
    assert by_secret(value).code == "invalid_signature"
    assert by_secret("").code == "missing_signature"
    assert by_secret("", secrets=()).code == "unsigned"


@given(st.text(), st.text(), st.text(), st.binary(max_size=60), st.text(min_size=1))
def test_nothing_raises(value: str, stamp: str, name: str, body: bytes, secret: str) -> None:
    """Whatever a stranger sends, the answer is a verdict."""
    headers = {
        "x-signature": value,
        "authorization": value,
        "webhook-signature": "v1," + value,
        "webhook-timestamp": stamp,
        "webhook-id": name,
        "stripe-signature": f"t={stamp},v1={value}",
    }
    for scheme in (SEGMENT, STRIPE, STANDARD):
        assert not judge(body, headers, scheme, (secret,), extras=(name,)).accepted
    inbound = Inbound("", body, datetime.now(UTC), headers)
    assert verify_secret(inbound, (secret + value + "x",), NOW, Options()).accepted is False
