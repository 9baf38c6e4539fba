"""The shapes of bodies and answers on our routes, as JSON Schemas for the OpenAPI description."""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
WHOLE: dict[str, Any] = {"type": "integer"}
OBJECT: dict[str, Any] = {"type": "object"}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return schema | ({"required": list(required)} if required else {})


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def ref(name: str) -> dict[str, Any]:
    """A reference to one of ``SCHEMAS``."""
    return {"$ref": f"#/components/schemas/{name}"}


SCHEMAS: dict[str, Any] = {
    "Event": _object(
        type={"enum": ["identify", "track", "page", "screen", "group", "alias"]},
        messageId={**TEXT, "description": "A second event with the same id is a duplicate."},
        userId=TEXT,
        anonymousId=TEXT,
        event={**TEXT, "description": "The name, of a track."},
        properties=OBJECT,
        traits=OBJECT,
        context=OBJECT,
        integrations=OBJECT,
        timestamp={**TEXT, "format": "date-time"},
        writeKey=TEXT,
    ),
    "Events": _array(ref("Event")),
    "Batch": _object(
        ("batch",), batch=_array(ref("Event")), sentAt=TEXT, writeKey=TEXT, context=OBJECT
    ),
    "Row": {"type": "object", "description": "One row: its columns, and `_op` if it has its own."},
    "Rows": _array(ref("Row")),
    "Wrapped": _object(("rows",), rows=_array(ref("Row")), operation=TEXT),
    "Resource": {"description": "Whatever the sender's format says."},
    "Call": _object(("jsonrpc", "method"), jsonrpc=TEXT, method=TEXT, params=OBJECT, id={}),
    "Reply": _object(("jsonrpc", "id"), jsonrpc=TEXT, id={}, result={}, error=OBJECT),
    "CreateAudience": _object(("audienceName",), audienceName=TEXT),
    "GetAudience": _object(("externalId",), externalId=TEXT),
    "Audience": _object(("externalId",), externalId={**TEXT, "description": "The list's id."}),
    "Rejection": _object(("index", "code", "message"), index=WHOLE, code=TEXT, message=TEXT),
    "Taken": _object(
        ("success",), success={"const": True}, rejected=_array(ref("Rejection"))
    ),
    "Counted": _object(
        ("success", "received", "accepted"),
        success={"type": "boolean"},
        received=WHOLE,
        accepted={**WHOLE, "description": "Understood; `duplicate` and `unmatched` are among them."},
        duplicate=WHOLE,
        unmatched={**WHOLE, "description": "No mapping wants them."},
        rejected=_array(ref("Rejection")),
        results=_array(ref("Result")),
    ),
    "Result": _object(
        ("index", "state"),
        index=WHOLE,
        state={"enum": ["accepted", "duplicate", "unmatched", "rejected"]},
        id={**TEXT, "description": "The messageId."},
        code=TEXT,
        message=TEXT,
        deliveries=_array(
            _object(
                ("mapping", "outcome"),
                mapping=TEXT,
                outcome={"enum": ["delivered", "dropped", "dead", "pending"]},
                code=TEXT,
                note=TEXT,
            )
        ),
    ),
    "Statuses": _array(_object(("status",), status=WHOLE, errormessage=TEXT)),
    "Error": _object(
        ("success", "code", "message"), success={"const": False}, code=TEXT, message=TEXT, error=TEXT
    ),
    "Anything": OBJECT,
    "Selection": _object(
        ids=_array(TEXT),
        code=TEXT,
        mapping=TEXT,
        source=TEXT,
        person={**TEXT, "description": "Address, phone number with +, or id of a person."},
        since={"type": "number", "description": "Only those dead since, in unix seconds."},
        until={"type": "number"},
        all={"const": True},
        limit={**WHOLE, "description": "How many at the most; 1,000 without it."},
    ),
    "Replay": {
        "allOf": [
            ref("Selection"),
            _object(
                dry_run={"type": "boolean", "description": "Show what would be sent instead."},
                as_it_was={"type": "boolean", "description": "With the version that failed."},
                live={"type": "boolean", "description": "Let late events set off flows."},
                rate={"type": "number", "description": "Letters a second; 100 without it."},
                draft={
                    **OBJECT,
                    "description": "A mapping file: the letters of its mappings are replayed with"
                    " it, and nothing else changes.",
                },
            ),
        ]
    },
    "Person": _object(
        email=TEXT, phone=TEXT, user_id=TEXT, anonymous_id=TEXT, dry_run={"type": "boolean"}
    ),
    "Receipts": _object(("receipts",), receipts=_array(OBJECT)),
    "Moved": _object(
        ("moved", "left"),
        moved=WHOLE,
        left={**WHOLE, "description": "How many more are meant: ask again."},
        sketches=_array(OBJECT),
        known_since={"type": "number"},
    ),
}  # fmt: skip
