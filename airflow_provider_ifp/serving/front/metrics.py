"""What `/metrics` shows, for Prometheus."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from airflow_provider_ifp.serving.front.state import State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 256, 1024)


class Metrics:
    """Counts requests, and reads everything else off the state when asked."""

    def __init__(self, state: State) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._state = state
        self._requests = Counter(
            "ifp_requests", "Requests answered", ["protocol", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "ifp_request_seconds", "From arrival to answer", buckets=_SECONDS, registry=self._registry
        )
        self._compute = Histogram(
            "ifp_compute_seconds",
            "The model's own time for a batch",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._rows = Histogram("ifp_batch_rows", "Rows in a batch", buckets=_ROWS, registry=self._registry)
        self._children: dict[tuple[str, int], Counter] = {}
        self._registry.register(self)

    def count_request(self, protocol: str, status: int, seconds: float) -> None:
        """One request was answered."""
        child = self._children.get((protocol, status))
        if child is None:
            child = self._children[protocol, status] = self._requests.labels(protocol, str(status))
        child.inc()
        self._seconds.observe(seconds)

    def count_batch(self, rows: int, compute_us: int) -> None:
        """The model in production answered a batch."""
        self._rows.observe(rows)
        self._compute.observe(compute_us / 1e6)

    def text(self) -> bytes:
        """The page."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """prometheus_client's: what is so now."""
        state = self._state
        version = GaugeMetricFamily(
            "ifp_model_version", "The version that answers", labels=["stage", "version"]
        )
        refused = GaugeMetricFamily(
            "ifp_version_refused", "Versions that were refused", labels=["stage", "version", "reason"]
        )
        waiting = GaugeMetricFamily("ifp_requests_waiting", "Waiting or under way", labels=["stage"])
        swaps = CounterMetricFamily("ifp_swaps", "Versions that took another's place", labels=["stage"])
        restarts = CounterMetricFamily(
            "ifp_worker_restarts", "Processes that ended by themselves", labels=["stage"]
        )
        for seat in state.seats:
            if seat.serving is not None and seat.worker is not None:
                version.add_metric([seat.stage, seat.serving.version], 1)
            for number, refusal in seat.refused.items():
                refused.add_metric([seat.stage, number, refusal.reason[:200]], 1)
            waiting.add_metric([seat.stage], seat.lane.waiting)
            swaps.add_metric([seat.stage], seat.swaps)
            restarts.add_metric([seat.stage], seat.restarts)
        yield from (version, refused, waiting, swaps, restarts)
        yield GaugeMetricFamily(
            "ifp_registry_up", "Whether it answered last time", value=not state.registry_trouble
        )
        if state.registry_seen:
            age = time.monotonic() - state.registry_seen
            yield GaugeMetricFamily("ifp_registry_age_seconds", "Since it last answered", value=age)
        mirrored = CounterMetricFamily(
            "ifp_mirrored_requests", "Requests mirrored to @shadow", labels=["outcome"]
        )
        mirrored.add_metric(["sent"], state.mirrored)
        mirrored.add_metric(["dropped"], state.mirror_dropped)
        yield mirrored
        if state.log is not None:
            rows = CounterMetricFamily(
                "ifp_log_rows", "Rows of the prediction log", labels=["stage", "outcome"]
            )
            for stage, counts in state.log.counters().items():
                for outcome, count in counts.items():
                    rows.add_metric([stage, outcome], count)
            yield rows
