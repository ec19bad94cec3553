"""Tallies and the store's standing in Prometheus's own words. Its library is imported when somebody first asks."""

import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from app import __version__, tally
from app.lead import LeadState
from app.store.standing import Standing

_WAITING = (LeadState.PENDING, LeadState.HELD, LeadState.QUARANTINED)
_CIRCUITS = ("open", "trying", "closed")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot(Collector):
    """One scrape's worth."""

    standing: Standing | None
    """None when the store cannot be read: what the process has counted is told all the same."""
    forms: Iterable[str]
    """Each is told of, if only to be told that nothing waits there."""
    database: str
    free_bytes: int | None
    now: datetime

    def collect(self) -> Iterator[Metric]:
        yield from map(_describe_count, tally.COUNTS)
        yield from map(_describe_spread, tally.SPREADS)
        yield from map(_describe_level, tally.LEVELS)
        labels = {"version": __version__, "python": platform.python_version(), "database": self.database}
        yield _gauge("build_info", "What is running.", [(labels, 1)])
        yield _gauge("store_up", "Whether the store can be read.", [({}, int(self.standing is not None))])
        if self.free_bytes is not None:
            yield _gauge("disk_free_bytes", "Room left where the SQLite file is.", [({}, self.free_bytes)])
        if self.standing is not None:
            yield from self._describe_standing(self.standing)

    def _describe_standing(self, standing: Standing) -> Iterator[Metric]:
        counts = {(state, form): 0 for state in _WAITING for form in self.forms} | dict(standing.leads)
        yield _gauge(
            "leads",
            "Leads that are neither delivered nor discarded.",
            [({"state": state, "form": form}, count) for (state, form), count in sorted(counts.items())],
        )
        yield _gauge(
            "oldest_undelivered_seconds",
            "Age of the oldest pending lead; 0 when none is.",
            [({}, self._measure_age(standing, LeadState.PENDING))],
        )
        yield _gauge(
            "oldest_waiting_seconds",
            "For how long the oldest held or quarantined lead has waited for a human; 0 when none does.",
            [({"state": state}, self._measure_age(standing, state)) for state in _WAITING[1:]],
        )
        yield _gauge("creates_unresolved", "Creates of unknown outcome.", [({}, standing.unresolved)])
        yield _gauge(
            "gates_closed",
            "Groups of calls that Vitec refuses to a login for a customer.",
            [
                (
                    {
                        "login": gate.key.login,
                        "customer": gate.key.customer_id,
                        "group": gate.key.call_group,
                        "status": str(gate.status),
                    },
                    1,
                )
                for gate in standing.gates
            ],
        )
        yield _gauge(
            "circuit_state",
            "1 for the state in which a destination's circuit is; none when it has long been well.",
            [
                ({"destination": circuit.base_url, "state": state}, int(circuit.state == state))
                for circuit in standing.circuits
                for state in _CIRCUITS
            ],
        )

    def _measure_age(self, standing: Standing, state: LeadState) -> float:
        since = standing.oldest.get(state)
        return max(0.0, (self.now - since).total_seconds()) if since else 0.0


def expose(snapshot: Snapshot) -> bytes:
    """The text format, version 0.0.4, which every Prometheus reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(snapshot)
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _gauge(name: str, text: str, samples: Iterable[tuple[dict[str, str], float]]) -> Metric:
    metric = GaugeMetricFamily(f"leadgate_{name}", text)
    for labels, value in samples:
        metric.add_sample(metric.name, {label: str(one) for label, one in labels.items()}, value)
    return metric


def _describe_count(count: tally.Count) -> Metric:
    metric = CounterMetricFamily(f"leadgate_{count.name}", count.help, labels=count.labels)
    # What has no labels is told of before it first happens.
    for labels, value in list(count.values.items()) or [((), 0)] * (not count.labels):
        metric.add_metric(labels, value)
    return metric


def _describe_level(level: tally.Level) -> Metric:
    metric = GaugeMetricFamily(f"leadgate_{level.name}", level.help, labels=level.labels)
    for labels, value in list(level.values.items()):
        metric.add_metric(labels, value)
    return metric


def _describe_spread(spread: tally.Spread) -> Metric:
    metric = HistogramMetricFamily(f"leadgate_{spread.name}", spread.help, labels=spread.labels)
    bounds = [*(f"{bound:g}" for bound in spread.bounds), "+Inf"]
    empty = [((), tally.Bins([0] * len(bounds)))] * (not spread.labels)
    for labels, bins in list(spread.values.items()) or empty:
        buckets = list(zip(bounds, accumulate(bins.counts), strict=True))
        metric.add_metric(labels, buckets, bins.total)
    return metric
