"""Our own routes as an OpenAPI description, made from one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from destination import __version__
from destination.ingress.webhooks import FORMATS
from destination.runtime.routes.audiences import PATHS as AUDIENCE_PATHS
from destination.runtime.routes.browser import CONFIG_PATH, SETTINGS_PATHS
from destination.runtime.routes.posting import tracking_paths
from destination.runtime.routes.schemas import SCHEMAS, TEXT, ref

KEY, SIGNED, ADMIN = "writeKey", "signature", "adminToken"


@dataclass(frozen=True, slots=True)
class Operation:
    """One route with one meaning. ``methods`` mean the same; ``auth`` are the ways to be let in,
    any of which will do, none for an open route; ``body`` and ``answer`` name schemas or media
    types; ``query`` explains parameters by name.
    """

    path: str
    tag: str
    summary: str
    methods: tuple[str, ...] = ("get",)
    auth: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    answer: tuple[str, ...] = ("Anything",)
    query: tuple[tuple[str, str], ...] = ()


RELAYS = ("segment", "rudderstack", "jitsu")
"""Formats whose bodies are Segment-shaped events."""

POST = ("post",)
CHANGES = ("post", "put", "patch")
_CONNECTION = ("connection", "Name of the connection; the first without it.")
_LIMIT = ("limit", "How many at the most, 1 to 1000; 100 without it.")
_RESULTS = ("results", "`1`: say what became of each.")
_WHICH = (
    ("code", "Only with this reason."),
    ("mapping", "Only of this mapping."),
    ("source", "Only of this source."),
    ("person", "Only of this address, phone number with +, or id of a person."),
    ("since", "Only those dead since, in unix seconds."),
    ("until", "Only those dead before."),
)


def operations() -> Iterator[Operation]:
    """The whole table."""
    for path, call in tracking_paths().items():
        if path.endswith("/"):
            continue
        batch = call in ("batch", "import")
        own = path == f"/v1/{call}"
        summary = f"Segment's `{call}`" if own else f"The same as /v1/{call}"
        holds = "Batch" if batch else "Event"
        yield Operation(path, "tracking", summary, POST, (KEY,), (holds,), ("Taken",))
    for path in SETTINGS_PATHS:
        yield Operation(path, "tracking", "A source's settings, for browser and mobile SDKs")
    yield Operation(
        CONFIG_PATH, "tracking", "A source's configuration, for RudderStack's SDKs", auth=(KEY,)
    )
    for path in AUDIENCE_PATHS:
        made = "Make the list of an Engage audience"
        seen = "See whether the list of an Engage audience is there"
        one, other = ("CreateAudience",), ("GetAudience",)
        yield Operation(f"{path}/create", "webhooks", made, POST, (KEY,), one, ("Audience",))
        yield Operation(f"{path}/get", "webhooks", seen, POST, (KEY,), other, ("Audience",))
    for name, format_ in FORMATS.items():
        methods = tuple(method.lower() for method in format_.methods)
        body = ("Event", "Events") if name in RELAYS else ("Resource",)
        for path in (f"/webhooks/{name}", f"/webhooks/{name}/{{source}}"):
            yield Operation(
                path, "webhooks", format_.description, methods, (SIGNED, KEY), body,
                ("Counted", "Statuses"), (_RESULTS,),
            )  # fmt: skip
    yield Operation(
        "/rows/{object}", "rows", "Rows of a reverse-ETL tool: profile, event, list/{id}, ...",
        CHANGES, (KEY,), ("Row", "Rows", "Wrapped"), ("Counted",),
        (
            ("op", "What happened to the rows: added, updated, removed, upsert, ..."),
            ("key", "The column with each row's key."),
            ("run", "The same for all attempts at one load, so that a repeated row is known."),
            ("tool", "Name of the tool, for mappings and counts."),
            ("strict", "`1`: check rows against the mappings, and answer 422 when one is bad."),
            ("wait", "`true` or seconds up to 25: wait for the deliveries of up to 200 rows."),
            _RESULTS,
        ),
    )  # fmt: skip
    yield Operation(
        "/rows/{object}/upload", "rows", "A file of rows as the body, CSV or NDJSON, of any length",
        ("post", "put"), (KEY,), ("text/csv", "application/x-ndjson"), ("Counted",),
        (
            ("op", "What happened to the rows: added, updated, removed, upsert, ..."),
            ("key", "The column with each row's key."),
            ("run", "The same for all attempts at one file; the minute of receipt without it."),
            ("tool", "Name of the tool, for mappings and counts."),
            ("encoding", "`utf-8` without it; `latin-1`, `cp1252`."),
            ("delimiter", "What stands between cells; found out without it."),
            ("columns", "The names of the columns, by commas, for a CSV file without them."),
        ),
    )  # fmt: skip
    for name, what in (("census", "Census / Fivetran Activations"), ("hightouch", "Hightouch")):
        summary = f"{what}: custom destination, JSON-RPC 2.0"
        yield Operation(f"/rpc/{name}", "rows", summary, POST, (KEY,), ("Call",), ("Reply",))
    yield from OPERATING


OPERATING = (
    Operation("/health", "operating", "Whether the process lives"),
    Operation("/ready", "operating", "Whether events are accepted; 503 when they are not"),
    Operation(
        "/metrics", "operating", "Prometheus metrics", auth=(ADMIN,), answer=("text/plain",)
    ),
    Operation("/openapi.json", "operating", "This description"),
    Operation("/docs", "operating", "This description, to read", answer=("text/html",)),
    Operation("/admin/alerts", "operating", "The alerts that fire now", auth=(ADMIN,)),
    Operation(
        "/admin/conflicts", "operating", "Some events that came under the id of another event",
        auth=(ADMIN,), query=(_CONNECTION,),
    ),
    Operation("/admin/counts", "operating", "Exact counts that add up", auth=(ADMIN,)),
    Operation(
        "/admin/deliveries", "operating", "The last deliveries, newest first",
        auth=(ADMIN,), query=(_CONNECTION, _LIMIT),
    ),
    Operation(
        "/admin/dead", "operating", "The dead letters, without their events",
        auth=(ADMIN,), query=(_CONNECTION, _LIMIT, *_WHICH),
    ),
    Operation(
        "/admin/dead/{id}", "operating", "One dead letter with its event",
        auth=(ADMIN,), query=(_CONNECTION,),
    ),
    Operation(
        "/admin/replay", "operating", "Deliver dead letters again",
        POST, (ADMIN,), ("Replay",), ("Moved",), (_CONNECTION,),
    ),
    Operation(
        "/admin/erase", "operating", "Erase what stands here about a person",
        POST, (ADMIN,), ("Person",), ("Receipts",), (("connection", "Only in this; else in all."),),
    ),
    Operation(
        "/admin/discard", "operating", "Forget dead letters",
        POST, (ADMIN,), ("Selection",), ("Moved",), (_CONNECTION,),
    ),
)  # fmt: skip

SECURITY: dict[str, Any] = {
    KEY: {
        "type": "http",
        "scheme": "basic",
        "description": "A source's write key as the user, without a password. Also taken from"
        " `X-Write-Key`, `Authorization: Bearer`, `?writeKey=`, and `writeKey` in an event's body.",
    },
    SIGNED: {
        "type": "apiKey",
        "in": "header",
        "name": "X-Signature",
        "description": "An HMAC of the body with the source's signing secret, in the header of the"
        " format; from senders that do not sign the secret itself in `Authorization`.",
    },
    ADMIN: {
        "type": "http",
        "scheme": "bearer",
        "description": "`DESTINATION_ADMIN_TOKEN`; where none is set, requests from the machine"
        " itself are let in.",
    },
}

_FAILURES = {
    "400": "The request cannot be read, or asks for what there is not.",
    "401": "No or a wrong credential; `code` says which.",
    "403": "The credential is known and does not open this.",
    "404": "What the address names is not there; `code` says what.",
    "408": "The request came too slowly; send it again.",
    "409": "It cannot be done as things stand; `code` says why.",
    "413": "Too large, or too many events.",
    "415": "The body is encoded, or labelled, in a way that is not taken.",
    "422": "Understood and not taken as it is; `code` or `rejected` says why.",
    "429": "The source posts too fast; post again after `Retry-After` seconds.",
    "431": "The head of the request is too large.",
    "502": "Klaviyo refuses; `message` says what.",
    "503": "Not stored or not done: ask again after `Retry-After` seconds.",
}
_ANY = ("400", "404", "408", "431")
_ASKS_KLAVIYO = ("/audiences/", "/rpc/")


def description() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    for operation in operations():
        paths.setdefault(operation.path, {}).update(
            {method: _described(operation, method) for method in operation.methods}
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Destination",
            "version": __version__,
            "description": "Takes events in and delivers them to Klaviyo. A 200 means that they are"
            " on durable storage. Every path that takes events in is also taken with a final slash;"
            " bodies are JSON, whatever their content type says, plain or gzip.",
        },
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": SECURITY},
    }


def _described(operation: Operation, method: str) -> dict[str, Any]:
    said: dict[str, Any] = {
        "tags": [operation.tag],
        "summary": operation.summary,
        "operationId": f"{method}{operation.path}",
        "parameters": [*_in_path(operation.path), *_in_query(dict(operation.query))],
        "responses": {"200": {"description": "Done.", "content": _content(operation.answer)}},
    }
    if operation.auth:
        said["security"] = [{way: []} for way in operation.auth]
    said["responses"] |= {status: _failure(_FAILURES[status]) for status in _failures(operation)}
    if operation.body:
        said["requestBody"] = {"required": True, "content": _content(operation.body)}
    return said


def _failures(operation: Operation) -> list[str]:
    """The statuses beside 200 that the route may answer with."""
    found = {*_ANY}
    if operation.auth:
        found |= {"401", "403"}
    if operation.auth or operation.path == "/ready":
        found |= {"503"}
    if operation.methods != ("get",):
        found |= {"413", "415"}
        found |= {"409", "422"} if ADMIN in operation.auth else {"429"}
    if operation.path.startswith("/rows/"):
        found |= {"422"}
    if any(part in operation.path for part in _ASKS_KLAVIYO):
        found |= {"502"}
    return sorted(found)


def _schema(names: tuple[str, ...]) -> dict[str, Any]:
    return ref(names[0]) if len(names) == 1 else {"oneOf": [ref(name) for name in names]}


def _content(names: tuple[str, ...]) -> dict[str, Any]:
    if "/" in names[0]:
        return {name: {"schema": TEXT} for name in names}
    return {"application/json": {"schema": _schema(names)}}


def _failure(text: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": ref("Error")}}}


def _in_path(path: str) -> list[dict[str, Any]]:
    parts = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in parts]


def _in_query(query: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "description": text, "schema": TEXT}
        for name, text in query.items()
    ]
