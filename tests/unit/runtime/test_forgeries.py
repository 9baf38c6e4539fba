"""Every way of signing over HTTP: the genuine request is taken, each forgery of it is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.unit.runtime.serving import Server, serving

OLD, NEW, STRANGE = "the-old-secret", "the-new-secret", "a-strangers-secret"
WHSEC = {name: "whsec_" + base64.b64encode(name.encode() * 2).decode() for name in (OLD, NEW)}
TOML = f"""
[sources.segment]
signing_secrets = ["{NEW}", "{OLD}"]
audience_extras = ["token"]
[sources.strict]
signing_secrets = ["{NEW}", "{OLD}"]
require_full_signature = true
[sources.shopify]
signing_secrets = ["{NEW}", "{OLD}"]
[sources.standard]
signing_secrets = ["{WHSEC[NEW]}", "{WHSEC[OLD]}"]
[sources.stripe]
signing_secrets = ["{NEW}", "{OLD}"]
[sources.stripe.signature]
header = "stripe-signature"
prefix = "v1="
separator = ","
payload = "{{timestamp}}.{{body}}"
timestamp_prefix = "t="
[sources.github]
signing_secrets = ["{NEW}", "{OLD}"]
[sources.github.signature]
header = "x-hub-signature-256"
prefix = "sha256="
"""
EVENT = {"type": "track", "event": "Bought", "userId": "u", "messageId": "m-1"}
OTHER = {**EVENT, "messageId": "m-2"}
TYPED = {"type": "track", "data": {"amount": 5}}
Headers = dict[str, str]
Sign = Callable[[bytes, str, int], Headers]


def compact(document: Any) -> bytes:
    """JSON as JavaScript prints it."""
    return json.dumps(document, separators=(",", ":")).encode()


def hexed(name: str, prefix: str = "", algorithm: str = "sha1", covers: Any = None) -> Sign:
    """A signature in hexadecimal digits, over ``covers`` instead of the body if that is given."""

    def sign(body: bytes, secret: str, _at: int) -> Headers:
        text = compact(covers) if covers is not None else body
        return {name: prefix + hmac.new(secret.encode(), text, algorithm).hexdigest()}

    return sign


def shopify(body: bytes, secret: str, _at: int) -> Headers:
    """Base64, with the topic in a header of its own."""
    found = hmac.digest(secret.encode(), body, "sha256")
    return {
        "x-shopify-hmac-sha256": base64.b64encode(found).decode(),
        "x-shopify-topic": "carts/update",
    }


def standard(body: bytes, secret: str, at: int) -> Headers:
    """Over id, time and body; the secret is base64 itself."""
    text = b"msg_1." + str(at).encode() + b"." + body
    found = base64.b64encode(hmac.digest(secret.encode() * 2, text, "sha256")).decode()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{found}",
    }


def stripe(body: bytes, secret: str, at: int) -> Headers:
    """Over time and body, both in one header."""
    text = str(at).encode() + b"." + body
    return {
        "stripe-signature": f"t={at},v1={hmac.new(secret.encode(), text, 'sha256').hexdigest()}"
    }


@dataclass(frozen=True)
class Form:
    """A sender's way: where it posts, what, how it signs, and in which header."""

    path: str
    body: bytes
    sign: Sign
    header: str
    timed: bool = False


X = "x-signature"
FORMS = {
    "segment, one event": Form("segment/segment", compact(EVENT), hexed(X), X),
    "segment, a batch": Form("segment/segment", compact([EVENT, OTHER]), hexed(X, covers=EVENT), X),
    "segment, extensible": Form(
        "segment/segment", compact([{"json": EVENT}, {"json": OTHER}]), hexed(X, covers=EVENT), X
    ),
    "segment, extras": Form(
        "segment/segment", compact({**EVENT, "token": "t"}), hexed(X, covers=EVENT), X
    ),
    "segment, strict": Form("segment/strict", compact(EVENT), hexed(X), X),
    "segment, strict array of one": Form(
        "segment/strict", compact([EVENT]), hexed(X, covers=EVENT), X
    ),
    "shopify": Form("shopify/shopify", compact({"id": 7}), shopify, "x-shopify-hmac-sha256"),
    "standard": Form(
        "standard/standard", compact(TYPED), standard, "webhook-signature", timed=True
    ),
    "stripe": Form("standard/stripe", compact(TYPED), stripe, "stripe-signature", timed=True),
    "github": Form(
        "standard/github",
        compact(TYPED),
        hexed("x-hub-signature-256", "sha256=", "sha256"),
        "x-hub-signature-256",
    ),
}
EVERY = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
TIMED = pytest.mark.parametrize(
    "form", [form for form in FORMS.values() if form.timed], ids=["standard", "stripe"]
)


@pytest.fixture
def server(tmp_path: Path, redis_url: str, client: redis.Redis) -> Iterator[Server]:
    """A source for each sender, in the middle of a change of its secret."""
    with serving(tmp_path, redis_url, TOML) as found:
        yield found


def status(server: Server, form: Form, headers: Headers, body: bytes | None = None) -> str:
    """``200``, or the code of the refusal; what is refused leaves no trace."""
    answer = server.post(f"/webhooks/{form.path}", body or form.body, headers=headers)
    name = form.path.rpartition("/")[2]
    if answer.status_code == 200:
        assert server.source(name)["received"] > 0
        return "200"
    assert answer.status_code == 401, answer.text
    assert server.source(name)["received"] == 0
    return str(answer.json()["code"])


