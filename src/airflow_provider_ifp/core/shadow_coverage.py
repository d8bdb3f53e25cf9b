"""Which requests the holdout knows, and which regions of the log it hardly has.

A region is looked for in each feature and in each pair of features: a value, a range, a value's range of
another feature, a box of two. What has fewer rows in the holdout than a quarter of what the log's share
demands is a region that the holdout hardly knows:

    holdout rows / all holdout rows < THIN x requests / all requests          (THIN = 1/4)

Values are taken as they are. Ranges and boxes are found by windows that follow the data: around each request
the k nearest in that feature, or pair of features by rank (largest of both distances); k is the smallest
number for which chance alone leaves a window so thin once in a million (1,000 requests and 3,000 rows: 28). All
requests of a thin window belong to the region. A value with few requests counts only where chance is as small.

Why so: bins at fixed quantiles see no gap narrower than a bin (a range of 5% lay in bins of 17% and was seen
in 2 of 10 worlds), and a request's own neighbourhood alone sees the middle of a gap only.

Known weakness: a region that is a box of three features or more keeps most of its rows in every pair. Of more
than twelve features, pairs are looked at among the twelve in which log and holdout differ most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.special import bdtr, bdtrc

from airflow_provider_ifp.core.shadow_columns import number_text
from airflow_provider_ifp.core.shadow_views import FEWEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.shadow_columns import Column

THIN: Final = 0.25
ONE_IN: Final = 1e-6
"""How often chance alone may leave a window, or the smallest values, too thin."""
SMALLEST_WINDOW: Final = 10
PAIRED: Final = 12
MOST_CENTRES: Final = 2_000
"""Of boxes: of a longer log every so many-th request is the centre of a window; all are counted in it."""
_AWAY: Final = -10.0
"""Where missing numbers lie, among ranks from 0 to 1: near each other, far from all others."""


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
    (28, 66, None)
    """
    share = requests / (requests + rows)
    for size in range(SMALLEST_WINDOW, requests // 4):
        most = math.ceil(size * rows / requests * THIN) - 1
        # So few rows before the window is full: of size + most draws, at least `size` are requests.
        if bdtrc(size - 1, size + most, share) <= ONE_IN:
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
    return bool(bdtr(holdout_rows, requests + holdout_rows, h / (n + h)) <= ONE_IN**0.5)


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
        names = [f"{one.names[code // len(other.names)]}, {other.names[code % len(other.names)]}" for code in seen]
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
    keys = groups[0] * span + ranks
    order = np.argsort(keys, kind="stable")
    keys, holdout_keys = keys[order], np.sort(groups[1] * span + holdout_ranks)
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
    steps = np.bincount(start[thin], minlength=n + 1) - np.bincount(end[thin], minlength=n + 1)
    inside = np.append(steps.cumsum()[:n] > 0, False)
    # A region ends where its group does.
    ends = np.flatnonzero(inside[:n] & (~inside[1:] | (np.append(group[1:], -1) != group)))
    starts = np.flatnonzero(inside[:n] & (~np.append(False, inside[: n - 1]) | (np.append(-1, group[:-1]) != group)))
    for one, other in zip(starts.tolist(), (ends + 1).tolist(), strict=True):
        members = np.sort(order[one:other])
        rows = np.searchsorted(holdout_keys, keys[other - 1], "right") - np.searchsorted(holdout_keys, keys[one])
        name = names[int(group[one])]
        yield Region(
            f"{_range_name(column, members)}{', ' if name else ''}{name}",
            members,
            int(rows),
            len(members) * h / n,
            2 if name else 1,
        )


def _boxes(one: Column, other: Column) -> Iterator[Region]:
    """Boxes of two numbers: windows of the nearest requests by rank."""
    from scipy.spatial import cKDTree

    n, h = len(one.log), len(one.holdout)
    size = window_size(n, h)
    if size is None:
        return
    places = [_places(column) for column in (one, other)]
    log, holdout = (np.stack([place[part] for place in places], axis=1) for part in (0, 1))
    # Balanced trees take long over values that are shared by many rows.
    tree, holdout_tree = cKDTree(log, balanced_tree=False), cKDTree(holdout, balanced_tree=False)
    centres = np.arange(0, n, math.ceil(n / MOST_CENTRES))
    reach = tree.query(log[centres], k=[size], p=np.inf)[0][:, 0] * (1 + 1e-9)
    requests, rows = (
        one_tree.query_ball_point(log[centres], reach, p=np.inf, return_length=True)
        for one_tree in (tree, holdout_tree)
    )
    thin = np.flatnonzero(rows * n < THIN * requests * h)
    if not len(thin):
        return
    around = tree.query_ball_point(log[centres[thin]], reach[thin], p=np.inf)
    for members in _join(centres[thin].tolist(), around):
        ends = log[members].min(axis=0), log[members].max(axis=0)
        inside = np.flatnonzero(((log >= ends[0]) & (log <= ends[1])).all(axis=1))
        in_box = ((holdout >= ends[0]) & (holdout <= ends[1])).all(axis=1)
        yield Region(
            f"{_range_name(one, members)}, {_range_name(other, members)}",
            members,
            int(np.count_nonzero(in_box)),
            len(inside) * h / n,
            2,
        )


def _join(seeds: Sequence[int], around: Sequence[Sequence[int]]) -> list[NDArray[np.intp]]:
    """Join the windows whose centres lie in each other's windows; the members of each group, ascending."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    place = {seed: number for number, seed in enumerate(seeds)}
    links = [(number, place[one]) for number, found in enumerate(around) for one in found if one in place]
    row, column = np.array(links).T
    graph = coo_array((np.ones(len(row)), (row, column)), shape=(len(seeds), len(seeds)))
    count, labels = connected_components(graph, directed=False)
    return [
        np.unique(np.concatenate([np.asarray(around[number]) for number in np.flatnonzero(labels == label)]))
        for label in range(count)
    ]


def _places(column: Column) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where values lie among the log's, 0 to 1; equal ones in one place."""
    present = np.sort(column.log[~np.isnan(column.log)])
    found = []
    for values in (column.log, column.holdout):
        below, up_to = np.searchsorted(present, values), np.searchsorted(present, values, "right")
        place = (below + up_to) / 2 / max(len(present), 1)
        found.append(np.where(np.isnan(values), _AWAY, place))
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
