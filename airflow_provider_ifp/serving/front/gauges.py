"""What `/metrics` reads off the front's state when asked, for Prometheus."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from airflow_provider_ifp.serving.front.state import State


class Gauges(Collector):
    """Versions, queues, the registry, mirrored requests and the log, as they stand."""

    def __init__(self, state: State) -> None:
        self._state = state

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
