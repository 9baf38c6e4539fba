"""The properties that a metric's events have had."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from destination.sandbox.calls.call import Answer, Call, Handler
from destination.sandbox.calls.documents import reference, resource, single
from destination.sandbox.calls.metrics import metric_document
from destination.sandbox.calls.paging import collection
from destination.sandbox.errors import not_found
from destination.sandbox.world.events import Metric

MOST_SAMPLES = 10


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a metric, with the first values that were seen."""

    id: str
    number: int
    name: str
    metric: Metric
    samples: list[Any]


def get_properties(*, ids_only: bool) -> Handler:
    """GET /metrics/{id}/metric-properties and its relationships."""

    def handler(call: Call) -> Answer:
        metric = call.account.metrics.get(call.id)
        if metric is None:
            raise not_found("metric", call.id)
        render: Callable[[Property], Any] = (
            (lambda each: reference("metric-property", each.id))
            if ids_only
            else (lambda each: _document(call, each))
        )
        return collection(call, list(_of(call, metric)), render, read=getattr)

    return handler


def get_property(call: Call) -> Answer:
    """GET /metric-properties/{id}."""
    return single(call, 200, _document(call, _known(call)))


def get_metric_of_property(call: Call) -> Answer:
    """GET /metric-properties/{id}/metric."""
    return single(call, 200, metric_document(call, _known(call).metric))


def get_metric_id_of_property(call: Call) -> Answer:
    """GET /metric-properties/{id}/relationships/metric."""
    return Answer(200, {"data": reference("metric", _known(call).metric.id)})


def _of(call: Call, metric: Metric) -> Iterator[Property]:
    samples: dict[str, list[Any]] = {}
    for event in call.account.events:
        if event.metric is not metric:
            continue
        for name, value in event.properties.items():
            held = samples.setdefault(name, [])
            plain = isinstance(value, (str, int, float))
            if plain and value not in held and len(held) < MOST_SAMPLES:
                held.append(value)
    for number, (name, values) in enumerate(samples.items()):
        digest = hashlib.sha256(f"{metric.id}/{name}".encode()).hexdigest()[:12]
        yield Property(digest, number, name, metric, values)


def _known(call: Call) -> Property:
    for metric in call.account.metrics:
        for each in _of(call, metric):
            if each.id == call.id:
                return each
    raise not_found("metric-property", call.id)


def _document(call: Call, found: Property) -> dict[str, Any]:
    kinds = {bool: "boolean", str: "string", int: "number", float: "number"}
    kind = kinds[type(found.samples[0])] if found.samples else "unknown"
    attributes: dict[str, Any] = {
        "label": found.name,
        "property": found.name,
        "inferred_type": kind,
    }
    if "sample_values" in call.asked("additional-fields[metric-property]"):
        attributes["sample_values"] = found.samples
    relations = {"metric": reference("metric", found.metric.id)}
    document = resource(call, "metric-property", found.id, attributes, relations)
    document["links"]["self"] = f"{call.link_base}/api/metric-properties/{found.id}"
    return document


HANDLERS: Mapping[str, Handler] = {
    "get_properties_for_metric": get_properties(ids_only=False),
    "get_property_ids_for_metric": get_properties(ids_only=True),
    "get_metric_property": get_property,
    "get_metric_for_metric_property": get_metric_of_property,
    "get_metric_id_for_metric_property": get_metric_id_of_property,
}
