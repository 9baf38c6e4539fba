"""Hightouch's embedded (custom) destination: ``POST /rpc/hightouch``.

Rows come with the source's column names; the configuration says which field each becomes. The
protocol is known from Hightouch's published samples, which do not show what an entry of
``rejectedRows`` looks like: here it is ``{"id", "error"}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from destination.ingress.census import Setup
from destination.ingress.format import Inbound, Parsed
from destination.ingress.jsonrpc import (
    INVALID_PARAMS,
    Method,
    Reply,
    RpcError,
    dispatch,
    param,
    plain,
)
from destination.ingress.messages import arrival_of, explode
from destination.ingress.normalise import Malformed, seen
from destination.ingress.objects import PROFILE, SyncObject, sync_object, sync_objects
from destination.ingress.rows import Load, message_of

_TYPES = {
    "string": "STRING",
    "integer": "NUMBER",
    "float": "NUMBER",
    "boolean": "UNKNOWN",
    "date_time": "DATETIME",
}
_OPERATIONS = {"add": "added", "change": "changed", "remove": "removed"}


def answer(inbound: Inbound, setup: Setup) -> Reply:
    """The answer to one call, and the events to store before it is sent.

    Raises nothing but what ``setup`` raises.
    """

    def sync(operation: str) -> Method:
        return lambda params: _sync(params, operation, inbound, setup)

    return dispatch(
        inbound,
        {
            "list_objects": plain(lambda _params: _objects(setup)),
            "list_modes": plain(lambda params: _modes(_chosen(params))),
            "list_fields": plain(lambda params: _fields(_chosen(params))),
            "list_options": plain(lambda _params: {"options": None}),
            "validate": plain(lambda params: {"errors": _errors(params, setup)}),
            "behavior": plain(lambda params: _behavior(_configured(params), setup)),
            **{name: sync(word) for name, word in _OPERATIONS.items()},
        },
        setup.limits,
    )


def _objects(setup: Setup) -> dict[str, Any]:
    return {
        "objects": [{"id": each.name, "label": each.label} for each in sync_objects(setup.lists())]
    }


def _chosen(params: Mapping[str, Any]) -> SyncObject:
    """The object that is meant, by its id or as it was listed; without any, profiles."""
    meant = params.get("object")
    if meant is None:
        return PROFILE
    name = meant.get("id") if type(meant) is dict else meant
    found = sync_object(name)
    if found is None:
        raise RpcError(INVALID_PARAMS, f"there is no object {seen(meant)}: see list_objects")
    return found


def _configured(params: Mapping[str, Any]) -> SyncObject:
    return _chosen(param(params, "configuration", dict))


def _modes(wanted: SyncObject) -> dict[str, Any]:
    mode = {"id": "upsert", "label": "Upsert", "description": "Add and update what changes."}
    if "mirror" in wanted.operations:
        mode = {"id": "mirror", "label": "Mirror", "description": "Add, and remove what goes."}
    return {"modes": [mode]}


def _fields(wanted: SyncObject) -> dict[str, Any]:
    return {
        "fields": [
            {
                "id": each.name,
                "label": each.label,
                "type": _TYPES[each.type],
                "identifier": each.identifier,
            }
            for each in wanted.fields
        ]
    }


def _errors(params: Mapping[str, Any], setup: Setup) -> list[str]:
    try:
        _configured(params)
        _columns(param(params, "configuration", dict))
    except RpcError as problem:
        return [problem.message]
    trouble = setup.problem()
    return [trouble] if trouble else []


def _behavior(wanted: SyncObject, setup: Setup) -> dict[str, Any]:
    return {
        "batchSize": setup.speed("").batch,
        "operations": {
            "add": True,
            "change": "upsert" in wanted.operations,
            "remove": "mirror" in wanted.operations,
        },
        "skipInitialRun": False,
    }


def _columns(configuration: Mapping[str, Any]) -> dict[str, str]:
    """Our field of each source column, the identifier's first."""
    others = param(configuration, "mappings", list) if configuration.get("mappings") else []
    pairs = [param(configuration, "identifierMapping", dict), *others]
    columns: dict[str, str] = {}
    for pair in pairs:
        theirs = pair.get("from") if type(pair) is dict else None
        ours = pair.get("to") if type(pair) is dict else None
        if type(theirs) is not str or type(ours) is not str:
            raise RpcError(INVALID_PARAMS, f"a mapping needs from and to, not {seen(pair)}")
        columns[ours] = theirs
    return columns


def _sync(
    params: Mapping[str, Any],
    operation: str,
    inbound: Inbound,
    setup: Setup,
) -> tuple[dict[str, Any], Parsed]:
    wanted, rows = _configured(params), param(params, "rows", list)
    columns = _columns(param(params, "configuration", dict))
    key = next(iter(columns))
    load = Load(wanted.name, "hightouch", operation, key)
    if len(rows) > setup.limits.batch_events:
        raise RpcError(
            INVALID_PARAMS,
            f"{len(rows):,} rows in one batch, at most {setup.limits.batch_events:,} are taken",
        )

    def message(row: Any) -> dict[str, Any]:
        if type(row) is not dict:
            raise Malformed("row_not_object", f"a row must be an object, not {seen(row)}")
        fields = {ours: row[theirs] for ours, theirs in columns.items() if theirs in row}
        if not fields.get(key) and fields.get(key) != 0:
            raise Malformed("no_identifier", f"the identifier {key} is empty: fill the column")
        return message_of(fields, load)

    parsed = explode(
        rows,
        arrival_of(inbound, from_client=False),
        inbound,
        setup.limits,
        None,
        prepare=message,
        check=setup.check,
    )
    return {"rejectedRows": _rejected(rows, params.get("idColumn"), parsed)}, parsed


def _rejected(rows: list[Any], column: Any, parsed: Parsed) -> list[dict[str, Any]]:
    return [
        {
            "id": row.get(column) if type(row) is dict and type(column) is str else None,
            "error": bad.message,
        }
        for bad in parsed.refused
        for row in (rows[bad.index],)
    ]
