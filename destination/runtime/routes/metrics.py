"""``/metrics``: the same integers as ``/admin/counts``, in Prometheus' form."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from destination.runtime.counts import STATES, Counts


class _Collector(Collector):
    def __init__(self, counts: Counts, ready: bool) -> None:
        self._counts = counts
        self._ready = ready

    def collect(self) -> Iterator[Metric]:
        """The metrics at this instant; labels come from the settings, so they are few."""
        ready = GaugeMetricFamily("destination_ready", "1 while events are accepted.")
        ready.add_metric([], int(self._ready))
        yield ready
        events = CounterMetricFamily(
            "destination_events",
            "Events by source and what became of them.",
            labels=["source", "state"],
        )
        for source, states in self._counts["sources"].items():
            for state, value in states.items():
                events.add_metric([source, state], value)
        yield events
        labels = ["connection", "mapping"]
        for state in STATES:
            kind = GaugeMetricFamily if state in {"dead", "pending"} else CounterMetricFamily
            family = kind(f"destination_deliveries_{state}", f"Deliveries {state}.", labels=labels)
            for connection, totals in self._counts["connections"].items():
                for mapping, values in totals["mappings"].items():
                    family.add_metric([connection, mapping], values[state])
            yield family
        drops = CounterMetricFamily(
            "destination_drops", "Deliveries dropped, by reason.", labels=[*labels, "reason"]
        )
        for connection, totals in self._counts["connections"].items():
            for mapping, values in totals["mappings"].items():
                for reason, value in values["reasons"].items():
                    drops.add_metric([connection, mapping, reason.removeprefix("dropped:")], value)
        yield drops


def exposition(counts: Counts, *, ready: bool) -> bytes:
    """The text of ``/metrics``."""
    registry = CollectorRegistry()
    registry.register(_Collector(counts, ready))
    return generate_latest(registry)
