"""PSI, the population stability index, and what chance alone makes of it.

Both work on counts per bin: how many rows of the reference window and of the current window fell into each
bin of the reference's profile. PSI is the size of a change; Pearson's chi-square says whether chance explains
it.

Sources: Yurdakul, "Statistical Properties of Population Stability Index" (2018), for the expectation;
Pearson's test of homogeneity of two samples, with Cochran's rule of thumb for the smallest expected count
(here ten).
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy.special import bdtr, bdtrc, chdtrc

from airflow_provider_ifp.core.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_ifp.core.profile import Feature

SMALLEST_SHARE = 1e-4
EXPECTED_ROWS = 10
SIGNIFICANT = 0.01


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of one feature in one window: per bin of the reference's profile, and missing.

    >>> Counts((3, 1), missing=1) + Counts((0, 2), missing=0)
    Counts(bins=(3, 3), missing=1)
    """

    bins: tuple[int, ...]
    missing: int

    def __add__(self, other: Counts) -> Counts:
        """Join the counts of two parts of a window.

        Raises:
            DatasetError: The two were counted on different bins.
        """
        if len(self.bins) != len(other.bins):
            raise DatasetError(
                f"counts on {len(other.bins)} bins cannot be added to counts on {len(self.bins)} bins; "
                "count both parts against the same profile"
            )
        return Counts(tuple(map(operator.add, self.bins, other.bins)), self.missing + other.missing)

    @property
    def present(self) -> int:
        """Rows that have a value."""
        return sum(self.bins)

    @property
    def rows(self) -> int:
        """All rows, the missing ones included."""
        return self.present + self.missing


def psi(feature: Feature, counts: Counts) -> float:
    """Compare a current window with the reference window of a feature.

    The sum over the bins, missing values being one, of (current - reference) * ln(current / reference), where
    both are shares of all rows, floored at 1e-4 and not normalised again.

    Args:
        feature: The reference's profile.
        counts: The current window, counted on that profile.

    Returns:
        0 for equal shares; it has no unit and no upper bound.

    Raises:
        DatasetError: One of the windows has no rows, or the counts belong to another profile.

    50/50 against 60/40 is the same as text and as numbers:

    >>> import numpy as np
    >>> from airflow_provider_ifp.core import profile as p
    >>> text = p.profile_categories("answer", {"no": 50, "yes": 50}, missing=0)
    >>> round(psi(text, p.count_categories(text, {"no": 60, "yes": 40}, missing=0)), 6)
    0.040547
    >>> number = p.profile_numbers("answer", np.repeat([0.0, 1.0], 50))
    >>> round(psi(number, p.count_numbers(number, np.repeat([0.0, 1.0], [60, 40]))), 6)
    0.040547

    Ten equal bins against five of .05 and five of .15:

    >>> decile = p.profile_numbers("x", np.arange(1000.0))
    >>> current = np.repeat(np.arange(50.0, 1000.0, 100.0), [1, 3] * 5)
    >>> round(psi(decile, p.count_numbers(decile, current)), 6)
    0.274653
    """
    return sum(
        (now - before) * math.log(now / before)
        for before, now in zip(_shares(feature, feature.counts), _shares(feature, counts), strict=True)
    )


def expected_by_chance(reference: Counts, current: Counts) -> float:
    """Return the PSI that two windows of one distribution show on average: (B - 1)(1/n + 1/m).

    B counts the bins that either window uses, missing values being one; n and m are the windows' rows.

    >>> expected_by_chance(Counts((50, 50), missing=0), Counts((60, 40), missing=0))
    0.02
    """
    used = sum(1 for before, now in _pairs(reference, current) if before + now)
    return (used - 1) * (1 / reference.rows + 1 / current.rows)


