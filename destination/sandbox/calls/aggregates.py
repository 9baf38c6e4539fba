"""Metric aggregates: events counted by time and by dimension."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from destination.sandbox.calls.call import Answer, Call, Handler
from destination.sandbox.calls.documents import resource, single
from destination.sandbox.calls.filters import COMPARISONS, Condition, parse
from destination.sandbox.calls.paging import read_cursor, write_cursor
from destination.sandbox.clock import moment
from destination.sandbox.errors import Refused, invalid, not_found
from destination.sandbox.world.events import Event

PLACE = "/data/attributes"
Buckets = list[list[Event]]
BOUNDS = ("greater-or-equal", "less-than")
YEAR = 366 * 86_400


def query_metric_aggregates(call: Call) -> Answer:
    """POST /metric-aggregates: zero-filled buckets, in one row for each set of dimensions."""
    attributes = call.body["data"]["attributes"]
    metric = call.account.metrics.get(attributes["metric_id"])
    if metric is None:
        raise not_found("metric", attributes["metric_id"])
    zone = _zone(attributes.get("timezone") or "UTC")
    start, end, rest = _bounds(attributes["filter"], zone)
    edges = _edges(start, end, attributes.get("interval") or "day", zone)
    events = [
        event
        for event in call.account.events
        if event.metric is metric
        and start <= event.timestamp < end
        and all(each.holds(_dimension(event, each.field)) for each in rest)
    ]
    rows = _rows(events, edges, attributes.get("by") or [])
    shown, following = _page(sorted(rows), attributes)
    measurements = attributes["measurements"]
    data = [
        {
            "dimensions": list(key),
            "measurements": {
                name: [_measure(name, each) for each in rows[key]] for name in measurements
            },
        }
        for key in shown
    ]
    dates = [datetime.fromtimestamp(edge, zone).isoformat() for edge in edges]
    identifier = call.account.ids.uuid("metric-aggregate")
    document = resource(call, "metric-aggregate", identifier, {"dates": dates, "data": data})
    answer = single(call, 200, document)
    if following:
        answer.document["links"]["next"] = following
    return answer


def _rows(events: list[Event], edges: list[float], by: list[str]) -> dict[tuple[str, ...], Buckets]:
    """The events of each set of dimensions, in a bucket for each edge; one row at least."""
    rows: dict[tuple[str, ...], Buckets] = {} if by else {(): [[] for _ in edges]}
    for event in events:
        dimensions = tuple(str(_dimension(event, name) or "") for name in by)
        buckets = rows.setdefault(dimensions, [[] for _ in edges])
        buckets[bisect.bisect_right(edges, event.timestamp) - 1].append(event)
    return rows


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise invalid(f"Unknown timezone {name[:60]!r}.", f"{PLACE}/timezone") from None


def _bounds(texts: Sequence[str], zone: ZoneInfo) -> tuple[float, float, list[Condition]]:
    conditions = [condition for text in texts for condition in parse(text)]
    found: dict[str, float] = {}
    rest = []
    for each in conditions:
        if each.field == "datetime" and each.operator in BOUNDS:
            found[each.operator] = _time(each.value, zone)
        elif each.operator in COMPARISONS:
            raise _bad("Only equals is supported beside the two bounds of datetime.")
        else:
            rest.append(each)
    if len(found) != len(BOUNDS):
        raise _bad("greater-or-equal(datetime,...) and less-than(datetime,...) are required.")
    start, end = found["greater-or-equal"], found["less-than"]
    if not 0 < end - start <= YEAR:
        raise _bad("The range must be at most one year.")
    return start, end, rest


def _time(value: Any, zone: ZoneInfo) -> float:
    """A bound: without an offset it is meant in the query's timezone."""
    if not isinstance(value, str):
        return float(value)
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise _bad(f"{value[:40]!r} is no date and time.") from None
    return moment(value) if parsed.tzinfo else parsed.replace(tzinfo=zone).timestamp()


def _edges(start: float, end: float, interval: str, zone: ZoneInfo) -> list[float]:
    """Where each bucket begins; the first one at the range's start."""
    edges = [start]
    at = datetime.fromtimestamp(start, zone)
    if interval == "hour":
        step = timedelta(hours=1)
        at = datetime.fromtimestamp(start, UTC).replace(minute=0, second=0, microsecond=0)
    else:
        step = timedelta(days=1)
        at = at.replace(hour=0, minute=0, second=0, microsecond=0)
    while (at := at + step).timestamp() < end:
        first = (interval == "week" and at.weekday() == 0) or (interval == "month" and at.day == 1)
        if at.timestamp() > start and (first or interval in {"hour", "day"}):
            edges.append(at.timestamp())
    return edges


def _dimension(event: Event, name: str) -> Any:
    if name == "$value_currency":
        return event.currency
    return event.properties.get(name)


def _measure(name: str, events: Sequence[Event]) -> float:
    if name == "count":
        return float(len(events))
    if name == "unique":
        return float(len({event.profile for event in events}))
    return float(sum(event.value or 0 for event in events))


def _page(
    keys: list[tuple[str, ...]], attributes: Mapping[str, Any]
) -> tuple[list[Any], str | None]:
    size = attributes.get("page_size") or 500
    cursor = attributes.get("page_cursor")
    first = int(read_cursor(cursor)[1][0]) if cursor else 0
    end = first + size
    return keys[first:end], write_cursor("row", (end,)) if end < len(keys) else None


def _bad(detail: str) -> Refused:
    return invalid(detail, f"{PLACE}/filter")


HANDLERS: Mapping[str, Handler] = {"query_metric_aggregates": query_metric_aggregates}
