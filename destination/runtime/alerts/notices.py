"""Alerts on their way to people: what is posted, how it is signed, and posting it."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from destination.errors import Unanswered
from destination.event import encode
from destination.runtime.alerts.conditions import Alert
from destination.runtime.delivery.client import Client
from destination.sending import Request

DEADLINE = 5.0
"""Seconds that posting one notice may take."""

Form = Literal["standard", "slack"]


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert that begins (``firing``) or is over (``resolved``); times in unix seconds."""

    kind: Literal["firing", "resolved", "test"]
    alert: Alert
    since: float
    time: float

    @property
    def id(self) -> str:
        """The same however often it is posted, so that a receiver can tell a repetition."""
        told = f"{self.kind}\0{self.alert.key}\0{self.since:.3f}"
        return f"alert_{hashlib.sha256(told.encode()).hexdigest()[:24]}"


def form_of(url: str) -> Form:
    """The form that the receiver at this address understands."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    # Discord and Mattermost take Slack's form too: the one at .../slack, the other at /hooks/...
    slack = host == "slack.com" or host.endswith(".slack.com") or parts.path.endswith("/slack")
    return "slack" if slack else "standard"


def body_of(notice: Notice, form: Form) -> dict[str, Any]:
    """What is posted."""
    alert = notice.alert
    if form == "slack":
        said = {"firing": "Alert", "resolved": "Over", "test": "Test"}[notice.kind]
        return {"text": f"*{said}*: {alert.message}"}
    return {
        "type": f"alert.{notice.kind}",
        "timestamp": _iso(notice.time),
        "data": {
            "alert": alert.name,
            "connection": alert.connection,
            "subject": alert.subject,
            "message": alert.message,
            "value": alert.value,
            "bound": alert.bound,
            "since": _iso(notice.since),
        },
    }


def headers_of(id_: str, body: bytes, secret: str | None, now: float) -> Mapping[str, str]:
    """The headers of Standard Webhooks (standardwebhooks.com, version 1.0.0)."""
    named = {"webhook-id": id_, "webhook-timestamp": f"{now:.0f}"}
    if secret:
        text = b".".join([id_.encode(), named["webhook-timestamp"].encode(), body])
        digest = hmac.digest(_key(secret), text, "sha256")
        named["webhook-signature"] = f"v1,{b64encode(digest).decode()}"
    return named


def post(url: str, notice: Notice, *, form: Form, secret: str | None, now: float) -> str:
    """Post a notice; empty when it was taken, else what went wrong."""
    body = body_of(notice, form)
    parts = urlsplit(url)
    headers = headers_of(notice.id, encode(body), secret, now)
    request = Request(
        "POST",
        parts.path or "/",
        "alert",
        body=body,
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
    )
    base = f"{parts.scheme}://{parts.netloc}"
    try:
        with Client(
            base, {**headers, "content-type": "application/json"}, deadline=DEADLINE
        ) as client:
            status = client.send(request).status
    except Unanswered as error:
        # Its text may hold the address, which is a secret at Slack.
        return f"no answer ({type(error.__cause__).__name__})"
    return "" if 200 <= status < 300 else f"the receiver answered {status}"


def _key(secret: str) -> bytes:
    """The bytes of a secret: base64 after ``whsec_`` as the specification has it, or as it is."""
    try:
        return b64decode(secret.removeprefix("whsec_"), validate=True) or secret.encode()
    except ValueError:
        return secret.encode()


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
