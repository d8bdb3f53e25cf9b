"""Live shadow: the pairs that a server logged, both versions' answers to the same requests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.adapters.counting.columns import numbers
from airflow_provider_ifp.core.shadow.checks import Latency
from airflow_provider_ifp.core.shadow.gate import Shadowed, Side
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.loop.gates.scoring import score_versions
from airflow_provider_ifp.loop.shadow.log import (
    Pairs,
    align,
    duration_of,
    is_answered,
    keys,
    looked_at,
    read_requests,
    thin_out,
)
from airflow_provider_ifp.loop.shadow.replay import MOST_PAIRS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.core.policy.sections import ShadowSection
    from airflow_provider_ifp.loop.labelled import Columns
    from airflow_provider_ifp.loop.shadow.log import Log

HOW_TIMED: Final = "as the server measured it, both at work at once"
_LAST: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""Requests go on after the time of the run: whatever was mirrored since counts."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """How much was mirrored so far.

    Attributes:
        pairs: Requests that both versions were asked.
        duration: From the first to the last.
    """

    pairs: int
    duration: timedelta

    def is_enough(self, rules: ShadowSection) -> bool:
        """Whether the gate can decide."""
        return self.pairs >= rules.min_pairs and self.duration >= rules.min_duration


def count_mirrored(log: Log, versions: tuple[str, str], period: Window) -> Traffic:
    """Count the pairs that were logged since the holdout began.

    Args:
        log: Where.
        versions: The candidate, which requests are mirrored to, and production.
        period: The holdout's window.

    Raises:
        PredictionLogError: no log of this model, or one that cannot be read.
    """
    pairs = _pairs(log, versions, period, ())
    return Traffic(pairs.num_rows, duration_of(pairs))


def compare_mirrored(
    registry: Registry,
    versions: tuple[ModelVersion, ModelVersion],
    log: Log,
    *,
    holdout: pa.Table,
    period: Window,
    now: datetime,
    columns: Columns,
    rules: ShadowSection,
    layers: Path | None = None,
) -> Shadowed:
    """Look at the pairs that a server logged; both versions answer the holdout now.

    Args:
        registry: Where the versions are.
        versions: The candidate, and production.
        log: Where the pairs are: stage `shadow` beside stage `production`.
        holdout: The holdout's rows.
        period: Its window; pairs from its beginning on count.
        now: The time of the run; pairs may be newer.
        columns: The features.
        rules: How many pairs are needed.
        layers: As of `training.layers.version_environment`.

    Raises:
        PredictionLogError: no log of this model, or one that cannot be read.
        ModelError: a version does not load, raises, or answers in another shape.
    """
    del now
    pairs = _pairs(log, (versions[0].version, versions[1].version), period, columns.features)
    logged = thin_out(pairs, max(MOST_PAIRS, rules.min_pairs))
    answers = score_versions(registry, versions, holdout, columns.features, layers=layers)
    mirrored = Pairs(
        align(logged, holdout, columns.features).slice(holdout.num_rows),
        columns,
        logged["shadow_prediction"],
        logged["prediction"],
        is_answered(logged, "shadow_"),
        is_answered(logged),
    )
    return Shadowed(
        log=mirrored.side(),
        holdout=_side(holdout, columns, *(answers[one.version].prediction for one in versions)),
        asked=mirrored.asked,
        errors=mirrored.errors,
        duration=duration_of(logged),
        latency=_latency(logged),
    )


def _pairs(log: Log, versions: tuple[str, str], period: Window, features: Sequence[str]) -> pa.Table:
    """Production's requests with what the candidate answered to them, in the order of time."""
    candidate = _of_version(read_requests(log, "shadow", Window(period.start, _LAST), ()), versions[0])
    # Both answers to a request have its time; what was asked before is of no interest, and may be very much.
    start = pc.min(candidate["ts"]).as_py() if candidate.num_rows else _LAST - timedelta(hours=1)
    asked = read_requests(log, "production", Window(start, _LAST), features)
    production = _of_version(asked, versions[1])
    _, here, there = np.intersect1d(keys(production), keys(candidate), return_indices=True)
    order = np.argsort(here)
    pairs, mirrored = production.take(here[order]), candidate.take(there[order])
    for name in ("prediction", "status", "compute_us"):
        pairs = pairs.append_column(f"shadow_{name}", mirrored[name])
    return pairs


def _of_version(table: pa.Table, version: str) -> pa.Table:
    """The rows that one version answered: after a promotion the log has another one's too."""
    return table.filter(pc.equal(table["model_version"].cast(pa.string()), version))


def _side(table: pa.Table, columns: Columns, candidate: NDArray[Any], production: NDArray[Any]) -> Side:
    """The rows of the holdout that both answer."""
    there = np.ones(table.num_rows, np.bool_)
    for answers in (candidate, production):
        if answers.dtype.kind == "f":
            there &= np.isfinite(answers).reshape(len(answers), -1).all(axis=1)
    features = looked_at(table.filter(pa.array(there)), columns)
    return Side(features, candidate[there], production[there])


def _latency(pairs: pa.Table) -> Latency | None:
    """The time that the server took by both versions, where it noted both."""
    times = [numbers(pairs[name]) for name in ("shadow_compute_us", "compute_us")]
    both = np.isfinite(times[0]) & np.isfinite(times[1])
    return Latency(times[0][both], times[1][both], HOW_TIMED) if both.any() else None
