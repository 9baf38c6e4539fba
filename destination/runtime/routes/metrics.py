"""``/metrics``: the same integers as ``/admin/counts``, in Prometheus' form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from destination.runtime.alerts.conditions import Alert
from destination.runtime.counts import CONFLICTING, SOURCE_STATES, STATES, Counts


class _Collector(Collector):
    def __init__(
        self, counts: Counts, ready: bool, silence: Mapping[str, float], firing: Iterable[Alert]
    ) -> None:
        self._counts = counts
        self._ready = ready
        self._silence = silence
        self._firing = firing

    def collect(self) -> Iterator[Metric]:
        """The metrics at this instant; labels come from the settings, so they are few."""
        ready = GaugeMetricFamily("destination_ready", "1 while events are accepted.")
        ready.add_metric([], int(self._ready))
        yield ready
        silent = GaugeMetricFamily(
            "destination_silence_seconds",
            "Seconds since any server or any worker was heard of.",
            labels=["part"],
        )
        for part, seconds in self._silence.items():
            silent.add_metric([part], seconds)
        yield silent
        alerts = GaugeMetricFamily(
            "destination_alert", "1 for each alert that fires.", labels=["alert", "connection"]
        )
        for name, connection in sorted({(each.name, each.connection) for each in self._firing}):
            alerts.add_metric([name, connection], 1)
        yield alerts
        events = CounterMetricFamily(
            "destination_events",
            "Events by source and what became of them.",
            labels=["source", "state"],
        )
        for source, states in self._counts["sources"].items():
            for state in SOURCE_STATES:
                events.add_metric([source, state], states[state])
        yield events
        conflicts = CounterMetricFamily(
            "destination_conflicts",
            "Duplicates that said something else than the event whose id they came under.",
            labels=["source"],
        )
        for source, states in self._counts["sources"].items():
            conflicts.add_metric([source], states[CONFLICTING])
        yield conflicts
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


def exposition(
    counts: Counts,
    *,
    ready: bool,
    silence: Mapping[str, float] = MappingProxyType({}),
    firing: Iterable[Alert] = (),
) -> bytes:
    """The text of ``/metrics``; ``silence`` as ``beats.silence`` gives it."""
    registry = CollectorRegistry()
    registry.register(_Collector(counts, ready, silence, firing))
    return generate_latest(registry)
