"""The two gates on numbers: metrics against bounds, and one metric against production's.

Everything here is arithmetic and words; what the metrics are computed on is the business of `core.gates`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from airflow_provider_ifp.core.figures import figure, figures
from airflow_provider_ifp.core.metrics import direction
from airflow_provider_ifp.core.verdict import Check, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_ifp.core.bounds import Bound

SLACK: Final = 1e-12


def absolute_gate(
    metrics: Mapping[str, float], bounds: Sequence[Bound], rows: int | None = None
) -> tuple[Check, ...]:
    """Hold metrics against floors and ceilings, both inclusive.

    Args:
        metrics: The candidate's values.
        bounds: The policy's `min_<metric>` and `max_<metric>`.
        rows: Rows that the metrics were computed on.

    Returns:
        One check for each floor and each ceiling; a metric that is absent or NaN fails.

    >>> from airflow_provider_ifp.core.bounds import Bound
    >>> absolute_gate({"f1": 0.87}, [Bound("f1", minimum=0.88)])[0].reason
    'f1 0.87 < 0.88 = minimum'
    """
    checks = []
    for bound in bounds:
        value = metrics.get(bound.metric, math.nan)
        for side, limit in (("minimum", bound.minimum), ("maximum", bound.maximum)):
            if limit is not None:
                checks.append(_bound_check(bound.metric, value, side, limit, rows))
    return tuple(checks)


def comparison_gate(
    metric: str,
    candidate: float,
    production: float,
    *,
    tolerance: float,
    confidence: float | None = None,
    interval: tuple[float, float] | None = None,
    rows: int | None = None,
) -> Check:
    """Hold the candidate's metric against production's on the same rows.

    Args:
        metric: Decides which direction is better.
        candidate: The candidate's value.
        production: Production's value.
        tolerance: The smallest candidate - production, in the better direction, that passes.
        confidence: Given, the interval's lower end is held against the tolerance instead of the difference.
        interval: Of the difference, in the better direction, at that confidence.
        rows: Rows that both answered.

    >>> comparison_gate("f1", 0.895, 0.9, tolerance=-0.005).verdict
    'pass'
    >>> comparison_gate("f1", 0.871, 0.881, tolerance=-0.005).reason
    'f1 0.871 < 0.876 = production 0.881 - 0.005'
    >>> comparison_gate("rmse", 10.2, 15.8, tolerance=0.0).reason
    'rmse 10.2 against production 15.8: better by 5.6'
    """
    sign = 1.0 if direction(metric) == "higher" else -1.0
    bound = production + sign * tolerance
    if not all(map(math.isfinite, (candidate, production, tolerance))):
        reason = f"{metric} {candidate} against production {production}: not to be compared"
        return Check(name="comparison", metric=metric, rows=rows, verdict="fail", reason=reason)
    if confidence is not None:
        verdict, reason = _by_interval(
            metric, candidate, production, tolerance=tolerance, confidence=confidence, interval=interval
        )
    else:
        verdict, reason = _by_point(metric, candidate, production, sign, tolerance)
    return Check(
        name="comparison",
        metric=metric,
        value=candidate,
        against=production,
        bound=bound,
        interval=interval,
        rows=rows,
        verdict=verdict,
        reason=reason,
    )


def _bound_check(metric: str, value: float, side: str, limit: float, rows: int | None) -> Check:
    name = f"{'min' if side == 'minimum' else 'max'}_{metric}"
    if not math.isfinite(value):
        return Check(
            name=name,
            metric=metric,
            bound=limit,
            rows=rows,
            verdict="fail",
            reason=f"{metric} was not computed, or is no number ({value}); {side} {figure(limit)}",
        )
    passes = value >= limit if side == "minimum" else value <= limit
    verb = {("minimum", True): ">=", ("minimum", False): "<", ("maximum", True): "<="}.get(
        (side, passes), ">"
    )
    of_value, of_limit = figures([value, limit])
    return Check(
        name=name,
        metric=metric,
        value=value,
        bound=limit,
        rows=rows,
        verdict="pass" if passes else "fail",
        reason=f"{metric} {of_value} {verb} {of_limit} = {side}",
    )


def _by_point(
    metric: str, candidate: float, production: float, sign: float, tolerance: float
) -> tuple[Outcome, str]:
    gain = sign * (candidate - production)
    if gain < tolerance - SLACK:
        bound = production + sign * tolerance
        of_candidate, of_bound, of_production = figures([candidate, bound, production])
        operation = "+" if sign * tolerance > 0 else "-"
        shift = f" {of_production} {operation} {figure(abs(tolerance))}" if tolerance else ""
        verb = "<" if sign > 0 else ">"
        return "fail", f"{metric} {of_candidate} {verb} {of_bound} = production{shift}"
    return "pass", _against(metric, candidate, production, gain) + (
        f", within the tolerance {figure(tolerance)}" if gain < -SLACK else ""
    )


def _by_interval(
    metric: str,
    candidate: float,
    production: float,
    *,
    tolerance: float,
    confidence: float,
    interval: tuple[float, float] | None,
) -> tuple[Outcome, str]:
    sign = 1.0 if direction(metric) == "higher" else -1.0
    compared = _against(metric, candidate, production, sign * (candidate - production))
    if interval is None:
        return "inconclusive", f"{compared}, but its {confidence:.4g} interval cannot be computed"
    low, high, limit = figures([*interval, tolerance])
    passes = interval[0] >= tolerance - SLACK
    verb = ">=" if passes else "<"
    sure = f"{100 * confidence:.4g}% interval {low} to {high}; lower bound {low} {verb} {limit} = tolerance"
    return "pass" if passes else "fail", f"{compared} ({sure})"


def _against(metric: str, candidate: float, production: float, gain: float) -> str:
    of_candidate, of_production = figures([candidate, production])
    size = "equal" if abs(gain) <= SLACK else f"{'better' if gain > 0 else 'worse'} by {figure(abs(gain), 3)}"
    return f"{metric} {of_candidate} against production {of_production}: {size}"
