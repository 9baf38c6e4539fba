"""What browsers and mobile SDKs need besides the tracking API: CORS, and a source's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.routing import Route
from starlette.types import Receive, Scope

from destination.errors import Rejected
from destination.runtime.http.answers import Answer, ok
from destination.runtime.http.endpoint import Endpoint
from destination.runtime.intake.gate import Gate

CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"retry-after"),
)
"""On every answer: any page may post, and may read how long it should wait."""

PREFLIGHT: Mapping[str, str] = {
    "access-control-allow-methods": "POST, GET, OPTIONS, HEAD",
    "access-control-allow-headers": (
        "authorization, content-type, x-retry-count, x-write-key, x-enable-debug, x-ip-policy,"
        " anonymousid, sentat, rsa-recovered, rsa-retry-attempt, rsa-since-last-attempt,"
        " rsa-since-first-attempt, rsa-retry-reason"
    ),
    "access-control-max-age": "86400",
}
"""What a browser hears that asks first; the headers are those that the SDKs send."""

SETTINGS_PATHS = ("/v1/projects/{key}/settings", "/projects/{key}/settings")

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


class Public(Endpoint):
    """A route that a page of any site may use."""

    headers = CORS

    def options(self, _headers: Mapping[str, str]) -> Mapping[str, str]:
        """The answer to a browser's preflight."""
        return PREFLIGHT


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


def routes(gate: Gate) -> list[Route]:
    """The routes of the settings, with and without a final slash."""
    return [
        Route(f"{path}{slash}", SourceSettings(gate))
        for path in SETTINGS_PATHS
        for slash in ("", "/")
    ]
