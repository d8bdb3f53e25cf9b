"""How sure is a share of rows? Exact one-sided bounds of a binomial proportion.

Source: Clopper and Pearson, "The Use of Confidence or Fiducial Limits" (1934): quantiles of the beta
distribution.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.special import betaincinv

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LEVEL: Final = 0.95


def upper_bounds(hits: ArrayLike, rows: ArrayLike, level: float = LEVEL) -> NDArray[np.float64]:
    """Return the upper bounds of shares, elementwise; 1 where there are no rows.

    Args:
        hits: Rows that were found; fractions are read between the whole numbers.
        rows: Rows that were looked at.
        level: One-sided coverage.

    >>> upper_bounds([0, 5, 100], 100).round(4)
    array([0.0295, 0.1023, 1.    ])
    """
    found, of = np.broadcast_arrays(np.asarray(hits, np.float64), np.asarray(rows, np.float64))
    inside = found < of
    left = np.where(inside, of - found, 1.0)
    return np.where(inside, betaincinv(found + 1, left, level), 1.0)


def upper_bound(hits: float, rows: int, level: float = LEVEL) -> float:
    """Return the upper bound of one share.

    >>> round(upper_bound(0, 3_000), 5)
    0.001
    """
    return float(upper_bounds(hits, rows, level))


def lower_bound(hits: float, rows: int, level: float = LEVEL) -> float:
    """Return the lower bound of one share; 0 where there are no rows.

    >>> round(lower_bound(10, 10), 3), lower_bound(0, 0)
    (0.741, 0.0)
    """
    return 1.0 - upper_bound(rows - hits, rows, level) if rows else 0.0


def rows_for(share: float, level: float = LEVEL) -> int | None:
    """Return how many rows without a hit show that a share is at most this; None for a share of 0.

    >>> rows_for(0.001)
    2995
    """
    if share <= 0:
        return None
    return 1 if share >= 1 else math.ceil(math.log1p(-level) / math.log1p(-share))


def interval(hits: float, rows: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the two-sided interval of one share.

    >>> tuple(round(end, 3) for end in interval(5, 100))
    (0.016, 0.113)
    """
    one_sided: Any = (1 + level) / 2
    return lower_bound(hits, rows, one_sided), upper_bound(hits, rows, one_sided)
