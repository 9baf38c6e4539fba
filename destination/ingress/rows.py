"""Rows of reverse-ETL tools and scripts: ``POST /rows/{object}``.

Each row becomes the event that Segment's reverse ETL sends for a changed row, so that the same
mappings serve both::

    {"type": "track", "event": "new" | "updated" | "deleted", "properties": row,
     "__segment_id": key, "context": {"source": {"tool", "object", "id", "operation"}}}

Bodies: one row, an array of rows, ``{"rows": [...]}``, ``{"records": [...]}``, ``{"data": [...]}``
(Census), ``{"object": {"records": [{"fields": row}]}}`` (Polytomic) or one row per line (NDJSON).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from destination.errors import Rejected
from destination.event import Event
from destination.ingress.credentials import write_key
from destination.ingress.encoding import read_json, read_loose_json, too_large
from destination.ingress.format import Inbound, Limits, Parsed, accepted
from destination.ingress.messages import arrival_of, check_count, explode
from destination.ingress.normalise import Malformed, digest, seen

OPERATIONS = {
    **dict.fromkeys(("added", "add", "new", "insert", "inserted", "created", "create"), "new"),
    **dict.fromkeys(("upsert", "upserted", "mirror"), "new"),
    **dict.fromkeys(("updated", "update", "changed", "change"), "updated"),
    **dict.fromkeys(("removed", "remove", "deleted", "delete"), "deleted"),
}
"""What each tool's word means as an event. An upsert is ``new``: the person may not be there yet."""

_DEFAULT_OPERATION = "upsert"
_ENVELOPES = ("rows", "records", "data")
_NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
_RUNS = ("sync_run_id", "sync_run_at")
_CONTROL = ("_op", "_file_line")
_KEYS = ("email", "external_id", "phone_number")
"""Columns that are a row's key when none is named: changes of one key keep their order."""
_MOMENTARY = ("event", "order")
"""Objects of which each row is something that happened once; rows of others are states, and the
same state may come again later and mean a change back."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a request says about all of its rows.

    ``object`` is the target, such as ``profile`` or ``list/ID``; ``operation`` one of
    ``OPERATIONS``; ``key`` the column with each row's key, ``run`` what is the same for all attempts
    at one load; both may be empty.
    """

    object: str
    tool: str
    operation: str
    key: str = ""
    run: str = ""


def parse_rows(
    inbound: Inbound,
    target: str,
    *,
    limits: Limits | None = None,
    check: Callable[[Event], None] | None = None,
) -> Parsed:
    """The events of the rows posted to ``/rows/{target}``; a target is ``profile``, ``list/ID``...

    The operation is the row's ``_op``, else ``?op=``, else the header ``X-Operation``, else
    ``operation`` or ``action`` beside the rows, else an upsert. The row's key is the column that
    ``?key=`` names, else the first identifier that it has. A resent row has the messageId it had: it covers object, key, operation and row,
    and for states also the run (``?run=``, ``Idempotency-Key``, Census' ``sync_run_id``), else the
    minute of receipt, so that a list joined, left and joined again is three changes. A row's
    ``_file_line`` is its place in the file that is the run: equal rows of one file are two then, also of
    what happened once.

    ``check`` refuses the event of a row by raising ``Malformed``. Trailing commas are forgiven:
    templates with loops leave them. Raises ``Rejected`` 400 or 413.
    """
    limits = limits or Limits()
    if len(inbound.body) > limits.body_bytes:
        raise too_large(limits.body_bytes)
    key = write_key(inbound.headers, inbound.query, None)
    if not inbound.body.strip():
        return Parsed((), (), key)
    if not target or len(target) > 200:
        raise Rejected(400, "bad_request", "name the object: POST /rows/profile, /rows/list/{id}")
    rows, beside = _rows(inbound)
    check_count(rows, limits)
    load = load_of(inbound, target, beside)
    return explode(
        rows,
        arrival_of(inbound, from_client=False),
        inbound,
        limits,
        key,
        prepare=lambda row: message_of(row, load),
        check=check,
    )


