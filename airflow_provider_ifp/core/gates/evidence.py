"""What a reader of a verdict wants to see besides its checks: how the answers err, and what drifted before.

Numbers: the errors of both versions in bins. Scores of a binary label: what was promised and what came true.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from airflow_provider_ifp.core.errors import DatasetError, ModelError
from airflow_provider_ifp.core.figures import figures
from airflow_provider_ifp.core.metrics.answers import numbers, positives_and_scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.metrics.measures import Rows

    Floats = NDArray[np.float64]

_BINS: Final = 11
_TENTHS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bin of a plot.

    Attributes:
        name: The bin.
        first: Of residuals production's share of rows; of a calibration the mean score.
        second: Of residuals the candidate's; of a calibration the share that was positive.
    """

    name: str
    first: float
    second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What stands in a verdict's page besides the verdict.

    Attributes:
        plot: What the bars show; None: there are none.
        bars: In ascending order.
        compared: Whether production has bars too.
        drifted: Feature -> why it drifted, at production's newest check.
        drift_window: When that was, in words.
    """

    plot: Literal["residuals", "calibration"] | None = None
    bars: tuple[Bar, ...] = ()
    compared: bool = False
    drifted: tuple[tuple[str, str], ...] = ()
    drift_window: str = ""


def plot_of(rows: Rows, positive: object) -> Evidence:
    """Make the plot that fits the answers.

    Returns:
        Calibration where there is a score of a binary label, residuals where labels and predictions are
        numbers, else no plot.
    """
    try:
        if rows.candidate.score is not None:
            return _calibration(*positives_and_scores("brier", rows.label, rows.candidate, positive))
        return _residuals(rows)
    except (DatasetError, ModelError):
        return Evidence()


def drifted_features(record: Mapping[str, Any] | None) -> tuple[tuple[tuple[str, str], ...], str]:
    """Take from the record of a drift check (`ifp.drift/1`) what drifted, and when.

    >>> found = {"window": {"start": None, "end": "2013-07-01T00:00:00+00:00"}, "features": [
    ...     {"name": "block", "segment": None, "verdict": "drifted", "reason": "PSI 0.111 > 0.10"},
    ...     {"name": "dow", "segment": None, "verdict": "stable", "reason": "PSI 0.01 <= 0.10"}]}
    >>> drifted_features(found)
    ((('block', 'PSI 0.111 > 0.10'),), 'until 2013-07-01')
    """
    if record is None:
        return (), ""
    found = tuple(
        (f"{one['name']} ({one['segment']})" if one.get("segment") else one["name"], one["reason"])
        for one in record["features"]
        if one["verdict"] == "drifted"
    )
    start, end = record["window"]["start"], record["window"]["end"][:10]
    return found, f"{start[:10]} to {end}" if start else f"until {end}"


def _residuals(rows: Rows) -> Evidence:
    label = numbers(rows.label, "labels", "residuals")
    of_candidate = numbers(rows.candidate.prediction, "predictions", "residuals") - label
    both = [of_candidate]
    if rows.production is not None:
        both.insert(0, numbers(rows.production.prediction, "predictions", "residuals") - label)
    low, high = np.quantile(np.concatenate(both), [0.01, 0.99]).tolist()
    if not (np.isfinite([low, high]).all() and low < high):
        return Evidence()
    # An odd number of bins around 0, so that the middle one holds what is right.
    reach = max(-low, high)
    edges = np.linspace(-reach, reach, _BINS - 1)
    cuts = figures(edges.tolist())
    names = [f"below {cuts[0]}", *(f"{a} to {b}" for a, b in pairwise(cuts)), f"above {cuts[-1]}"]
    shares = [np.bincount(np.searchsorted(edges, errors), minlength=_BINS) / len(label) for errors in both]
    bars = tuple(
        Bar(name=name, first=float(shares[0][place]), second=float(shares[-1][place]))
        for place, name in enumerate(names)
    )
    return Evidence(plot="residuals", bars=bars, compared=rows.production is not None)


def _calibration(is_positive: NDArray[np.bool_], score: Floats) -> Evidence:
    if score.min() < 0 or score.max() > 1:
        return Evidence()
    places = np.minimum((score * _TENTHS).astype(int), _TENTHS - 1)
    rows = np.bincount(places, minlength=_TENTHS)
    promised = np.bincount(places, weights=score, minlength=_TENTHS)
    came = np.bincount(places, weights=is_positive, minlength=_TENTHS)
    bars = tuple(
        Bar(
            name=f"{place / _TENTHS:g} to {(place + 1) / _TENTHS:g}",
            first=float(promised[place] / rows[place]),
            second=float(came[place] / rows[place]),
        )
        for place in range(_TENTHS)
        if rows[place]
    )
    return Evidence(plot="calibration", bars=bars)
