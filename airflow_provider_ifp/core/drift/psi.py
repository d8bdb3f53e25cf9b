"""PSI, the population stability index: how large a change is, and how large chance alone makes it.

PSI works on counts per bin: how many rows of the reference window and of the current window fell into each
bin of the reference's profile. Whether chance explains a change is told by `core/drift/chance.py`.

Known weakness: deciles see little of what happens in the tails (5% of rows moved three standard deviations
out score .02). `effect` takes the tail bins in (.08), and takes off what chance gives.

Source: Yurdakul, "Statistical Properties of Population Stability Index" (2018), for the expectation.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.counting import coarsen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_ifp.core.profile.counts import Counts
    from airflow_provider_ifp.core.profile.feature import Simple

SMALLEST_SHARE: Final = 1e-4


def psi(feature: Simple, counts: Counts) -> float:
    """Compare a current window with the reference window of a feature, by the contract's section 9.

    The sum over the bins, missing values being one, of (current - reference) * ln(current / reference), where
    both are shares of all rows, floored at 1e-4 and not normalised again.

    Args:
        feature: The reference's profile.
        counts: The current window, counted on that profile, on any grid.

    Returns:
        0 for equal shares; it has no unit and no upper bound.

    Raises:
        DatasetError: One of the windows has no rows, or the counts belong to another profile.

    50/50 against 60/40 is the same as text and as numbers:

    >>> from airflow_provider_ifp.core.profile import counting as c, reference as r
    >>> text = r.profile_categories("answer", {"no": 50, "yes": 50}, missing=0)
    >>> round(psi(text, c.count_categories(text, {"no": 60, "yes": 40}, missing=0)), 6)
    0.040547
    >>> number = r.profile_numbers("answer", np.repeat([0.0, 1.0], 50))
    >>> round(psi(number, c.count_numbers(number, np.repeat([0.0, 1.0], [60, 40]))), 6)
    0.040547

    Ten equal bins against five of .05 and five of .15:

    >>> decile = r.profile_numbers("x", np.arange(1000.0))
    >>> current = np.repeat(np.arange(50.0, 1000.0, 100.0), [1, 3] * 5)
    >>> round(psi(decile, c.count_numbers(decile, current)), 6)
    0.274653
    """
    now = coarsen(feature, counts, "deciles")
    before = coarsen(feature, feature.counts, "deciles")
    if not now.rows or not before.rows:
        raise DatasetError(f"{feature.name}: a window without rows has no PSI; expected at least one row")
    return divergence(before, now)


def divergence(before: Counts, now: Counts) -> float:
    """Return the PSI of two windows counted on the same bins, neither of them empty."""
    reference, current = (np.maximum(_bins(one) / one.rows, SMALLEST_SHARE) for one in (before, now))
    return float(((current - reference) * np.log(current / reference)).sum())


def expected_by_chance(before: Counts, now: Counts) -> float:
    """Return the PSI that two windows of one distribution show on average: (B - 1)(1/n + 1/m).

    B counts the bins that either window uses, missing values being one; n and m are the windows' rows.

    >>> from airflow_provider_ifp.core.profile.counts import Counts
    >>> half = Counts(np.array([50, 50]), missing=0)
    >>> expected_by_chance(half, Counts(np.array([60, 40]), missing=0))
    0.02
    """
    return freedom(before, now) * (1 / before.rows + 1 / now.rows)


def freedom(before: Counts, now: Counts) -> int:
    """Return how many bins of those that either window uses can differ freely: all but one."""
    return int(np.count_nonzero(_bins(before) + _bins(now))) - 1


def effect(before: Counts, now: Counts) -> float:
    """Return the PSI of two windows, neither empty, without what chance gives on average.

    On coarse counts the tails have bins of their own and weigh in by themselves. Below 0 where the windows
    are more alike than chance makes them.
    """
    return divergence(before, now) - expected_by_chance(before, now)


def effect_error(before: Counts, now: Counts) -> float:
    """Return the standard error of `effect`.

    PSI over (1/n + 1/m) is near a noncentral chi-square, whose variance is twice (free bins + 2 effect).
    """
    scale = 1 / before.rows + 1 / now.rows
    lasting = max(0.0, effect(before, now)) / scale
    return scale * math.sqrt(2 * (freedom(before, now) + 2 * lasting))


def _bins(counts: Counts) -> NDArray[np.int64]:
    return np.append(counts.bins, counts.missing)