def answer_rows(parsed: Parsed, *, strict: bool = False) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer: 200 with a record of each bad row.

    ``strict`` (``?strict=1``) makes it a 422 as soon as one is bad, for tools that show nothing but
    a status; the good rows are taken all the same, and no-ops when the tool sends them again.
    """
    body = accepted(parsed)
    if not (strict and parsed.refused):
        return 200, body
    first = parsed.refused[0]
    message = (
        f"{len(parsed.refused):,} of {body['received']:,} rows were refused; "
        f"row {first.index}: {first.message}"
    )
    failed = {"success": False, "code": "rows_refused", "message": message, "error": message}
    return 422, {**body, **failed}


def is_strict(query: Mapping[str, str]) -> bool:
    """Whether the caller asked for strict answers."""
    return query.get("strict", "").lower() in ("1", "true", "yes")


def _rows(inbound: Inbound) -> tuple[list[Any], dict[str, Any]]:
    """The rows of a body, and what stands beside them."""
    kind = inbound.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _NDJSON:
        return [line for line in inbound.body.splitlines() if line.strip()], {}
    document = read_loose_json(inbound.body)
    if type(document) is list:
        return document, {}
    if type(document) is not dict:
        raise Rejected(
            400, "bad_request", f"the body must be a row or an array of rows, not {seen(document)}"
        )
    for name in _ENVELOPES:
        if type(document.get(name)) is list:
            return document[name], document
    inner = document.get("object")
    if type(inner) is dict and type(inner.get("records")) is list:
        return [_unwrapped(record) for record in inner["records"]], document
    return [document], {}


def _unwrapped(record: Any) -> Any:
    fields = record.get("fields") if type(record) is dict else None
    return fields if type(fields) is dict else record


def load_of(inbound: Inbound, target: str, beside: Mapping[str, Any]) -> Load:
    """What a request says about its rows; ``beside`` is what stands in the body beside them."""
    headers, query = inbound.headers, inbound.query
    said = (
        query.get("op"),
        headers.get("x-operation"),
        beside.get("operation"),
        beside.get("action"),
    )
    runs = (query.get("run"), *(beside.get(name) for name in _RUNS))
    agent = headers.get("user-agent", "")
    return Load(
        object=target,
        tool=query.get("tool") or agent.partition("/")[0].partition(" ")[0][:60].lower(),
        operation=next((word for word in said if type(word) is str and word), _DEFAULT_OPERATION),
        key=query.get("key", ""),
        run=next((str(run) for run in runs if run), headers.get("idempotency-key", "")),
    )


def message_of(row: Any, load: Load) -> dict[str, Any]:
    """The row's event as a client would send it, for ``canonical`` to complete.

    A row may be a line of JSON. Raises ``Malformed``.
    """
    row = _read_line(row) if type(row) is bytes else row
    if type(row) is not dict:
        raise Malformed("row_not_object", f"a row must be an object, not {seen(row)}")
    own = row.get("_op")
    operation = own if type(own) is str and own else load.operation
    event = OPERATIONS.get(operation.strip().lower())
    if event is None:
        raise Malformed(
            "unknown_operation",
            f"the operation {seen(operation)} is unknown: use one of {', '.join(OPERATIONS)}",
        )
    columns = {name: value for name, value in row.items() if name not in _CONTROL}
    kind, _, part = load.object.partition("/")
    source = {"object": kind, "id": part, "tool": load.tool, "operation": operation}
    message: dict[str, Any] = {
        "type": "track",
        "event": event,
        "properties": columns,
        "context": {"source": {name: value for name, value in source.items() if value}},
    }
    key = _key(columns, load.key)
    if key is not None:
        message["__segment_id"] = key if type(key) is str else seen(key)
    line = row.get("_file_line")
    run = load.run if line is not None or kind not in _MOMENTARY else ""
    if run or kind in _MOMENTARY:
        facts = [load.object, message.get("__segment_id"), event, columns, run]
        facts += [] if line is None else [line]
        message["messageId"] = f"row-{digest(facts)}"
    return message


def _key(columns: Mapping[str, Any], named: str) -> Any:
    """The row's key, None where it has none."""
    if named:
        return columns.get(named)
    return next((columns[name] for name in _KEYS if columns.get(name)), None)


def _read_line(line: bytes) -> Any:
    try:
        return read_json(line)
    except Rejected as problem:
        raise Malformed(problem.code, problem.message) from None
