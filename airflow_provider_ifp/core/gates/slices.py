"""The comparison in each slice of the holdout: an average that improves may hide a group that suffers.

A slice fails when it is worse than the tolerance beyond chance: a one-sided test of the paired difference,
corrected over all slices (Holm, 1979), so that of many equal slices hardly one is rejected by luck. The
standard error is that of the paired interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_ifp.core.errors import DatasetError, ModelError
from airflow_provider_ifp.core.figures import figure
from airflow_provider_ifp.core.gates.checks import SLACK, finding_of, told_against
from airflow_provider_ifp.core.registry.verdict import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.metrics.measures import Measures, Rows

LEVEL: Final = 0.95
"""Of the intervals that are shown; 1 - LEVEL is the chance that any of equal slices fails."""
_NAMED: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    name: str
    rows: int
    value: float
    against: float
    gain: float
    interval: tuple[float, float]

    def chance(self, tolerance: float) -> float:
        """How often a slice exactly at the tolerance looks as bad as this one."""
        error = (self.interval[1] - self.interval[0]) / (2 * NormalDist().inv_cdf((1 + LEVEL) / 2))
        if not error:
            return float(self.gain >= tolerance - SLACK)
        return NormalDist().cdf((self.gain - tolerance) / error)


def slice_checks(
    rows: Rows,
    slices: Mapping[str, NDArray[Any]],
    *,
    metric: str,
    measures: Measures,
    tolerance: float,
    min_rows: int,
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Hold each slice to the comparison.

    Args:
        rows: The holdout, with both versions' answers.
        slices: By column the value of each row as text, shape (rows,).
        metric: What is compared.
        measures: Computes it.
        tolerance: As in the comparison gate.
        min_rows: Smaller slices are left out.

    Returns:
        A check for each slice, the worst first, and what to warn of: slices in which the metric cannot be
        computed.
    """
    compared: list[_Compared] = []
    untold: list[str] = []
    for name, places in _slices(slices, min_rows):
        try:
            found = _compare(name, rows.take(places), metric, measures)
        except (DatasetError, ModelError) as error:
            untold.append(f"slice {name} is not judged: {error}")
            continue
        if found is None:
            untold.append(f"slice {name} is not judged: its interval cannot be computed")
        else:
            compared.append(found)
    ordered = sorted(compared, key=lambda one: (one.chance(tolerance), one.name))
    chances = holm([one.chance(tolerance) for one in ordered])
    checks = []
    for one, chance in zip(ordered, chances, strict=True):
        fails = chance < 1 - LEVEL
        reason = f"{one.name}: {told_against(metric, one.value, one.against, one.gain)}"
        odds = f"(p {chance:.2g} over {len(ordered)} slices)"
        if fails:
            reason += f" beyond chance {odds}, tolerance {figure(tolerance)}"
        elif one.gain < tolerance - SLACK:
            reason += f", within chance {odds}"
        checks.append(
            Check(
                name="slice",
                metric=metric,
                slice=one.name,
                value=one.value,
                against=one.against,
                bound=one.against + (tolerance if measures.better(metric) == "higher" else -tolerance),
                interval=one.interval,
                rows=one.rows,
                verdict="fail" if fails else "pass",
                reason=reason,
                finding=finding_of(one.interval, tolerance),
            )
        )
    return tuple(checks), tuple(untold)


def holm(chances: Sequence[float]) -> list[float]:
    """Adjust p-values so that the chance of any false one among them keeps its level (Holm, 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(chances)), key=chances.__getitem__)
    adjusted = [0.0] * len(chances)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[place]))
        adjusted[place] = largest
    return adjusted


def unseen_slices(
    traffic: Mapping[str, Mapping[str, int]], slices: Mapping[str, NDArray[Any]]
) -> tuple[str, ...]:
    """Name the slices that production is asked about and the holdout does not have.

    Args:
        traffic: By column, the requests with each value.
        slices: As `slice_checks` takes them.

    >>> unseen_slices({"carrier": {"HA": 118, "UA": 900}}, {"carrier": np.array(["UA", "DL"])})
    ('carrier=HA: 118 of 1,018 requests in the prediction log, and no row in the holdout',)
    """
    told: list[str] = []
    for column, requests in traffic.items():
        there = set(np.unique(slices[column]).tolist())
        missing = sorted((-count, value) for value, count in requests.items() if value not in there)
        of_all = sum(requests.values())
        told += [
            f"{column}={value}: {-count:,} of {of_all:,} requests in the prediction log, and no row in the "
            "holdout"
            for count, value in missing[:_NAMED]
        ]
        if len(missing) > _NAMED:
            told.append(f"{column}: {len(missing) - _NAMED:,} more values that the holdout does not have")
    return tuple(told)


def _slices(slices: Mapping[str, NDArray[Any]], min_rows: int) -> Iterator[tuple[str, NDArray[np.intp]]]:
    for column, values in slices.items():
        names, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
        order = np.argsort(codes, kind="stable")
        for name, places in zip(names, np.split(order, np.cumsum(counts)[:-1]), strict=True):
            if len(places) >= min_rows:
                yield f"{column}={name}", places


def _compare(name: str, rows: Rows, metric: str, measures: Measures) -> _Compared | None:
    if rows.production is None:
        return None
    value = measures.value(metric, rows, rows.candidate)
    against = measures.value(metric, rows, rows.production)
    interval = measures.interval(metric, rows, LEVEL)
    sign = 1.0 if measures.better(metric) == "higher" else -1.0
    if interval is None:
        return None
    return _Compared(
        name=name,
        rows=len(rows),
        value=value,
        against=against,
        gain=sign * (value - against),
        interval=interval,
    )
