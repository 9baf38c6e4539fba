"""CloudEvents 1.0 over HTTP: binary, structured and batched.

Each becomes a track event: named by ``type``, with ``data`` as properties, at ``time``, known by
``source`` and ``id`` together. All attributes stand in ``context.cloudevent``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from destination.ingress.credentials import write_key
from destination.ingress.encoding import too_large
from destination.ingress.format import Format, Inbound, Options, Parsed
from destination.ingress.messages import arrival_of, check_count, explode
from destination.ingress.signature import verify_secret
from destination.ingress.webhooks.messages import as_properties, read_document

_DATA = ("data", "data_base64")


def parse(inbound: Inbound, options: Options) -> Parsed:
    """The events of one request. In binary mode the attributes are ``ce-`` headers."""
    if inbound.headers.get("ce-id"):
        items: list[Any] = [_binary(inbound, options)]
    else:
        document = read_document(inbound, options)
        items = document if type(document) is list else [] if document is None else [document]
    check_count(items, options.limits)
    return explode(
        items,
        arrival_of(inbound, from_client=False),
        inbound,
        options.limits,
        write_key(inbound.headers, inbound.query, None),
        prepare=_message,
    )


def handshake(headers: Mapping[str, str]) -> dict[str, str]:
    """What allows a sender to send: the answer to its OPTIONS request, at any rate."""
    origin = headers.get("webhook-request-origin")
    if not origin:
        return {}
    return {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}


def _binary(inbound: Inbound, options: Options) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        name.removeprefix("ce-"): unquote(value)
        for name, value in inbound.headers.items()
        if name.startswith("ce-")
    }
    kind = inbound.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return {**attributes, "data": read_document(inbound, options)}
    if len(inbound.body) > options.limits.body_bytes:
        raise too_large(options.limits.body_bytes)
    return {**attributes, "data": inbound.body.decode("utf-8", "replace")}


def _message(cloudevent: Any) -> Any:
    if type(cloudevent) is not dict:
        return cloudevent
    attributes = {name: value for name, value in cloudevent.items() if name not in _DATA}
    message = {
        "type": "track",
        "event": cloudevent.get("type"),
        "properties": _properties(cloudevent),
        "timestamp": cloudevent.get("time"),
        "context": {"cloudevent": attributes},
    }
    if cloudevent.get("id"):
        message["messageId"] = f"{cloudevent.get('source', '')}#{cloudevent['id']}"
    return message


def _properties(cloudevent: dict[str, Any]) -> dict[str, Any] | None:
    packed = cloudevent.get("data_base64")
    if packed is not None and cloudevent.get("data") is None:
        return {"data_base64": packed}
    return as_properties(cloudevent.get("data"))


FORMAT = Format(
    name="cloudevents",
    description="CloudEvents 1.0: binary, structured, batched",
    parse=parse,
    verify=verify_secret,
    handshake=handshake,
)
