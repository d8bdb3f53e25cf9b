"""Which requests the holdout knows, and which regions of the log it hardly has.

A region is looked for in each feature and in each pair of features: a value, a range, a value's range of
another feature, a box of two. It is one that the holdout hardly knows when

    holdout rows / all holdout rows < requests / all requests x 1/4

Values are taken as they are; one with few requests counts only where chance would leave it so thin once in
200 (a pair of values: once in a million). Ranges and boxes are found by windows
(`core/shadow/windows.py`), which are thin at 1/8.

Known weakness: a region that is a box of three features or more keeps most of its rows in every pair. Of more
than twelve features, pairs are looked at among the twelve in which log and holdout differ most.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.special import bdtr

from airflow_provider_ifp.core.shadow.views import FEWEST
from airflow_provider_ifp.core.shadow.windows import Region, find_boxes, find_ranges

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.shadow.columns import Column

THIN: Final = 0.25
BY_CHANCE: Final = {1: 0.005, 2: 1e-6}
"""How often chance alone may leave a value with few requests so thin; of pairs of values there are many."""
PAIRED: Final = 12


def find_regions(columns: Sequence[Column]) -> list[Region]:
    """Find the regions that the holdout hardly knows; they may overlap.

    Args:
        columns: At least one, all with the same requests, and the same rows of the holdout.
    """
    regions = [region for column in columns for region in _of_one(column)]
    for one, other in combinations(_most_different(columns), 2):
        regions += _of_two(one, other)
    return regions


def is_thin(requests: int, holdout_rows: int, column: Column, features: int) -> bool:
    """Say whether the holdout hardly knows a value, or a pair of values.

    Args:
        requests: That have it.
        holdout_rows: That have it.
        column: All requests and rows.
        features: 1, and with rows enough the ratio alone tells; 2: chance must be ruled out.
    """
    n, h = len(column.log), len(column.holdout)
    expected = requests * h / n
    if not requests or holdout_rows >= expected * THIN:
        return False
    if features == 1 and requests >= FEWEST and expected >= FEWEST:
        return True
    return bool(bdtr(holdout_rows, requests + holdout_rows, h / (n + h)) <= BY_CHANCE[features])


def _of_one(column: Column) -> Iterator[Region]:
    if column.names is not None:
        yield from _values(column, column.log, column.holdout, column.names, features=1)
    else:
        one_group = (np.zeros(len(column.log), np.intp), np.zeros(len(column.holdout), np.intp))
        yield from find_ranges(column, one_group, ("",))


def _of_two(one: Column, other: Column) -> Iterator[Region]:
    if one.names is None and other.names is None:
        yield from find_boxes(one, other)
    elif one.names is not None and other.names is not None:
        codes = [a * len(other.names) + b for a, b in ((one.log, other.log), (one.holdout, other.holdout))]
        seen, of_log = np.unique(codes[0], return_inverse=True)
        place = np.minimum(np.searchsorted(seen, codes[1]), len(seen) - 1)
        of_holdout = np.where(seen[place] == codes[1], place, len(seen))
        names = [
            f"{one.names[code // len(other.names)]}, {other.names[code % len(other.names)]}" for code in seen
        ]
        yield from _values(one, of_log, of_holdout, (*names, ""), features=2)
    else:
        number, category = (one, other) if one.names is None else (other, one)
        yield from find_ranges(number, (category.log, category.holdout), tuple(category.names or ()))


def _values(
    column: Column,
    log: NDArray[Any],
    holdout: NDArray[Any],
    names: Sequence[str],
    *,
    features: int,
) -> Iterator[Region]:
    rows, holdout_rows = (np.bincount(codes, minlength=len(names)) for codes in (log, holdout))
    ratio = len(column.holdout) / len(column.log)
    for code in np.flatnonzero((rows > 0) & (holdout_rows < rows * ratio * THIN)).tolist():
        if is_thin(int(rows[code]), int(holdout_rows[code]), column, features):
            members = np.flatnonzero(log == code)
            yield Region(names[code], members, int(holdout_rows[code]), float(rows[code] * ratio), features)


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
