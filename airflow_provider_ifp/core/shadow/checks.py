"""The shadow gate's checks beside the disagreement: errors, predictions, latency. Each shows its numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_ifp.core.drift.distances import kolmogorov_smirnov
from airflow_provider_ifp.core.drift.psi import expected_by_chance, psi
from airflow_provider_ifp.core.figures import figure, figures
from airflow_provider_ifp.core.metrics.proportions import rows_for, upper_bound
from airflow_provider_ifp.core.profile.counting import count_categories, count_numbers
from airflow_provider_ifp.core.profile.record import PREDICTION
from airflow_provider_ifp.core.profile.reference import profile_categories, profile_numbers
from airflow_provider_ifp.core.registry.verdict import Check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PERCENTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
RESAMPLES: Final = 500
BLOCK: Final = 10
"""Measurements that are drawn together: what slows one down slows its neighbours down too."""


@dataclass(frozen=True, slots=True, eq=False)
class Latency:
    """How long both versions took to answer the same requests, in the order in which they were measured.

    Attributes:
        candidate: Microseconds, shape (requests,).
        production: Of the same requests.
        how: How it was measured, for the reader.
    """

    candidate: Floats
    production: Floats
    how: str


def error_check(errors: int, rows: int, most: float) -> Check:
    """Hold the upper bound of the candidate's error rate against the policy's.

    No error at all passes, though few answers cannot show a small rate; the reason says how many could.

    >>> error_check(0, 5_000, 0.001).reason
    '0 of 5,000 answers are errors: at most 0.06% by the 95% bound <= 0.1% = max_error_rate'
    >>> error_check(1, 1_000, 0.001).verdict, error_check(9, 1_000, 0.001).verdict
    ('inconclusive', 'fail')
    """
    upper = upper_bound(errors, rows)
    told = f"{errors:,} of {rows:,} answers {'is an error' if errors == 1 else 'are errors'}"
    bound = f"{100 * upper:.2g}% by the 95% bound"
    limit = f"{100 * most:.4g}% = max_error_rate"
    if upper <= most:
        return _error_check(rows, upper, most, "pass", f"{told}: at most {bound} <= {limit}")
    if errors == 0:
        needed = rows_for(most)
        shown = (
            f"{needed:,} answers without one would show {limit}" if needed else f"none is allowed ({limit})"
        )
        return _error_check(rows, upper, most, "pass", f"{told} (at most {bound}; {shown})")
    if errors > most * rows:
        return _error_check(rows, upper, most, "fail", f"{told}: more than {limit}")
    return _error_check(
        rows, upper, most, "inconclusive", f"{told}: at most {bound} > {limit}; more pairs would tell"
    )


def _error_check(rows: int, value: float, bound: float, verdict: Any, reason: str) -> Check:
    return Check(name="error_rate", value=value, bound=bound, rows=rows, verdict=verdict, reason=reason)


def prediction_checks(
    candidate: tuple[NDArray[Any], NDArray[Any]], production: NDArray[Any], most: float | None
) -> tuple[Check, ...]:
    """Compare the distribution of the candidate's predictions on the log with two others.

    Args:
        candidate: Its predictions on the log's requests and on the holdout's rows, shape (rows,), or
            (rows, k), of which the one that moved most counts.
        production: Production's predictions on the log's requests.
        most: PSI of the candidate, log against holdout, at most; None: it is shown only.

    Returns:
        PSI and, of numbers, KS, each against the candidate's own on the holdout and against production's on
        the log: a retrained model may differ from a drifted production as much as it must, so that one is
        shown and never held against it.
    """
    log, holdout = candidate
    checks = []
    for reference, against, limit in (
        (holdout, "the candidate on the holdout", most),
        (production, "production on the log", None),
    ):
        name = "prediction" if against.startswith("the candidate") else "production_prediction"
        size, by_chance, ks = max(_distances(reference, log), key=lambda one: one[0])
        told = f"PSI of the candidate's predictions on the log against {against} is"
        checks.append(_psi_check(f"{name}_psi", (size, by_chance), limit, told, len(log)))
        if ks is not None:
            reason = f"KS distance against {against} {figure(ks[0], 3)}, p {ks[1]:.2g}; shown only"
            checks.append(Check(name=f"{name}_ks", value=ks[0], rows=len(log), verdict="pass", reason=reason))
    return tuple(checks)


def _psi_check(name: str, found: tuple[float, float], limit: float | None, told: str, rows: int) -> Check:
    size, by_chance = found
    of_size, of_chance = figure(size, 3), figure(by_chance, 2)
    if limit is None:
        reason = f"{told} {of_size}, where chance alone gives {of_chance}; shown only"
        return Check(name=name, value=size, rows=rows, verdict="pass", reason=reason)
    of_size, of_limit = figures([size, limit], 3)
    verb = "<=" if size <= limit else ">"
    reason = f"{told} {of_size} {verb} {of_limit} = max_prediction_psi, where chance alone gives {of_chance}"
    return Check(
        name=name,
        value=size,
        bound=limit,
        rows=rows,
        verdict="pass" if size <= limit else "fail",
        reason=reason,
    )


def _distances(
    reference: NDArray[Any], current: NDArray[Any]
) -> list[tuple[float, float, tuple[float, float] | None]]:
    """PSI, what chance gives, and KS with its p-value, of each number of a prediction."""
    if reference.dtype.kind in "OUST":
        before, after = (Counter(map(str, values.tolist())) for values in (reference, current))
        names = profile_categories(PREDICTION, before, missing=0)
        counted = count_categories(names, after, missing=0)
        return [(psi(names, counted), expected_by_chance(names.counts, counted), None)]
    found = []
    columns = [one.reshape(len(one), -1).astype(np.float64).T for one in (reference, current)]
    for one, other in zip(*columns, strict=True):
        profile = profile_numbers(PREDICTION, one)
        deciles = count_numbers(profile, other, "deciles")
        chance = expected_by_chance(count_numbers(profile, one, "deciles"), deciles)
        ks = kolmogorov_smirnov(profile, count_numbers(profile, other))
        of_ks = None if ks is None or ks.p_value is None else (ks.value, ks.p_value)
        found.append((psi(profile, deciles), chance, of_ks))
    return found


def latency_checks(
    latency: Latency, limits: Mapping[str, float | None], rng: np.random.Generator
) -> tuple[Check, ...]:
    """Compare how long both took, by percentile, with intervals of the ratio.

    Args:
        latency: Both versions' times of the same requests.
        limits: Percentile (`p50`, `p95`, `p99`) -> the largest ratio; None: shown only.
        rng: Draws the blocks; the same seed gives the same intervals.

    Returns:
        One check a percentile; it fails when the whole 95% interval lies above the limit. `value` and
        `interval` are of the ratio candidate / production.
    """
    pair = np.stack([latency.candidate, latency.production])
    names, shares = list(PERCENTILES), list(PERCENTILES.values())
    ratios = np.divide(*np.quantile(pair, shares, axis=1).T)
    drawn = np.array(
        [
            np.divide(*np.quantile(pair[:, _draw_blocks(pair.shape[1], rng)], shares, axis=1).T)
            for _ in range(RESAMPLES)
        ]
    )
    ends = np.quantile(drawn, [0.025, 0.975], axis=0)
    return tuple(
        _latency_check(name, float(ratio), (float(low), float(high)), limits.get(name), latency)
        for name, ratio, low, high in zip(names, ratios, *ends, strict=True)
    )


def _draw_blocks(rows: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw as many places as there are, in blocks of neighbours that wrap around."""
    starts = rng.integers(rows, size=-(-rows // BLOCK))
    return np.asarray(((starts[:, None] + np.arange(BLOCK)) % rows).ravel()[:rows])


def _latency_check(
    name: str, ratio: float, interval: tuple[float, float], limit: float | None, latency: Latency
) -> Check:
    of_ratio, low, high = (f"{value:.3g}" for value in (ratio, *interval))
    told = f"latency {name}: {of_ratio} times production's (95% interval {low} to {high})"
    if limit is None:
        verdict, said = "pass", "; shown only"
    else:
        slower = interval[0] > limit
        verdict = "fail" if slower else "pass"
        said = f" {'>' if slower else 'not above'} {limit:g} = max_latency_ratio.{name}"
    return Check(
        name=f"latency_{name}",
        value=ratio,
        bound=limit,
        interval=interval,
        rows=len(latency.candidate),
        verdict=verdict,  # type: ignore[arg-type]  # one of both texts
        reason=f"{told}{said}; {latency.how}",
    )
