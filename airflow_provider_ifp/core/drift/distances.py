"""Distances of two windows from their histograms: Kolmogorov-Smirnov, Wasserstein, Jensen-Shannon.

Histograms hold the distribution functions exactly at their edges and at atoms; between edges the functions
can be anywhere between the two ends. So each distance of numbers comes with a bound: how far the same
distance of the rows themselves can be from it. On the fine grid (a thousandth of the reference a bin) the
bound is small; on the coarse grid, which a database counts fastest, it is wide, and says so.

Sources: Smirnov's limit with Stephens' correction for small samples (1970) for the p-value; Lin (1991) for
Jensen-Shannon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import kolmogorov, rel_entr

from airflow_provider_ifp.core.profile.counting import coarsen
from airflow_provider_ifp.core.profile.curve import Curve, curve_of

if TYPE_CHECKING:
    from airflow_provider_ifp.core.profile.counts import Counts
    from airflow_provider_ifp.core.profile.feature import NumericProfile

# The mean of Kolmogorov's distribution: sqrt(pi / 2) ln 2.
_MEAN_SUPREMUM: Final = math.sqrt(math.pi / 2) * math.log(2)


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance from histograms.

    Attributes:
        value: the distance; a floor for KS, the middle estimate for Wasserstein.
        bound: the rows' own distance lies within value +- bound (KS: between value and value + bound).
        by_chance: what two windows of one distribution and these sizes show on average.
        p_value: how often chance alone gives this much; None where there is no such test.
    """

    value: float
    bound: float
    by_chance: float
    p_value: float | None = None


def kolmogorov_smirnov(feature: NumericProfile, counts: Counts) -> Distance | None:
    """Return the largest distance of the two distribution functions, present values only.

    None where a window has no present value. The bound is at most the largest share of the reference in one
    bin that is no atom.

    >>> from airflow_provider_ifp.core.profile.counting import count_numbers
    >>> from airflow_provider_ifp.core.profile.reference import profile_numbers
    >>> feature = profile_numbers("x", np.arange(1000.0))
    >>> found = kolmogorov_smirnov(feature, count_numbers(feature, np.arange(100.0, 1100.0)))
    >>> round(found.value, 6), round(found.bound, 6)
    (0.1, 0.001)
    """
    before, now = coarsen(feature, feature.counts, counts.grid), counts
    n, m = before.present, now.present
    if not n or not m:
        return None
    f, g = curve_of(feature, before), curve_of(feature, now)
    at_ends = max(abs(f.start - g.start), abs(f.end - g.end))
    at_edges = max(at_ends, _largest(f.left - g.left), _largest(f.right - g.right))
    # Inside an interval one function may have risen already where the other has not.
    (f_from, f_to), (g_from, g_to) = (
        (np.append(one.start, one.right), np.append(one.left, one.end)) for one in (f, g)
    )
    inside = max(_largest(g_to - f_from), _largest(f_to - g_from))
    root = math.sqrt(n * m / (n + m))
    return Distance(
        value=at_edges,
        bound=max(0.0, inside - at_edges),
        by_chance=_MEAN_SUPREMUM / root,
        p_value=float(kolmogorov((root + 0.12 + 0.11 / root) * at_edges)),
    )


def wasserstein(feature: NumericProfile, counts: Counts) -> Distance | None:
    """Return the area between the two distribution functions, in standard deviations of the reference.

    Finite values only (infinities are reported by themselves). None where a window has none, where the
    reference's standard deviation is 0, or where the sums of the tails were not counted. In the open tails
    the area under each function is exact, by its shortfall or excess; the difference of the two areas is
    taken, and the bound holds where the functions cross.

    >>> from airflow_provider_ifp.core.profile.counting import count_numbers
    >>> from airflow_provider_ifp.core.profile.reference import profile_numbers
    >>> feature = profile_numbers("x", np.random.default_rng(0).normal(size=10_000))
    >>> moved = np.random.default_rng(0).normal(size=10_000) + 0.5
    >>> found = wasserstein(feature, count_numbers(feature, moved))
    >>> round(found.value, 2), found.bound < 0.01
    (0.5, True)
    """
    reference, current = feature.moments, counts.moments
    if current is None or not reference.finite or not current.finite or not feature.edges:
        return None
    deviation = reference.deviation
    if not deviation:
        return None
    f = curve_of(feature, feature.counts).of_finite(reference)
    g = curve_of(feature, counts).of_finite(current)
    low, high = g.edges[0], g.edges[-1]
    tails = (
        (_area(f.until(low)) + reference.shortfall / reference.finite, current.shortfall / current.finite),
        (_area(f.beyond(high)) + reference.excess / reference.finite, current.excess / current.finite),
    )
    area = _between(f, g) + sum(abs(one - other) for one, other in tails)
    # A function that rises by r over a width w leaves its straight line by an area of at most w r / 2.
    bound = _unknown(f) + _unknown(g) + sum(2 * min(one, other) for one, other in tails)
    middle = (f.left[1:] + f.right[:-1]) / 2
    spread = float((np.sqrt(np.clip(middle * (1 - middle), 0, None)) * np.diff(f.edges)).sum())
    # At each point the difference is near normal, with variance F(1 - F)(1/n + 1/m).
    by_chance = math.sqrt(2 / math.pi * (1 / reference.finite + 1 / current.finite)) * spread
    found = [area / deviation, bound / deviation, by_chance / deviation]
    return Distance(*found) if all(map(math.isfinite, found)) else None


def jensen_shannon(before: Counts, now: Counts) -> float:
    """Return the Jensen-Shannon distance of two windows on the same bins, to base 2: 0 to 1.

    The square root of the divergence; of shares of all rows, missing values being one bin.

    >>> from airflow_provider_ifp.core.profile.counts import Counts
    >>> jensen_shannon(Counts(np.array([5, 0]), missing=0), Counts(np.array([0, 7]), missing=0))
    1.0
    """
    p, q = (np.append(one.bins, one.missing) / one.rows for one in (before, now))
    middle = (p + q) / 2
    divergence = float((rel_entr(p, middle) + rel_entr(q, middle)).sum()) / 2
    return math.sqrt(max(0.0, divergence) / math.log(2))


def _between(f: Curve, g: Curve) -> float:
    """Return the area between two curves from the first to the last edge of the second.

    The first curve's edges include the second's.
    """
    inside = (f.edges >= g.edges[0]) & (f.edges <= g.edges[-1])
    edges = f.edges[inside]
    g_left, g_right = g.at(edges)
    widths = np.diff(edges)
    start = np.abs(f.right[inside][:-1] - g_right[:-1])
    end = np.abs(f.left[inside][1:] - g_left[1:])
    crosses = (f.right[inside][:-1] - g_right[:-1]) * (f.left[inside][1:] - g_left[1:]) < 0
    sides = np.where(start + end > 0, start + end, 1)
    mean = np.where(crosses, (start**2 + end**2) / (2 * sides), (start + end) / 2)
    return float((widths * mean).sum())


def _unknown(curve: Curve) -> float:
    return float(((curve.left[1:] - curve.right[:-1]) * np.diff(curve.edges)).sum()) / 2


def _area(curve: Curve) -> float:
    return float(((curve.right[:-1] + curve.left[1:]) / 2 * np.diff(curve.edges)).sum())


def _largest(differences: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(np.abs(differences).max(initial=0.0))
