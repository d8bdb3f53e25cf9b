"""Count rows on the bins of a feature's profile, merge what was counted apart, and make counts coarser.

This is what the numbers mean, in a few lines of NumPy; `adapters.counting` counts the same faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.counts import TOP_CATEGORIES, Counts, Grid, most_frequent
from airflow_provider_ifp.core.profile.moments import LARGEST, Moments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.profile.feature import CategoricalProfile, NumericProfile, Simple

_GRIDS: Final[tuple[Grid, ...]] = ("fine", "coarse", "deciles")


def no_rows(feature: Simple, grid: Grid = "fine") -> Counts:
    """Return the counts of an empty window, to add to."""
    if feature.kind == "category":
        return Counts(np.zeros(min(len(feature.names), TOP_CATEGORIES) + 2, dtype=np.int64), missing=0)
    bins = len(feature.places[grid]) + 1 + len(feature.atoms)
    return Counts(np.zeros(bins, dtype=np.int64), missing=0, grid=grid, moments=Moments())


def merge(feature: Simple, parts: Iterable[Counts], grid: Grid = "fine") -> Counts:
    """Add up the parts of a window, or take an empty one where there are none.

    Raises:
        DatasetError: A part was counted on other bins.
    """
    return sum(parts, no_rows(feature, grid))


def count_numbers(feature: NumericProfile, values: NDArray[np.float64], grid: Grid = "fine") -> Counts:
    """Count a window, or a part of it, on the bins of its reference.

    Args:
        feature: The reference's profile.
        values: Shape (rows,); NaN is missing.
        grid: The bins to count on.

    >>> from airflow_provider_ifp.core.profile.reference import profile_numbers
    >>> feature = profile_numbers("x", np.arange(1.0, 12.0))
    >>> count_numbers(feature, np.array([2.0, 2.5, np.inf, np.nan]), "deciles").bins
    array([1, 1, 0, 0, 0, 0, 0, 0, 0, 1])
    """
    present = values[~np.isnan(values)]
    edges, atoms = feature.lines[grid], np.array(feature.atoms)
    intervals = np.bincount(np.searchsorted(edges, present), minlength=len(edges) + 1)
    of_atoms = np.array([np.count_nonzero(present == atom) for atom in atoms], dtype=np.int64)
    np.subtract.at(intervals, np.searchsorted(edges, atoms), of_atoms)
    moments = _moments(feature, present, grid)
    return Counts(np.concatenate([intervals, of_atoms]), len(values) - len(present), grid, moments)


def count_categories(feature: CategoricalProfile, counts: Mapping[str, int], missing: int) -> Counts:
    """Count a window, or a part of it, on the bins of its reference.

    Args:
        feature: The reference's profile.
        counts: Rows of each value in this part.
        missing: Rows of this part without a value.

    >>> from airflow_provider_ifp.core.profile.reference import profile_categories
    >>> feature = profile_categories("c", {"a": 3, "b": 1}, missing=0)
    >>> count_categories(feature, {"b": 2, "new": 7}, missing=1).bins
    array([0, 2, 0, 7])
    """
    top, known = feature.names[:TOP_CATEGORIES], set(feature.names)
    bins = [counts.get(value, 0) for value in top]
    others = sum(counts.get(value, 0) for value in feature.names[TOP_CATEGORIES:])
    unknown = {value: rows for value, rows in counts.items() if value not in known and rows}
    if feature.beyond:
        # Names were left out, and an unknown value may be one of those: it counts with the others.
        others, unknown = others + sum(unknown.values()), {}
    bins += [others, sum(unknown.values())]
    return Counts(np.array(bins, dtype=np.int64), missing, unseen=most_frequent(unknown))


def coarsen(feature: Simple, counts: Counts, grid: Grid) -> Counts:
    """Sum the bins of counts to a coarser grid; categories stay as they are.

    The shortfall and the excess stay those of the grid that was counted on.

    Raises:
        DatasetError: The counts are not on the profile's bins, or on a coarser grid than asked for.

    >>> from airflow_provider_ifp.core.profile.reference import profile_numbers
    >>> feature = profile_numbers("x", np.arange(1000.0))
    >>> coarsen(feature, feature.counts, "coarse").bins
    array([ 10,  40,  50, 100, 100, 100, 100, 100, 100, 100, 100,  50,  40,
            10])
    """
    expected = no_rows(feature, counts.grid)
    if len(counts.bins) != len(expected.bins):
        raise DatasetError(
            f"{feature.name}: expected counts on the profile's {len(expected.bins)} {counts.grid} bins, "
            f"found {len(counts.bins)}; count the window against this profile"
        )
    if feature.kind == "category" or counts.grid == grid:
        return counts
    if _GRIDS.index(counts.grid) > _GRIDS.index(grid):
        raise DatasetError(
            f"{feature.name}: expected counts on the grid {grid!r}, found {counts.grid!r}, which is coarser; "
            f"count the window on {grid!r}"
        )
    have, want = feature.places[counts.grid], feature.places[grid]
    intervals, atoms = counts.bins[: len(have) + 1], counts.bins[len(have) + 1 :]
    starts = np.concatenate([[0], np.searchsorted(have, want) + 1])
    return Counts(
        np.concatenate([np.add.reduceat(intervals, starts), atoms]), counts.missing, grid, counts.moments
    )


def _moments(feature: NumericProfile, present: NDArray[np.float64], grid: Grid) -> Moments:
    finite = present[np.abs(present) <= LARGEST]
    offsets = finite - feature.centre
    first, last = feature.ends(grid)
    return Moments(
        finite=len(finite),
        minus_infinite=int(np.count_nonzero(present < -LARGEST)),
        plus_infinite=int(np.count_nonzero(present > LARGEST)),
        under=0 if feature.low is None else int(np.count_nonzero(present < feature.low)),
        over=0 if feature.high is None else int(np.count_nonzero(present > feature.high)),
        sum=float(offsets.sum()),
        squares=float(np.square(offsets).sum()),
        shortfall=0.0 if first is None else float((first - finite[finite < first]).sum()),
        excess=0.0 if last is None else float((finite[finite > last] - last).sum()),
        smallest=float(finite.min()) if len(finite) else None,
        largest=float(finite.max()) if len(finite) else None,
    )
