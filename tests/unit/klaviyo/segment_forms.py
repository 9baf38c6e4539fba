"""Requests of ours and of Segment's in one form, and what can be read from it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any
from urllib.parse import unquote

from destination.sending import Request

Json = dict[str, Any]


def seen(request: Request) -> Json:
    """A request of ours in the form that is compared."""
    query = dict(request.query)
    query.pop("page[size]", None)  # rule: look-ups ask for full pages
    return {
        "method": request.method,
        "path": unquote(request.path),
        "filter": query.get("filter"),
        "json": request.json,
    }


def recorded(request: Json) -> Json:
    """A request of Segment's in the same form, with what it meant to ask for in the filter."""
    path, _, query = request["path"].partition("?")
    return {
        "method": request["method"],
        "path": unquote(path.rstrip("/")),
        "filter": unquote(query.removeprefix("filter=")) if query else None,
        "json": request.get("json"),
    }


def same(ours: list[Json], theirs: list[Json]) -> bool:
    """Equal but for the order of what Segment sends at once."""
    return sorted(map(text, ours)) == sorted(map(text, theirs))


def text(value: Any) -> str:
    """JSON with numbers by value and keys in order."""
    return json.dumps(normal(value), sort_keys=True)


def normal(value: Any) -> Any:
    """Numbers by the value that JavaScript reads: whole ones as integers, as far as it can."""
    if isinstance(value, dict):
        return {key: normal(each) for key, each in value.items()}
    if isinstance(value, list):
        return [normal(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def merged(requests: list[Json]) -> list[Json]:
    """Bulk requests that differ in their rows only, as one."""
    result: list[Json] = []
    rows_by_envelope: dict[str, list[Any]] = {}
    for request in deepcopy(requests):
        rows = rows_of(request)
        if rows is None:
            result.append(request)
        elif envelope(request) in rows_by_envelope:
            rows_by_envelope[envelope(request)].extend(rows)
        else:
            rows_by_envelope[envelope(request)] = rows
            result.append(request)
    return result


def rows_of(request: Json) -> list[Any] | None:
    """The rows of a bulk request, None for another."""
    attributes = (request["json"] or {}).get("data") or {}
    attributes = attributes.get("attributes", {}) if isinstance(attributes, dict) else {}
    bulk = attributes.get("profiles") or attributes.get("events-bulk-create")
    return bulk["data"] if bulk else None


def envelope(request: Json) -> str:
    """A request without its rows."""
    copy = deepcopy(request)
    rows = rows_of(copy)
    if rows is not None:
        rows.clear()
    return text(copy)


def events(requests: list[Json]) -> list[Json]:
    """The attributes of all events in requests."""
    found = []
    for request in requests:
        if request["path"] == "/api/events":
            found.append(request["json"]["data"]["attributes"])
        elif request["path"] == "/api/event-bulk-create-jobs":
            for row in rows_of(request) or []:
                found += [each["attributes"] for each in row["attributes"]["events"]["data"]]
    return found


def event_profiles(requests: list[Json]) -> list[Json]:
    """The attributes of all profiles of events in requests."""
    found = []
    for request in requests:
        if request["path"] == "/api/events":
            found.append(request["json"]["data"]["attributes"]["profile"]["data"]["attributes"])
        elif request["path"] == "/api/event-bulk-create-jobs":
            found += [
                row["attributes"]["profile"]["data"]["attributes"] for row in rows_of(request) or []
            ]
    return found


def event_key(row: Json) -> str:
    """What Klaviyo tells events apart by."""
    attributes = row["attributes"]["events"]["data"][0]["attributes"]
    who = row["attributes"]["profile"]["data"]["attributes"]
    names = {
        name: who.get(name) for name in ("email", "external_id", "phone_number", "anonymous_id")
    }
    known = attributes.get("unique_id") or ("time" in attributes and row)
    return text([names, attributes["metric"], known]) if known else f"nothing {id(row)}"


def lists_of(requests: list[Json]) -> set[str]:
    """The lists that import jobs and removals are for."""
    return {
        text(request["json"]["data"].get("relationships"))
        for request in requests
        if request["path"] == "/api/profile-bulk-import-jobs"
    } | {request["path"] for request in requests if request["method"] == "DELETE"}
