"""Census' (now Fivetran Activations') custom destination: ``POST /rpc/census``.

The six methods of its protocol. A record counts as a success once its event is durably stored;
what Klaviyo says to it later is found among the dead letters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from destination.event import Event
from destination.ingress.format import Inbound, Limits, Parsed
from destination.ingress.jsonrpc import INVALID_PARAMS, Reply, RpcError, dispatch, param, plain
from destination.ingress.messages import arrival_of, explode
from destination.ingress.normalise import Malformed, seen
from destination.ingress.objects import ObjectField, SyncObject, sync_object, sync_objects
from destination.ingress.rows import Load, message_of

Check = Callable[[Event], None]
"""Raises ``Malformed`` for the event of a row that nothing can use."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast Census may send: records in a batch, batches at once, records per second."""

    batch: int = 1_000
    parallel: int = 4
    per_second: int = 500


@dataclass(frozen=True, slots=True)
class Setup:
    """What the methods need to know of the account and of this installation.

    ``lists()`` gives the account's lists, names by id, and is asked only to name them when a tool
    wants the objects; ``problem()`` what keeps the account from being used, empty when all is well;
    both may raise ``Rejected``, which passes through. ``speed`` is that of an object by its name, or
    with an empty name of any. ``check`` judges a row beyond its identifier.
    """

    lists: Callable[[], Mapping[str, str]] = dict
    speed: Callable[[str], Speed] = lambda _object: Speed()
    problem: Callable[[], str] = str
    limits: Limits = field(default_factory=Limits)
    check: Check | None = None


def answer(inbound: Inbound, setup: Setup) -> Reply:
    """The answer to one call, and the events to store before it is sent.

    Raises nothing but what ``setup`` raises.
    """
    return dispatch(
        inbound,
        {
            "test_connection": plain(lambda _params: _test(setup)),
            "list_objects": plain(lambda _params: _objects(setup)),
            "list_fields": plain(lambda params: _fields(_object(params))),
            "supported_operations": plain(
                lambda params: {"operations": list(_object(params).operations)}
            ),
            "get_sync_speed": plain(lambda params: _speed(setup.speed(_synced(params)))),
            "sync_batch": lambda params: _sync(params, inbound, setup),
        },
        setup.limits,
    )


def _test(setup: Setup) -> dict[str, Any]:
    problem = setup.problem()
    if problem:
        return {"success": False, "error_message": problem}
    return {"success": True}


def _objects(setup: Setup) -> dict[str, Any]:
    return {
        "objects": [
            {
                "object_api_name": each.name,
                "label": each.label,
                **({"can_create_fields": "on_write"} if each.open else {}),
            }
            for each in sync_objects(setup.lists())
        ]
    }


def _object(params: Mapping[str, Any]) -> SyncObject:
    name = param(params, "object", dict).get("object_api_name")
    found = sync_object(name)
    if found is None:
        raise RpcError(INVALID_PARAMS, f"there is no object {seen(name)}: see list_objects")
    return found


def _fields(wanted: SyncObject) -> dict[str, Any]:
    # Census asks that an identifier be required, but where there are several it must be possible
    # to map one of them only.
    alone = len(wanted.identifiers()) == 1
    return {"fields": [_field(each, alone) for each in wanted.fields]}


def _field(each: ObjectField, alone: bool) -> dict[str, Any]:
    return {
        "field_api_name": each.name,
        "label": each.label,
        "identifier": each.identifier,
        "required": each.required or (each.identifier and alone),
        "createable": True,
        "updateable": True,
        "type": each.type,
        "array": each.array,
    }


def _synced(params: Mapping[str, Any]) -> str:
    """The object of the plan that a speed is asked for; empty without one."""
    plan = params.get("sync_plan")
    wanted = plan.get("object") if type(plan) is dict else None
    name = wanted.get("object_api_name") if type(wanted) is dict else None
    return name if type(name) is str else ""


def _speed(speed: Speed) -> dict[str, Any]:
    return {
        "maximum_batch_size": speed.batch,
        "maximum_parallel_batches": speed.parallel,
        "maximum_records_per_second": speed.per_second,
    }


def _sync(
    params: Mapping[str, Any],
    inbound: Inbound,
    setup: Setup,
) -> tuple[dict[str, Any], Parsed]:
    plan, records = param(params, "sync_plan", dict), param(params, "records", list)
    wanted = _object(plan)
    key = _active_identifier(plan)
    load = Load(
        object=wanted.name,
        tool="census",
        operation=param(plan, "operation", str),
        key=key,
        run=str(plan.get("sync_run_id") or ""),
    )
    if len(records) > setup.limits.batch_events:
        raise RpcError(
            INVALID_PARAMS,
            f"{len(records):,} records in one batch, at most {setup.limits.batch_events:,} are "
            "taken: lower the batch size",
        )

    def message(record: Any) -> dict[str, Any]:
        made = message_of(record, load)
        if not record.get(key) and record.get(key) != 0:
            raise Malformed("no_identifier", f"the identifier {key} is empty: fill the column")
        return made

    parsed = explode(
        records,
        arrival_of(inbound, from_client=False),
        inbound,
        setup.limits,
        None,
        prepare=message,
        check=setup.check,
    )
    return {"record_results": _results(records, key, parsed)}, parsed


def _active_identifier(plan: Mapping[str, Any]) -> str:
    for name, column in param(plan, "schema", dict).items():
        if type(column) is dict and column.get("active_identifier") is True:
            return str(name)
    raise RpcError(INVALID_PARAMS, "the plan's schema has no active identifier")


def _results(records: list[Any], key: str, parsed: Parsed) -> list[dict[str, Any]]:
    refused = {bad.index: bad.message for bad in parsed.refused}
    results: list[dict[str, Any]] = []
    for place, record in enumerate(records):
        identity = record.get(key) if type(record) is dict else None
        if place in refused:
            failure = {"success": False, "error_message": refused[place]}
            results.append({"identifier": identity, **failure})
        else:
            results.append({"identifier": identity, "success": True})
    return results
