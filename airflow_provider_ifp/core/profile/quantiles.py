"""Quantiles by linear interpolation (NumPy's default, R's type 7) out of order statistics.

Whoever can say which value has a rank can give quantiles: an array that is sorted, or a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def ranks_of(rows: int, shares: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ranks, from 0, of the values below and above each quantile of so many values, at least one.

    >>> ranks_of(11, np.array([0.1, 0.25]))
    (array([1, 2]), array([1, 3]))
    """
    places = (rows - 1) * shares
    return np.floor(places).astype(np.int64), np.ceil(places).astype(np.int64)


def finite_quantiles(
    rows: int, shares: NDArray[np.float64], at: Callable[[NDArray[np.int64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the quantiles that are finite, to the same float as `numpy.quantile`.

    Args:
        rows: How many values there are.
        shares: Which quantiles, from 0 to 1.
        at: Gives the values at ranks, from 0, in ascending order.

    >>> finite_quantiles(3, np.array([0.25, 0.5]), np.array([1.0, 2.0, np.inf]).__getitem__)
    array([1.5, 2. ])
    """
    if not rows:
        return np.empty(0)
    below, above = ranks_of(rows, shares)
    lower, upper = at(below), at(above)
    weight = (rows - 1) * shares - below
    with np.errstate(invalid="ignore", over="ignore"):
        # As NumPy does it: from the nearer of the two.
        between = np.where(
            weight < 0.5,  # noqa: PLR2004 - half way
            lower + (upper - lower) * weight,
            upper - (upper - lower) * (1 - weight),
        )
    # Between equal infinities, or at zero distance from one, interpolation gives NaN; an infinite edge bounds
    # nothing.
    quantiles = np.where(lower == upper, lower, between)
    return quantiles[np.isfinite(quantiles)]
