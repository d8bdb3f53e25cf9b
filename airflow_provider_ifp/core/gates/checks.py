"""The two gates on numbers: metrics against bounds, and one metric against production's.

Everything here is arithmetic and words; what the metrics are computed on is the business of `judge`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from airflow_provider_ifp.core.figures import figure, figures
from airflow_provider_ifp.core.metrics.definitions import direction
from airflow_provider_ifp.core.registry.verdict import Check, Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_ifp.core.metrics.bounds import Bound
    from airflow_provider_ifp.core.metrics.names import Direction

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

    >>> from airflow_provider_ifp.core.metrics.bounds import Bound
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
    better: Direction | None = None,
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
        better: Which way the metric is; None: one of the provider's own, which is known.

    >>> comparison_gate("f1", 0.895, 0.9, tolerance=-0.005).verdict
    'pass'
    >>> comparison_gate("f1", 0.871, 0.881, tolerance=-0.005).reason
    'f1 0.871 < 0.876 = production 0.881 - 0.005'
    >>> comparison_gate("rmse", 10.2, 15.8, tolerance=0.0).reason
    'rmse 10.2 against production 15.8: better by 5.6'
    """
    sign = 1.0 if (better or direction(metric)) == "higher" else -1.0
    bound = production + sign * tolerance
    if not all(map(math.isfinite, (candidate, production, tolerance))):
        reason = f"{metric} {candidate} against production {production}: not to be compared"
        return Check(name="comparison", metric=metric, rows=rows, verdict="fail", reason=reason)
    if confidence is not None:
        verdict, reason = _by_interval(
            told_against(metric, candidate, production, sign * (candidate - production)),
            tolerance=tolerance,
            confidence=confidence,
            interval=interval,
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
        finding=None if interval is None else finding_of(interval, tolerance),
    )


def finding_of(interval: tuple[float, float], tolerance: float) -> Finding:
    """Say what the paired interval shows, whatever decides.

    Args:
        interval: Of candidate - production in the better direction.
        tolerance: Differences smaller than it, either way, do not matter.

    Returns:
        `better`: all of it above 0; `equivalent`: all of it within the tolerance; `worse`: all of it below 0;
        else `inconclusive`.

    >>> [finding_of(one, -0.005) for one in ((0.001, 0.009), (-0.004, 0.003), (-0.03, -0.006), (-0.03, 0.02))]
    ['better', 'equivalent', 'worse', 'inconclusive']
    """
    low, high = interval
    margin = abs(tolerance) + SLACK
    if low > 0:
        return "better"
    if -margin <= low and high <= margin:
        return "equivalent"
    return "worse" if high < 0 else "inconclusive"


def rows_needed(interval: tuple[float, float] | None, rows: int, tolerance: float) -> int | None:
    """Say how many rows would tell a difference of the tolerance from none.

    Returns:
        So many that the interval reaches no farther than the tolerance; None where these rows do, or where
        there is no tolerance that could be reached.

    >>> rows_needed((-0.02, 0.02), 1_000, -0.005)
    16000
    >>> rows_needed((-0.002, 0.002), 1_000, -0.005) is None
    True
    """
    if interval is None or not tolerance:
        return None
    reach = (interval[1] - interval[0]) / 2
    if reach <= abs(tolerance):
        return None
    return math.ceil(rows * (reach / tolerance) ** 2 * (1 - SLACK))


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
    return "pass", told_against(metric, candidate, production, gain) + (
        f", within the tolerance {figure(tolerance)}" if gain < -SLACK else ""
    )


def _by_interval(
    compared: str,
    *,
    tolerance: float,
    confidence: float,
    interval: tuple[float, float] | None,
) -> tuple[Outcome, str]:
    if interval is None:
        return "inconclusive", f"{compared}, but its {confidence:.4g} interval cannot be computed"
    low, high, limit = figures([*interval, tolerance])
    passes = interval[0] >= tolerance - SLACK
    verb = ">=" if passes else "<"
    sure = f"{100 * confidence:.4g}% interval {low} to {high}; lower bound {low} {verb} {limit} = tolerance"
    return "pass" if passes else "fail", f"{compared} ({sure})"


def told_against(metric: str, candidate: float, production: float, gain: float) -> str:
    """Say both values, and by how much the candidate is better or worse.

    >>> told_against("f1", 0.9, 0.87, 0.03)
    'f1 0.9 against production 0.87: better by 0.03'
    """
    of_candidate, of_production = figures([candidate, production])
    size = "equal" if abs(gain) <= SLACK else f"{'better' if gain > 0 else 'worse'} by {figure(abs(gain), 3)}"
    return f"{metric} {of_candidate} against production {of_production}: {size}"
