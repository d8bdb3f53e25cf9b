"""What `/metrics` shows, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 256, 1024)


class Metrics:
    """Counts requests; what else there is to see is read by collectors when asked."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
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

    def register(self, collector: Collector) -> None:
        """Show what a collector reads, too."""
        self._registry.register(collector)

    def text(self) -> bytes:
        """The page."""
        return generate_latest(self._registry)
