"""Metrics: read them; events make them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from destination.sandbox.calls.call import Answer, Call, Handler
from destination.sandbox.calls.documents import resource, single
from destination.sandbox.calls.filters import conditions, matching
from destination.sandbox.calls.paging import collection
from destination.sandbox.clock import written
from destination.sandbox.errors import not_found
from destination.sandbox.world.events import Metric


def get_metrics(call: Call) -> Answer:
    """GET /metrics: no filter on the name."""
    items = matching(list(call.account.metrics), conditions(call), read_metric)
    return collection(
        call,
        items,
        lambda each: metric_document(call, each),
        read=read_metric,
        include=lambda _page: [],
    )


def get_metric(call: Call) -> Answer:
    """GET /metrics/{id}."""
    metric = call.account.metrics.get(call.id)
    if metric is None:
        raise not_found("metric", call.id)
    return single(call, 200, metric_document(call, metric), [] if call.asked("include") else None)


def metric_document(call: Call, metric: Metric) -> dict[str, Any]:
    """A metric as the API shows it."""
    attributes = {
        "name": metric.name,
        "created": written(metric.created),
        "updated": written(metric.created),
        "integration": {
            "object": "integration",
            "id": "7FtS4J",
            "key": metric.service,
            "name": read_metric(metric, "integration.name"),
            "category": read_metric(metric, "integration.category"),
        },
    }
    return resource(call, "metric", metric.id, attributes, {"flow-triggers": None})


def read_metric(metric: Metric, field: str) -> Any:
    """What a filter or sort on ``field`` sees."""
    if field == "integration.name":
        return "API" if metric.service == "api" else metric.service.title()
    if field == "integration.category":
        return "API" if metric.service == "api" else "Internal"
    return getattr(metric, field, None)


HANDLERS: Mapping[str, Handler] = {"get_metrics": get_metrics, "get_metric": get_metric}
