"""What a reader wants to know of a feature beside its distances: means, quantiles, values new and lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_ifp.core.profile.counts import TOP_CATEGORIES
from airflow_provider_ifp.core.profile.curve import curve_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_ifp.core.profile.counts import Counts
    from airflow_provider_ifp.core.profile.feature import CategoricalProfile, NumericProfile

NAMED_NEW: Final = 20
# A value that chance alone keeps out of a window once in 20,000 times (e^-10).
EXPECTED_TO_BE_SEEN: Final = 10
QUANTILES: Final = {"p01": 0.01, "p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberSummary:
    """Of a feature of numbers; each by window, `reference` and `current`.

    Attributes:
        mean: of the finite numbers; None where there are none.
        quantiles: of the finite numbers, by straight lines inside the bins; None where there are none.
        out_of_range: share of the present values that lie below or above all that the profile was made of.
        infinite: share of the present values.
    """

    mean: Mapping[str, float | None]
    quantiles: Mapping[str, Mapping[str, float] | None]
    out_of_range: Mapping[str, float | None]
    infinite: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CategorySummary:
    """Of a feature of categories.

    Attributes:
        unseen: share of all rows of the current window with a value that the reference does not have.
        new_categories: rows of such values, the 20 most frequent that are known by name.
        lost_categories: those of the reference's 50 most frequent values that the current window should hold
            at least ten times, and does not hold.
    """

    unseen: float
    new_categories: Mapping[str, int]
    lost_categories: tuple[str, ...]


def summarize_numbers(feature: NumericProfile, counts: Counts) -> NumberSummary | None:
    """Summarize a window beside its reference; None where its moments were not counted.

    >>> import numpy as np
    >>> from airflow_provider_ifp.core.profile.counting import count_numbers
    >>> from airflow_provider_ifp.core.profile.reference import profile_numbers
    >>> feature = profile_numbers("x", np.arange(1001.0))
    >>> found = summarize_numbers(feature, count_numbers(feature, np.array([500.0, 2000.0, np.nan, np.inf])))
    >>> found.mean["current"], found.quantiles["reference"]["p25"], found.out_of_range["current"]
    (1250.0, 249.25, 0.6666666666666666)
    """
    if counts.moments is None:
        return None
    windows = {"reference": feature.counts, "current": counts}
    return NumberSummary(
        mean={name: _mean(feature, of) for name, of in windows.items()},
        quantiles={name: _quantiles(feature, of) for name, of in windows.items()},
        out_of_range={name: _out_of_range(of) for name, of in windows.items()},
        infinite={name: _infinite(of) for name, of in windows.items()},
    )


def summarize_categories(feature: CategoricalProfile, counts: Counts) -> CategorySummary:
    """Summarize a window of at least one row beside its reference, of at least one row.

    >>> from airflow_provider_ifp.core.profile.counting import count_categories
    >>> from airflow_provider_ifp.core.profile.reference import profile_categories
    >>> feature = profile_categories("c", {"a": 60, "b": 40}, missing=0)
    >>> summarize_categories(feature, count_categories(feature, {"a": 99, "z": 1}, missing=0))
    CategorySummary(unseen=0.01, new_categories={'z': 1}, lost_categories=('b',))
    """
    named = sorted(counts.unseen.items(), key=lambda item: (-item[1], item[0]))[:NAMED_NEW]
    top = feature.names[:TOP_CATEGORIES]
    before, now = (one.bins[: len(top)].tolist() for one in (feature.counts, counts))
    part = counts.rows / feature.counts.rows
    return CategorySummary(
        unseen=int(counts.bins[-1]) / counts.rows,
        new_categories=dict(named),
        lost_categories=tuple(
            name
            for name, rows, found in zip(top, before, now, strict=True)
            if rows * part >= EXPECTED_TO_BE_SEEN and not found
        ),
    )


def _mean(feature: NumericProfile, counts: Counts) -> float | None:
    moments = counts.moments
    return feature.centre + moments.sum / moments.finite if moments and moments.finite else None


def _quantiles(feature: NumericProfile, counts: Counts) -> dict[str, float] | None:
    moments = counts.moments
    if moments is None or moments.smallest is None or moments.largest is None:
        return None
    curve = curve_of(feature, counts).of_finite(moments)
    found = curve.quantiles(tuple(QUANTILES.values()), moments.smallest, moments.largest)
    return dict(zip(QUANTILES, found, strict=True))


def _out_of_range(counts: Counts) -> float | None:
    moments = counts.moments
    return (moments.under + moments.over) / counts.present if moments and counts.present else None


def _infinite(counts: Counts) -> float | None:
    moments = counts.moments
    if moments is None or not counts.present:
        return None
    return (moments.minus_infinite + moments.plus_infinite) / counts.present