def chance(reference: Counts, current: Counts) -> float | None:
    """Return the p-value of Pearson's chi-square: how often chance alone separates two windows so far.

    The rarest bins are pooled until each expects ten rows of either window. The pooling looks only at both
    windows together, so it does not bend the test. Where that leaves a single bin (a constant that was, or a
    window far smaller than the other), the rarer values together are held against the most frequent one by a
    binomial tail; not significant means there: too few rows.

    Returns:
        The p-value; None where the rows are too few to tell.

    >>> round(chance(Counts((50, 50), missing=0), Counts((60, 40), missing=0)), 4)
    0.1552
    >>> chance(Counts((5, 5), missing=0), Counts((6, 4), missing=0)) is None
    True
    >>> chance(Counts((1_000_000, 0), missing=0), Counts((300, 200), missing=0)) < 1e-9
    True
    """
    if not reference.rows or not current.rows:
        return None
    pairs = _pairs(reference, current)
    parts = (reference.rows / (reference.rows + current.rows), current.rows / (reference.rows + current.rows))
    pools = _pool(pairs, fewest=EXPECTED_ROWS / min(parts))
    if len(pools) < len(parts):
        return _rare_against_frequent(pairs, part=parts[1])
    statistic = 0.0
    for pool in pools:
        for found, part in zip(pool, parts, strict=True):
            expected = sum(pool) * part
            statistic += (found - expected) ** 2 / expected
    return float(chdtrc(len(pools) - 1, statistic))


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Benjamini and Hochberg, 1995).

    Calling those below alpha keeps the expected share of false alarms among all alarms under alpha.

    >>> adjusted([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    smallest = 1.0
    result = [1.0] * len(p_values)
    descending = sorted(range(len(p_values)), key=lambda index: -p_values[index])
    for rank, index in zip(range(len(p_values), 0, -1), descending, strict=True):
        smallest = min(smallest, p_values[index] * (len(p_values) / rank))
        result[index] = smallest
    return result


def _shares(feature: Feature, counts: Counts) -> list[float]:
    if not counts.rows:
        raise DatasetError(f"{feature.name}: a window without rows has no PSI; expected at least one row")
    if len(counts.bins) != len(feature.counts.bins):
        raise DatasetError(
            f"{feature.name}: expected counts on the profile's {len(feature.counts.bins)} bins, "
            f"found {len(counts.bins)}; count the window against this profile"
        )
    return [max(rows / counts.rows, SMALLEST_SHARE) for rows in (*counts.bins, counts.missing)]


def _pairs(reference: Counts, current: Counts) -> list[tuple[int, int]]:
    before, now = (*reference.bins, reference.missing), (*current.bins, current.missing)
    return list(zip(before, now, strict=True))


def _pool(pairs: Sequence[tuple[int, int]], fewest: float) -> list[tuple[int, int]]:
    """Join the rarest bins until each pool has the fewest rows needed; what remains joins the last pool."""
    pools: list[tuple[int, int]] = []
    open_pool = (0, 0)
    for before, now in sorted(pairs, key=sum):
        open_pool = (open_pool[0] + before, open_pool[1] + now)
        if sum(open_pool) >= fewest:
            pools.append(open_pool)
            open_pool = (0, 0)
    if sum(open_pool) and pools:
        pools[-1] = (pools[-1][0] + open_pool[0], pools[-1][1] + open_pool[1])
    return pools


def _rare_against_frequent(pairs: Sequence[tuple[int, int]], part: float) -> float | None:
    """Return the binomial p-value of the current window's part of all rare rows; None when not significant.

    Given the rows of both windows the count is hypergeometric; the binomial's tails are the heavier ones, so
    this errs towards chance.
    """
    rare = sorted(pairs, key=sum)[:-1]
    rows, found = sum(map(sum, rare)), sum(now for _, now in rare)
    if not rows:
        return None
    upper = float(bdtrc(found - 1, rows, part)) if found else 1.0
    p_value = min(1.0, 2 * min(upper, float(bdtr(found, rows, part))))
    return p_value if p_value < SIGNIFICANT else None
