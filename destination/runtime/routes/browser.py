"""What browsers and mobile SDKs need besides the tracking API: CORS, and a source's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.routing import Route
from starlette.types import Receive, Scope

from destination.errors import Rejected
from destination.ingress.credentials import write_key
from destination.runtime.http.answers import Answer, headers_of, ok
from destination.runtime.http.endpoint import Endpoint
from destination.runtime.intake.gate import Gate

CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"retry-after"),
)
"""On every answer: any page may post, and may read how long it should wait."""

PREFLIGHT: Mapping[str, str] = {
    "access-control-allow-methods": "POST, GET, OPTIONS, HEAD",
    "access-control-max-age": "86400",
}
"""What a browser hears that asks first, and ``HEADERS``."""

HEADERS = (
    "authorization, content-type, x-retry-count, x-write-key, x-enable-debug, x-ip-policy,"
    " anonymousid, sentat, rsa-recovered, rsa-retry-attempt, rsa-since-last-attempt,"
    " rsa-since-first-attempt, rsa-retry-reason"
)
"""The headers that the SDKs of today send."""

_NAME = re.compile(r"[a-z0-9-]{1,60}")
_ASKED = 30

SETTINGS_PATHS = ("/v1/projects/{key}/settings", "/projects/{key}/settings")

CONFIG_PATH = "/sourceConfig"

_ALL = {"__default": {"enabled": True}}


def settings_of(key: str) -> dict[str, Any]:
    """The settings that ``@segment/analytics-next`` and Segment's mobile SDKs ask for at the start.

    They have one integration, the tracking API itself. ``sampleRate`` 0 keeps the SDK from posting
    metrics of its own to Segment.
    """
    return {
        "integrations": {
            "Segment.io": {
                "apiKey": key,
                "unbundledIntegrations": [],
                "addBundledMetadata": True,
            }
        },
        "plan": {"track": _ALL, "identify": _ALL, "group": _ALL},
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }


def config_of(name: str, key: str) -> dict[str, Any]:
    """The configuration that RudderStack's SDKs for browsers and mobiles ask for at the start.

    They go on only with an enabled source that has an ``id``, a ``config`` and ``destinations``
    (read in ``@rudderstack/analytics-js`` 3.34). There are no destinations for the SDK to load, and
    it collects no statistics of its own for RudderStack.
    """
    silent = {"enabled": False}
    return {
        "source": {
            "id": name,
            "name": name,
            "writeKey": key,
            "workspaceId": "destination",
            "enabled": True,
            "config": {"statsCollection": {"errors": silent, "metrics": silent}},
            "destinations": [],
            "dataplanes": {},
            "updatedAt": "1970-01-01T00:00:00.000Z",
        }
    }


class Public(Endpoint):
    """A route that a page of any site may use."""

    headers = CORS

    def options(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """The answer to a browser's preflight. Whatever header it asks for may come as well: an SDK
        of tomorrow would be silenced otherwise, and nothing here goes by cookies.
        """
        asked = headers.get("access-control-request-headers", "").lower().split(",")[:_ASKED]
        names = [name.strip() for name in asked if _NAME.fullmatch(name.strip())]
        allowed = dict.fromkeys([*HEADERS.split(", "), *names])
        return {**PREFLIGHT, "access-control-allow-headers": ", ".join(allowed)}


class SourceSettings(Public):
    """The settings of the source whose key stands in the path."""

    methods = ("GET",)

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def take(self, scope: Scope, _receive: Receive) -> Answer:
        """Answer with the settings; 404 for a key that no source has, as Segment's CDN does."""
        key = scope["path_params"]["key"]
        if self._gate.known(key) is None:
            raise Rejected(
                404, "unknown_source", "no source has this write key; check the key in the snippet"
            )
        return ok(settings_of(key))


class SourceConfig(Public):
    """The same for RudderStack's SDKs, which name the source in the query or by basic
    authentication.
    """

    methods = ("GET",)

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def take(self, scope: Scope, _receive: Receive) -> Answer:
        """Answer with the configuration; 401 for a key that no source has."""
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        key = write_key(headers_of(scope), query, None)
        source = self._gate.source(key)
        return ok(config_of(source.name, key or ""))


def routes(gate: Gate) -> list[Route]:
    """The routes of the settings, with and without a final slash."""
    found: list[Route] = []
    for slash in ("", "/"):
        found += [Route(f"{path}{slash}", SourceSettings(gate)) for path in SETTINGS_PATHS]
        found.append(Route(f"{CONFIG_PATH}{slash}", SourceConfig(gate)))
    return found
