"""Does chance explain a change? Pearson's chi-square, many features at once, the cost of a plain threshold.

Sources: Pearson's test of homogeneity of two samples, with Cochran's rule of thumb for the smallest expected
count (here ten); Benjamini and Hochberg, "Controlling the false discovery rate" (1995).

Known weakness: with rows enough, any difference at all is beyond chance. So chance never decides alone: a
change must be large enough to matter too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from scipy.special import bdtr, bdtrc, chdtrc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_ifp.core.profile.counts import Counts

EXPECTED_ROWS: Final = 10
# At .01 a window without drift is called in about 1% of cases, in some simulations in 1.1%: at most 1% needs
# some room.
SIGNIFICANT: Final = 0.005
# Rows of a bin, or of several together: of the reference, of the current window.
_Pair = tuple[int, int]


def chance(reference: Counts, current: Counts) -> float | None:
    """Return the p-value of Pearson's chi-square: how often chance alone separates two windows so far.

    Rare bins are pooled until the current window expects ten rows of each. What is rare, and what is pooled
    with what, is told by the reference's rows alone: with quantiles for edges the reference has the same rows
    in many bins, and a pooling that looked at the current window would sort its bins by their luck.

    Rare bins that together expect fewer than ten (values that the reference hardly has, missing ones that it
    never had) are held against all others by a binomial tail, so that no other bin can hide them; the smaller
    of the two p-values counts, doubled.

    Returns:
        The p-value; None where the rows are too few to tell.

    >>> import numpy as np
    >>> from airflow_provider_ifp.core.profile.counts import Counts
    >>> def window(*bins): return Counts(np.array(bins), missing=0)
    >>> round(chance(window(50, 50), window(60, 40)), 4)
    0.1552
    >>> chance(window(5, 5), window(6, 4)) is None
    True
    >>> chance(window(1_000_000, 0), window(300, 200)) < 1e-9
    True
    """
    n, m = reference.rows, current.rows
    if not n or not m:
        return None
    before, now = ([*one.bins.tolist(), one.missing] for one in (reference, current))
    pools, rest = _pool(list(zip(before, now, strict=True)), fewest=EXPECTED_ROWS * max(1.0, n / m))
    by_pools = _pearson(pools) if len(pools) > 1 else None
    by_rest = _binomial(rest, part=m / (n + m)) if sum(rest) else None
    if by_pools is None:
        return by_rest if by_rest is not None and by_rest < SIGNIFICANT else None
    return by_pools if by_rest is None else min(1.0, 2 * min(by_pools, by_rest))


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


def chance_above(psi: float, free_bins: int, reference_rows: int, current_rows: int) -> float:
    """Return how often two windows of one distribution show a PSI above this one.

    By chance PSI is distributed as (1/n + 1/m) times chi-square with as many degrees of freedom as bins can
    differ freely.

    >>> round(chance_above(0.10, free_bins=9, reference_rows=1_000_000, current_rows=100), 2)
    0.35
    """
    if free_bins < 1:
        return 0.0
    return float(chdtrc(free_bins, psi / (1 / reference_rows + 1 / current_rows)))


def any_of(chances: Iterable[float]) -> float:
    """Return the chance that at least one of several independent things happens.

    >>> any_of([0.5, 0.5])
    0.75
    """
    return -math.expm1(sum(math.log1p(-min(one, 1 - 1e-16)) for one in chances))


def _pool(pairs: Sequence[_Pair], fewest: float) -> tuple[list[_Pair], _Pair]:
    """Join rare bins, the rarest first, until each pool has the fewest reference rows needed.

    Returns:
        The pools, and the rare bins that do not make one together.
    """
    pools = [pair for pair in pairs if pair[0] >= fewest]
    rare = sorted((pair for pair in pairs if pair[0] < fewest), key=_reference_rows)
    if not pools and sum(map(_reference_rows, rare)) < 2 * fewest:
        # At most one pool: the most frequent bin takes its place.
        return [rare[-1]], _total(rare[:-1])
    made: list[_Pair] = []
    rest: list[_Pair] = []
    for pair in rare:
        rest.append(pair)
        if sum(map(_reference_rows, rest)) >= fewest:
            made.append(_total(rest))
            rest = []
    if made and rest:
        made[-1] = _total([made[-1], *rest])
        rest = []
    return made + pools, _total(rest)


def _pearson(pools: Sequence[_Pair]) -> float:
    rows = _total(pools)
    statistic = 0.0
    for pool in pools:
        for found, all_rows in zip(pool, rows, strict=True):
            expected = sum(pool) * all_rows / sum(rows)
            if expected:
                statistic += (found - expected) ** 2 / expected
    return float(chdtrc(len(pools) - 1, statistic))


def _binomial(rare: _Pair, part: float) -> float:
    """Return the two-sided p-value of the current window's part of the rare rows.

    Given the rows of both windows the count is hypergeometric; the binomial's tails are the heavier ones, so
    this errs towards chance.
    """
    rows, found = sum(rare), rare[1]
    upper = float(bdtrc(found - 1, rows, part)) if found else 1.0
    return min(1.0, 2 * min(upper, float(bdtr(found, rows, part))))


def _total(pairs: Sequence[_Pair]) -> _Pair:
    return sum(before for before, _ in pairs), sum(now for _, now in pairs)


def _reference_rows(pair: _Pair) -> int:
    return pair[0]
