"""Which requests the holdout knows, and which regions of the log it hardly has.

A region is looked for in each feature and in each pair of features: a value, a range, a value's range of
another feature, a box of two. It is one that the holdout hardly knows when

    holdout rows / all holdout rows < requests / all requests x 1/4

Values are taken as they are. Ranges and boxes are found by windows that follow the data: k neighbouring
requests in one feature, or a square of ranks in two that holds k requests, around every place. A window is
thin at 1/8; all its requests belong to the region. k is the smallest number for which chance alone leaves a
window so thin once in a million (1,000 requests and 3,000 rows: 18). A value with few requests counts only
where chance would leave it so thin once in 200.

Why so: bins at fixed quantiles see no gap narrower than a bin (a range of 5% lay in bins of 17% and was seen
in 2 of 10 worlds); a request's own neighbourhood alone sees the middle of a gap only; and windows that are
thin at 1/4 already reach out of a gap, so that a box of 5% was taken for one of 9%.

Known weakness: a region that is a box of three features or more keeps most of its rows in every pair. Of more
than twelve features, pairs are looked at among the twelve in which log and holdout differ most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import ndimage
from scipy.special import bdtr, bdtrc

from airflow_provider_ifp.core.shadow_columns import number_text
from airflow_provider_ifp.core.shadow_views import FEWEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.shadow_columns import Column

THIN: Final = 0.25
THIN_WINDOW: Final = 0.125
WINDOW_BY_CHANCE: Final = 1e-6
VALUE_BY_CHANCE: Final = 0.005
"""How often chance alone may leave a window, or a value with few requests, so thin."""
SMALLEST_WINDOW: Final = 10
PAIRED: Final = 12
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


def find_regions(columns: Sequence[Column]) -> list[Region]:
    """Find the regions that the holdout hardly knows; they may overlap.

    Args:
        columns: At least one, all with the same requests, and the same rows of the holdout.
    """
    regions = [region for column in columns for region in _of_one(column)]
    for one, other in combinations(_most_different(columns), 2):
        regions += _of_two(one, other)
    return regions


def window_size(requests: int, rows: int) -> int | None:
    """Return how many requests make a window; None where the holdout is too small for any.

    >>> window_size(1_000, 3_000), window_size(5_000, 3_000), window_size(100, 50)
    (18, 40, None)
    """
    share = requests / (requests + rows)
    for size in range(SMALLEST_WINDOW, requests // 4):
        most = math.ceil(size * rows / requests * THIN_WINDOW) - 1
        # So few rows before the window is full: of size + most draws, at least `size` are requests.
        if bdtrc(size - 1, size + most, share) <= WINDOW_BY_CHANCE:
            return size
    return None


def is_thin(requests: int, holdout_rows: int, column: Column, *, at_first_sight: bool) -> bool:
    """Say whether the holdout hardly knows a value.

    Args:
        requests: That have it.
        holdout_rows: That have it.
        column: All requests and rows.
        at_first_sight: With rows enough the ratio alone tells; else chance must be ruled out.
    """
    n, h = len(column.log), len(column.holdout)
    expected = requests * h / n
    if not requests or holdout_rows >= expected * THIN:
        return False
    if at_first_sight and requests >= FEWEST and expected >= FEWEST:
        return True
    return bool(bdtr(holdout_rows, requests + holdout_rows, h / (n + h)) <= VALUE_BY_CHANCE)


def _of_one(column: Column) -> Iterator[Region]:
    if column.names is not None:
        yield from _values(column, column.log, column.holdout, column.names, at_first_sight=True, features=1)
    else:
        one_group = (np.zeros(len(column.log), np.intp), np.zeros(len(column.holdout), np.intp))
        yield from _ranges(column, one_group, ("",))


def _of_two(one: Column, other: Column) -> Iterator[Region]:
    if one.names is None and other.names is None:
        yield from _boxes(one, other)
    elif one.names is not None and other.names is not None:
        codes = [a * len(other.names) + b for a, b in ((one.log, other.log), (one.holdout, other.holdout))]
        seen, of_log = np.unique(codes[0], return_inverse=True)
        place = np.minimum(np.searchsorted(seen, codes[1]), len(seen) - 1)
        of_holdout = np.where(seen[place] == codes[1], place, len(seen))
        names = [
            f"{one.names[code // len(other.names)]}, {other.names[code % len(other.names)]}" for code in seen
        ]
        yield from _values(one, of_log, of_holdout, (*names, ""), at_first_sight=False, features=2)
    else:
        number, category = (one, other) if one.names is None else (other, one)
        yield from _ranges(number, (category.log, category.holdout), tuple(category.names or ()))


def _values(
    column: Column,
    log: NDArray[Any],
    holdout: NDArray[Any],
    names: Sequence[str],
    *,
    at_first_sight: bool,
    features: int,
) -> Iterator[Region]:
    rows, holdout_rows = (np.bincount(codes, minlength=len(names)) for codes in (log, holdout))
    ratio = len(column.holdout) / len(column.log)
    for code in np.flatnonzero((rows > 0) & (holdout_rows < rows * ratio * THIN)).tolist():
        if is_thin(int(rows[code]), int(holdout_rows[code]), column, at_first_sight=at_first_sight):
            members = np.flatnonzero(log == code)
            yield Region(names[code], members, int(holdout_rows[code]), float(rows[code] * ratio), features)


def _ranges(column: Column, groups: tuple[Any, Any], names: Sequence[str]) -> Iterator[Region]:
    """Ranges of a number, within each group (a category's value) by itself."""
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
    thin = (end - start >= size) & (known * n < THIN_WINDOW * (end - start) * h)
    if not thin.any():
        return
    steps = np.bincount(start[thin], minlength=n + 1) - np.bincount(end[thin], minlength=n + 1)
    inside = np.append(steps.cumsum()[:n] > 0, False)
    # A region ends where its group does.
    ends = np.flatnonzero(inside[:n] & (~inside[1:] | (np.append(group[1:], -1) != group)))
    starts = np.flatnonzero(
        inside[:n] & (~np.append(False, inside[: n - 1]) | (np.append(-1, group[:-1]) != group))
    )
    for one, other in zip(starts.tolist(), (ends + 1).tolist(), strict=True):
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


def _boxes(one: Column, other: Column) -> Iterator[Region]:
    """Boxes of two numbers, on a grid of ranks; requests that lack either are left to the features alone."""
    n, h = len(one.log), len(one.holdout)
    size = window_size(n, h)
    if size is None:
        return
    places = [_places(column) for column in (one, other)]
    log, holdout = (np.stack([place[part] for place in places]) for part in (0, 1))
    there = np.flatnonzero((log >= 0).all(axis=0))
    requests, rows = (_count_cells(part[:, (part >= 0).all(axis=0)]) for part in (log, holdout))
    regions, found = ndimage.label(_thin_cells(requests, rows, size, THIN_WINDOW * h / n))
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


def _most_different(columns: Sequence[Column]) -> list[Column]:
    """The features that are looked at in pairs, in their order."""
    if len(columns) <= PAIRED:
        return list(columns)
    distances = [_distance(column) for column in columns]
    chosen = sorted(range(len(columns)), key=lambda place: -distances[place])[:PAIRED]
    return [columns[place] for place in sorted(chosen)]


def _distance(column: Column) -> float:
    """The largest distance of the two distributions: of the distribution functions, or half the shares'."""
    ranks = column.ranks()
    counts = [np.bincount(one, minlength=int(max(map(np.max, ranks))) + 1) / len(one) for one in ranks]
    difference = counts[0] - counts[1]
    if column.names is not None:
        return float(np.abs(difference).sum() / 2)
    return float(np.abs(difference.cumsum()).max())
