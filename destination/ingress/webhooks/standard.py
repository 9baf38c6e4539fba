"""Standard Webhooks, as Svix and many others send them: ``{"type", "timestamp", "data"}``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from destination.ingress.credentials import write_key
from destination.ingress.format import Format, Inbound, Options, Parsed, Scheme, Verdict
from destination.ingress.messages import arrival_of, explode
from destination.ingress.signature import verify_signature
from destination.ingress.webhooks.messages import as_properties, read_document

SCHEME = Scheme(
    header="webhook-signature",
    encoding="base64",
    prefix="v1,",
    separator=" ",
    payload="{id}.{timestamp}.{body}",
    id_header="webhook-id",
    timestamp_header="webhook-timestamp",
    base64_secret=True,
)
"""HMAC-SHA256 over id, time and body. Ed25519 signatures (``v1a``) are not looked at."""


def parse(inbound: Inbound, options: Options) -> Parsed:
    """One track event: named by ``type``, with ``data`` as properties, known by ``webhook-id``."""
    document = read_document(inbound, options)
    key = write_key(inbound.headers, inbound.query, document)
    if document is None:
        return Parsed((), (), key)
    message = _message(document, inbound) if type(document) is dict else document
    arrival = arrival_of(inbound, from_client=False)
    return explode([message], arrival, inbound, options.limits, key)


def _message(document: dict[str, Any], inbound: Inbound) -> dict[str, Any]:
    message = {
        "type": "track",
        "event": document.get("type"),
        "properties": as_properties(document.get("data")),
    }
    if "timestamp" in document:
        message["timestamp"] = document["timestamp"]
    if inbound.headers.get("webhook-id"):
        message["messageId"] = inbound.headers["webhook-id"]
    return message


def verify(inbound: Inbound, secrets: Sequence[str], now: float, options: Options) -> Verdict:
    """Judge ``webhook-signature``, within ``options.tolerance`` of now."""
    return verify_signature(inbound, secrets, now, options, SCHEME)


FORMAT = Format(
    name="standard",
    description="Standard Webhooks: Svix and others",
    parse=parse,
    verify=verify,
)
