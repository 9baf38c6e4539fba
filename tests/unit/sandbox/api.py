"""A small client for the sandbox without a network: requests go straight to ``Sandbox.handle``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from destination.sandbox.clock import ManualClock
from destination.sandbox.requests import Incoming, Reply
from destination.sandbox.sandbox import Sandbox
from destination.sandbox.switches import Switches
from tests.contract.openapi import Contract

HEADERS = {
    "authorization": "Klaviyo-API-Key pk_test",
    "revision": "2026-07-15",
    "content-type": "application/vnd.api+json",
}


@dataclass
class Api:
    """Calls the sandbox; with a ``contract`` every answer is held against Klaviyo's description."""

    clock: ManualClock = field(default_factory=ManualClock)
    switches: Switches = field(default_factory=lambda: Switches(scripts=True))
    contract: Contract | None = None
    sandbox: Sandbox = field(init=False)

    def __post_init__(self) -> None:
        self.sandbox = Sandbox(clock=self.clock, switches=self.switches)

    def send(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """The sandbox's reply; ``url`` may carry a query, ``raw`` replaces the JSON body."""
        parts = urlsplit(url)
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        merged = {**HEADERS, **(headers or {})}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        reply = self.sandbox.handle(Incoming(method, parts.path, query, merged, data))
        if self.contract is not None and reply.status < 500 and reply.cut is None:
            document = json.loads(reply.body) if reply.body else None
            faults = self.contract.check_response(method, parts.path, reply.status, document)
            assert not faults, (method, url, reply.status, faults)
        return reply

    def get(self, url: str, *, status: int = 200) -> Any:
        """The document of a GET that must answer ``status``."""
        return self._expect(self.send("GET", url), status)

    def post(self, url: str, body: Any, *, status: int) -> Any:
        """The document of a POST that must answer ``status``."""
        return self._expect(self.send("POST", url, body), status)

    def patch(self, url: str, body: Any, *, status: int = 200) -> Any:
        """The document of a PATCH that must answer ``status``."""
        return self._expect(self.send("PATCH", url, body), status)

    def delete(self, url: str, body: Any = None, *, status: int = 204) -> Any:
        """The document of a DELETE that must answer ``status``."""
        return self._expect(self.send("DELETE", url, body), status)

    def state(self) -> dict[str, Any]:
        """All that the main account holds."""
        return self.sandbox.state("main")

    def profile(self, **attributes: Any) -> str:
        """The id of a new profile."""
        found: str = self.post("/api/profiles", profile(**attributes), status=201)["data"]["id"]
        return found

    def list(self, name: str = "News", **attributes: Any) -> str:
        """The id of a new list."""
        body = data("list", {"name": name, **attributes})
        found: str = self.post("/api/lists", body, status=201)["data"]["id"]
        return found

    @staticmethod
    def _expect(reply: Reply, status: int) -> Any:
        assert reply.status == status, (reply.status, reply.body[:1000])
        return json.loads(reply.body) if reply.body else None


def data(kind: str, attributes: Any = None, **more: Any) -> dict[str, Any]:
    """``{"data": {"type": kind, "attributes": ..., ...}}``."""
    held = {"type": kind, **more}
    return {"data": held if attributes is None else {**held, "attributes": attributes}}


def profile(identifier: str | None = None, meta: Any = None, **attributes: Any) -> dict[str, Any]:
    """A profile's request body."""
    body = data("profile", attributes)
    if identifier:
        body["data"]["id"] = identifier
    if meta:
        body["data"]["meta"] = meta
    return body


def event_attributes(metric: str = "Order Completed", **attributes: Any) -> dict[str, Any]:
    """An event's own attributes, without the profile."""
    name = {"data": {"type": "metric", "attributes": {"name": metric}}}
    return {"properties": {}, "metric": name, **attributes}


def event(
    person: Mapping[str, Any], metric: str = "Order Completed", **more: Any
) -> dict[str, Any]:
    """An event's request body; ``person`` holds the profile's attributes."""
    owner = {"data": {"type": "profile", "attributes": dict(person)}}
    return data("event", {**event_attributes(metric, **more), "profile": owner})


def bulk_events(*groups: tuple[Mapping[str, Any], list[dict[str, Any]]]) -> dict[str, Any]:
    """A bulk event body of (profile attributes, event attributes) groups."""
    rows = [
        {
            "type": "event-bulk-create",
            "attributes": {
                "profile": {"data": {"type": "profile", "attributes": dict(person)}},
                "events": {"data": [{"type": "event", "attributes": each} for each in events]},
            },
        }
        for person, events in groups
    ]
    return data("event-bulk-create-job", {"events-bulk-create": {"data": rows}})


def bulk_profiles(rows: list[dict[str, Any]], lists: list[str] | None = None) -> dict[str, Any]:
    """A bulk import body; a row is the profile's attributes, or a whole resource."""
    resources = [
        row if "attributes" in row else {"type": "profile", "attributes": row} for row in rows
    ]
    body = data("profile-bulk-import-job", {"profiles": {"data": resources}})
    if lists:
        references = [{"type": "list", "id": each} for each in lists]
        body["data"]["relationships"] = {"lists": {"data": references}}
    return body


def members(*identifiers: str) -> dict[str, Any]:
    """A relationship body of profile ids."""
    return {"data": [{"type": "profile", "id": each} for each in identifiers]}


def errors(document: Any) -> list[tuple[str, str]]:
    """``(detail, pointer or parameter)`` of each error."""
    return [
        (each["detail"], each["source"].get("pointer") or each["source"].get("parameter"))
        for each in document["errors"]
    ]
