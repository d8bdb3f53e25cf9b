"""Ranges and boxes of numbers that the holdout hardly knows, found by windows that follow the data.

A window is k neighbouring requests in one feature, or a square of ranks in two features that holds k
requests; there is one around every place. It is thin when

    holdout rows / all holdout rows < requests / all requests x 1/8

and all its requests then belong to the region. k is the smallest number for which chance alone leaves a
window so thin once in a million (1,000 requests and 3,000 rows: 18).

Why so: bins at fixed quantiles see no gap narrower than a bin (a range of 5% lay in bins of 17% and was seen
in 2 of 10 worlds); a request's own neighbourhood alone sees the middle of a gap only; and windows that are
thin at 1/4 already reach out of a gap, so that a box of 5% was taken for one of 9%.

Known weakness: what is narrower than a window. The squares lie on a grid of 64 ranks: of 50,000 requests and
more, gaps under a 64th of the requests in width are seen in each feature alone only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import ndimage
from scipy.special import bdtrc

from airflow_provider_ifp.core.shadow.columns import number_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.shadow.columns import Column

THIN: Final = 0.125
BY_CHANCE: Final = 1e-6
SMALLEST: Final = 10
GRID: Final = 64
"""Ranks of a number in a box: a 64th of the requests each."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Requests that the holdout hardly knows.

    Attributes:
        name: `carrier=HA`, `distance 2,475 to 2,586, dow=sun`.
        members: Places of its requests in the log, ascending.
        holdout_rows: Rows of the holdout in it.
        expected: Rows that the holdout would have, were it like the log.
        features: How many features it takes to say where it is.
    """

    name: str
    members: NDArray[np.intp]
    holdout_rows: int
    expected: float
    features: int


def window_size(requests: int, rows: int) -> int | None:
    """Return how many requests make a window; None where the holdout is too small for any.

    >>> window_size(1_000, 3_000), window_size(5_000, 3_000), window_size(100, 50)
    (18, 40, None)
    """
    if not rows:
        return None
    share = requests / (requests + rows)
    for size in range(SMALLEST, requests // 4):
        most = math.ceil(size * rows / requests * THIN) - 1
        # So few rows before the window is full: of size + most draws, at least `size` are requests.
        if bdtrc(size - 1, size + most, share) <= BY_CHANCE:
            return size
    return None


def find_ranges(column: Column, groups: tuple[Any, Any], names: Sequence[str]) -> Iterator[Region]:
    """Find the thin ranges of a number, within each group (a category's value) by itself.

    Args:
        column: A number.
        groups: The group of each request, and of each of the holdout's rows.
        names: What the groups are called; empty text: nothing is said of it.
    """
    n, h = len(column.log), len(column.holdout)
    size = window_size(n, h)
    if size is None:
        return
    ranks, holdout_ranks = column.ranks()
    span = int(max(ranks.max(), holdout_ranks.max(initial=0))) + 1
    # Missing values are no neighbours of the largest: they make groups of their own, the odd ones.
    of_log, of_holdout = (
        (2 * codes + np.isnan(values)) * span
        for codes, values in zip(groups, (column.log, column.holdout), strict=True)
    )
    order = np.argsort(of_log + ranks, kind="stable")
    keys, holdout_keys = (of_log + ranks)[order], np.sort(of_holdout + holdout_ranks)
    group = keys // span
    first, last = np.searchsorted(group, group), np.searchsorted(group, group, "right")
    at = np.clip(np.arange(n) - size // 2, first, np.maximum(last - size, first))
    low, high = keys[at], keys[np.minimum(at + size, last) - 1]
    # Equal values fall together: a window may hold more than `size` requests.
    start, end = np.searchsorted(keys, low), np.searchsorted(keys, high, "right")
    known = np.searchsorted(holdout_keys, high, "right") - np.searchsorted(holdout_keys, low)
    thin = (end - start >= size) & (known * n < THIN * (end - start) * h)
    if not thin.any():
        return
    for one, other in _runs(start[thin], end[thin], group):
        members = np.sort(order[one:other])
        rows = np.searchsorted(holdout_keys, keys[other - 1], "right") - np.searchsorted(
            holdout_keys, keys[one]
        )
        name = names[int(group[one]) // 2]
        yield Region(
            f"{_range_name(column, members)}{', ' if name else ''}{name}",
            members,
            int(rows),
            len(members) * h / n,
            2 if name else 1,
        )


def _runs(start: NDArray[np.intp], end: NDArray[np.intp], group: NDArray[Any]) -> list[tuple[int, int]]:
    """Join overlapping windows to runs of places, first to one after the last; a run ends with its group."""
    n = len(group)
    steps = np.bincount(start, minlength=n + 1) - np.bincount(end, minlength=n + 1)
    inside = steps.cumsum()[:n] > 0
    begins = np.append(True, group[1:] != group[:-1])
    starts = np.flatnonzero(inside & (begins | ~np.append(False, inside[:-1])))
    ends = np.flatnonzero(inside & (np.append(begins[1:], True) | ~np.append(inside[1:], False)))
    return list(zip(starts.tolist(), (ends + 1).tolist(), strict=True))


def find_boxes(one: Column, other: Column) -> Iterator[Region]:
    """Find the thin boxes of two numbers; requests that lack either are left to the features alone."""
    n, h = len(one.log), len(one.holdout)
    size = window_size(n, h)
    if size is None:
        return
    places = [_places(column) for column in (one, other)]
    log, holdout = (np.stack([place[part] for place in places]) for part in (0, 1))
    there = np.flatnonzero((log >= 0).all(axis=0))
    requests, rows = (_count_cells(part[:, (part >= 0).all(axis=0)]) for part in (log, holdout))
    regions, found = ndimage.label(_thin_cells(requests, rows, size, THIN * h / n))
    for label in range(1, found + 1):
        region = regions == label
        members = there[region[tuple(log[:, there])]]
        if len(members):
            name = f"{_range_name(one, members)}, {_range_name(other, members)}"
            yield Region(name, members, int(rows[region].sum()), len(members) * h / n, 2)


def _thin_cells(
    requests: NDArray[np.int64], rows: NDArray[np.int64], size: int, least: float
) -> NDArray[np.bool_]:
    """Mark the cells that lie in a thin window.

    Args:
        requests: Of each cell, shape (GRID, GRID).
        rows: Of the holdout.
        size: A window grows around its cell until it has so many requests.
        least: Rows of the holdout for each request below which a window is thin.
    """
    sums = [np.pad(counts, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1) for counts in (requests, rows)]
    at = np.arange(GRID)
    open_cells = np.ones((GRID, GRID), dtype=np.bool_)
    edges = np.zeros((GRID + 1, GRID + 1), dtype=np.int64)
    for reach in range(GRID):
        low, high = np.maximum(at - reach, 0), np.minimum(at + reach, GRID - 1) + 1
        inside, known = (
            total[np.ix_(high, high)]
            - total[np.ix_(low, high)]
            - total[np.ix_(high, low)]
            + total[np.ix_(low, low)]
            for total in sums
        )
        full = open_cells & (inside >= size)
        across, down = np.nonzero(full & (known < least * inside))
        for ends, sign in (
            ((low[across], low[down]), 1),
            ((high[across], high[down]), 1),
            ((low[across], high[down]), -1),
            ((high[across], low[down]), -1),
        ):
            np.add.at(edges, ends, sign)
        open_cells &= ~full
        if not open_cells.any():
            break
    return np.asarray(edges.cumsum(axis=0).cumsum(axis=1)[:GRID, :GRID] > 0)


def _count_cells(places: NDArray[np.intp]) -> NDArray[np.int64]:
    """Count rows by cell, shape (GRID, GRID)."""
    return np.bincount(places[0] * GRID + places[1], minlength=GRID * GRID).reshape(GRID, GRID)


def _places(column: Column) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where values lie among the log's: 0 to GRID - 1, equal ones in one place; -1 for missing ones."""
    present = np.sort(column.log[~np.isnan(column.log)])
    found = []
    for values in (column.log, column.holdout):
        below, up_to = np.searchsorted(present, values), np.searchsorted(present, values, "right")
        place = ((below + up_to) * GRID // (2 * max(len(present), 1))).clip(0, GRID - 1)
        found.append(np.where(np.isnan(values), -1, place))
    return found[0], found[1]


def _range_name(column: Column, members: NDArray[np.intp]) -> str:
    values = column.log[members]
    present = values[~np.isnan(values)]
    if not len(present):
        return f"{column.name} missing"
    low, high = float(present.min()), float(present.max())
    if low == high:
        return f"{column.name} {number_text([low])[0]}"
    texts = number_text([low, high])
    return f"{column.name} {texts[0]} to {texts[1]}"