def now() -> int:
    """Whole unix seconds."""
    return int(time.time())


@EVERY
@pytest.mark.parametrize("secret", [OLD, NEW])
def test_the_genuine_request_is_taken_with_either_secret(
    server: Server, form: Form, secret: str
) -> None:
    """Two are valid at once, so that one can be changed without a gap."""
    assert status(server, form, form.sign(form.body, secret, now())) == "200"


@EVERY
@pytest.mark.parametrize("header", [None, ""])
def test_without_a_signature_nothing_is_taken(
    server: Server, form: Form, header: str | None
) -> None:
    """Neither without the header nor with an empty one."""
    headers = form.sign(form.body, NEW, now())
    del headers[form.header]
    if header is not None:
        headers[form.header] = header
    assert status(server, form, headers) == "missing_signature"


def changed(text: str, at: int) -> str:
    """The text with another letter or digit there."""
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]


FORGERIES: dict[str, Callable[[str], str]] = {
    "another first digit": lambda value: (
        value[: value.rfind("=", 0, -3) + 1] + changed(value[value.rfind("=", 0, -3) + 1 :], 8)
    ),
    "cut short": lambda value: value[:-4],
    "longer": lambda value: value + "00",
    "no digits": lambda value: "z" * len(value),
    "nothing behind the prefix": lambda value: value[: value.rfind("=", 0, -3) + 1] or "0",
}


@EVERY
@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_signature_that_is_not_the_signature_is_refused(
    server: Server, form: Form, forge: Callable[[str], str]
) -> None:
    """Not one digit may differ. Stripe's header holds a time, which may get lost as well."""
    headers = form.sign(form.body, NEW, now())
    headers[form.header] = forge(headers[form.header])
    codes = ("invalid_signature", "stale_signature", "missing_signature")
    assert status(server, form, headers) in codes


@EVERY
def test_a_strangers_secret_is_refused(server: Server, form: Form) -> None:
    """And one that was valid before the two."""
    assert status(server, form, form.sign(form.body, STRANGE, now())) == "invalid_signature"


@EVERY
def test_a_changed_body_is_refused(server: Server, form: Form) -> None:
    """Every byte of what is signed counts, wherever it stands, and so does a new member."""
    headers = form.sign(form.body, NEW, now())
    start = max(0, form.body.find(b'{"type"'))
    end = form.body.find(b"}", start)
    for place in range(start, end, 7):
        letter = form.body[place : place + 1]
        body = form.body[:place] + (b"8" if letter.isdigit() else b"9") + form.body[place + 1 :]
        if body != form.body:
            assert status(server, form, headers, body) == "invalid_signature", body
    longer = form.body[: start + 1] + b'"x":1,' + form.body[start + 1 :]
    assert status(server, form, headers, longer) == "invalid_signature"


@EVERY
def test_the_signature_of_another_request_is_refused(server: Server, form: Form) -> None:
    """Genuine, of the same sender and secret, and of other bytes."""
    headers = FORMS["segment, one event"].sign(b"{}", NEW, now()) | form.sign(b"{}", NEW, now())
    covered = form.sign(form.body, NEW, now()) == form.sign(b"{}", NEW, now())
    if covered:  # signs an event and not the body: the other order of events is another request
        headers[form.header] = hmac.new(NEW.encode(), compact(OTHER), hashlib.sha1).hexdigest()
    assert status(server, form, headers) == "invalid_signature"


@TIMED
@pytest.mark.parametrize("age", [-290, 0, 290])
def test_a_replay_within_the_tolerance_is_taken(server: Server, form: Form, age: int) -> None:
    """Five minutes without another setting, for clocks that differ."""
    assert status(server, form, form.sign(form.body, NEW, now() - age)) == "200"


@TIMED
@pytest.mark.parametrize("age", [-400, 400, 86_400])
def test_a_replay_outside_the_tolerance_is_refused(server: Server, form: Form, age: int) -> None:
    """Though its signature is genuine."""
    assert status(server, form, form.sign(form.body, NEW, now() - age)) == "stale_signature"


@TIMED
def test_an_old_signature_under_a_new_time_is_refused(server: Server, form: Form) -> None:
    """The time is signed as well."""
    then, today = str(now() - 400), str(now())
    headers = {
        name: value.replace(then, today)
        for name, value in form.sign(form.body, NEW, int(then)).items()
    }
    assert status(server, form, headers) == "invalid_signature"


def test_the_id_is_signed_as_well(server: Server) -> None:
    """A delivery under another id would count as another event."""
    form = FORMS["standard"]
    headers = form.sign(form.body, NEW, now()) | {"webhook-id": "msg_2"}
    assert status(server, form, headers) == "invalid_signature"


@pytest.mark.parametrize("wrap", [lambda each: each, lambda each: {"json": each}])
def test_a_strict_source_refuses_what_is_signed_in_part(
    server: Server, wrap: Callable[[Any], Any]
) -> None:
    """Whoever saw one signed event could have added the second."""
    body = compact([wrap(EVENT), wrap(OTHER)])
    form = Form("segment/strict", body, hexed(X, covers=EVENT), X)
    assert status(server, form, form.sign(body, NEW, now())) == "partly_signed"
