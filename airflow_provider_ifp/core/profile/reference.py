"""Profile a reference window: where its bins lie, and how its own rows fall into them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from airflow_provider_ifp.core.profile.counting import count_numbers
from airflow_provider_ifp.core.profile.feature import (
    CategoricalProfile,
    Feature,
    ListProfile,
    NumericProfile,
    ValueType,
)
from airflow_provider_ifp.core.profile.moments import LARGEST, Moments
from airflow_provider_ifp.core.profile.numeric_bins import FINE, TAILS, TENTHS, Order, empty_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.profile.counts import Counts

KEPT_NAMES: Final = 10_000
AXES: Final = 4


def profile_numbers(
    name: str,
    values: NDArray[np.float64],
    value_type: Literal["number", "time"] = "number",
    fine: int = FINE,
) -> NumericProfile:
    """Profile a numeric feature.

    Args:
        name: The feature's column.
        values: Shape (rows,); NaN is missing, infinities are values (they fall into the outer intervals).
        value_type: What the numbers stand for; times are seconds since 1970.
        fine: Into how many parts of equal rows the fine grid cuts them: a multiple of 100, so that deciles
            and tails are among its edges.

    >>> profile_numbers("x", np.arange(1.0, 12.0)).cuts("deciles")
    (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)
    >>> profile_numbers("flag", np.array([0.0, 1.0, 1.0, 1.0])).atoms
    (0.0, 1.0)
    """
    present = np.sort(values[~np.isnan(values)])
    distinct, rows = np.unique(present, return_counts=True)
    finite = present[np.abs(present) <= LARGEST]
    empty = empty_numbers(
        name,
        Order(
            rows=len(present),
            at=present.__getitem__,
            atoms=distinct[rows * 10 >= len(present)],
            centre=float(finite.mean()) if len(finite) else 0.0,
            low=float(finite[0]) if len(finite) else None,
            high=float(finite[-1]) if len(finite) else None,
        ),
        value_type,
        fine,
    )
    return with_counts(empty, count_numbers(empty, values))


def with_counts(feature: NumericProfile, counts: Counts) -> NumericProfile:
    """Return the profile with the rows of another window on the same fine bins.

    Raises:
        ValueError: The counts are on other bins.
    """
    intervals, atoms = np.split(counts.bins, [len(feature.edges) + 1])
    return replace(
        feature,
        interval_rows=tuple(intervals.tolist()),
        atom_rows=tuple(atoms.tolist()),
        missing=counts.missing,
        moments=counts.moments or Moments(),
    )


def recount(feature: Feature, totals: Mapping[str, Counts]) -> Feature:
    """Return a feature with the rows of another window in its bins; the names of categories stay.

    Args:
        feature: As it was profiled, perhaps on a sample.
        totals: Counts on the fine grid, by measured name.

    Raises:
        ValueError: The counts are on other bins.
    """
    if isinstance(feature, NumericProfile):
        return with_counts(feature, totals[feature.name])
    if isinstance(feature, CategoricalProfile):
        return feature
    measures = tuple(with_counts(one, totals[one.name]) for one in feature.measures)
    return replace(feature, measures=measures)


def rebase(feature: NumericProfile, counts: Counts) -> NumericProfile:
    """Make a window that was counted the new reference, without reading its rows again.

    The edges stay; as deciles and tails serve those edges that lie nearest to the window's own quantiles,
    each off by at most half the rows of the window's larger fine bin beside it. Values that became heavy
    since get no bin of their own.

    Args:
        feature: The profile that the window was counted against.
        counts: The window, on the fine grid.
    """
    new = with_counts(feature, counts)
    below = np.cumsum(new.interval_rows[:-1]) if new.edges else np.zeros(0, dtype=np.int64)
    for atom, rows in zip(new.atoms, new.atom_rows, strict=True):
        below = below + np.where(np.array(new.edges) >= atom, rows, 0)
    if not len(below):
        return new
    return replace(
        new,
        deciles=_nearest(below, TENTHS * counts.present),
        tails=_nearest(below, TAILS * counts.present),
        noise=None,
    )


def profile_categories(
    name: str,
    counts: Mapping[str, int],
    missing: int,
    value_type: ValueType = "text",
) -> CategoricalProfile:
    """Profile a categorical feature; of more than 10,000 values the most frequent are kept by name.

    Args:
        name: The feature's column.
        counts: Rows of each value; values of equal frequency are ordered by their text.
        missing: Rows without a value.
        value_type: What the names stand for.

    >>> profile_categories("c", {"b": 2, "a": 2, "c": 5}, missing=0).names
    ('c', 'a', 'b')
    """
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kept = ordered[:KEPT_NAMES]
    return CategoricalProfile(
        name=name,
        value_type=value_type,
        names=tuple(value for value, _ in kept),
        name_rows=tuple(rows for _, rows in kept),
        beyond=sum(rows for _, rows in ordered[KEPT_NAMES:]),
        missing=missing,
    )


def profile_lists(name: str, lists: NDArray[np.float64], fine: int = FINE) -> ListProfile:
    """Profile a feature of lists by their norm and their projections on the first principal axes.

    Args:
        name: The feature's column.
        lists: Shape (rows, length); a row with NaN or an infinity is missing.
        fine: As of `profile_numbers`.

    >>> rng = np.random.default_rng(0)
    >>> lists = rng.normal(size=(500, 6)) * [5, 3, 1, 1, 1, 1]
    >>> [measure.name for measure in profile_lists("v", lists).measures]
    ['v: norm', 'v: axis 1', 'v: axis 2', 'v: axis 3', 'v: axis 4']
    """
    present = lists[_whole(lists)]
    centre = present.mean(axis=0) if len(present) else np.zeros(lists.shape[1])
    offsets = present - centre
    _, vectors = np.linalg.eigh(offsets.T @ offsets)
    axes = vectors[:, ::-1].T[:AXES]
    # An axis has no direction of its own: its largest component points up, so that a profile comes out alike.
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, np.newaxis]
    feature = ListProfile(
        name=name,
        centre=tuple(centre.tolist()),
        axes=tuple(map(tuple, axes.tolist())),
        measures=tuple(profile_numbers("", np.zeros(0)) for _ in range(len(axes) + 1)),
    )
    names = [f"{name}: norm", *(f"{name}: axis {number}" for number in range(1, len(axes) + 1))]
    measured = zip(names, measure_lists(feature, lists), strict=True)
    return replace(
        feature, measures=tuple(profile_numbers(part, values, fine=fine) for part, values in measured)
    )


def measure_lists(feature: ListProfile, lists: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the numbers that stand for lists, one array of shape (rows,) for each of `measures`.

    Args:
        feature: The reference's profile.
        lists: Shape (rows, length); a row with NaN or an infinity is missing: its numbers are NaN.
    """
    clean = np.where(_whole(lists)[:, np.newaxis], lists, np.nan)
    projected = (clean - np.array(feature.centre)) @ np.array(feature.axes).reshape(-1, clean.shape[1]).T
    return [np.linalg.norm(clean, axis=1), *projected.T]


def _whole(lists: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which rows have finite numbers only."""
    return np.asarray(np.isfinite(lists).all(axis=1), dtype=np.bool_)


def _nearest(below: NDArray[np.int64], wanted: NDArray[np.float64]) -> tuple[int, ...]:
    """Return the places whose rows below them come nearest to those wanted, equal ones merged."""
    distances = np.abs(np.subtract.outer(below, wanted))
    return tuple(np.unique(distances.argmin(axis=0)).tolist())
