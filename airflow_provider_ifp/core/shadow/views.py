"""Each feature by itself, cut into cells: where requests are compared with the holdout's rows like them.

numbers in 6 bins at the log's quantiles, the outer ones open; categories by value; missing values apart
small cells merge into one: fewer than 20 rows of the log, or fewer than 20 expected of the holdout
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from airflow_provider_ifp.core.shadow.columns import Column, number_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS: Final = 6
FEWEST: Final = 20
"""Rows of a cell in the log, and rows that the holdout is expected to have of it."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One feature, cut into cells.

    Attributes:
        cells: What each cell is called: `carrier=HA`, `distance over 1,400`.
        log: The cell of each request, shape (requests,).
        holdout: The cell of each row of the holdout, shape (rows,).
    """

    cells: tuple[str, ...]
    log: NDArray[np.intp]
    holdout: NDArray[np.intp]


def cut(column: Column) -> View:
    """Cut one feature into cells, the small ones together."""
    if column.names is not None:
        return _merge(View(column.names, column.log, column.holdout), column.name)
    present = column.log[~np.isnan(column.log)]
    edges = np.unique(np.quantile(present, np.arange(1, BINS) / BINS)) if len(present) else np.empty(0)
    # Infinities bound nothing.
    edges = edges[np.isfinite(edges)]
    texts = number_text(edges.tolist())
    cells = [
        *([f"{column.name} up to {texts[0]}"] if texts else [f"{column.name} present"]),
        *(f"{column.name} over {low} to {high}" for low, high in pairwise(texts)),
        *([f"{column.name} over {texts[-1]}"] if texts else []),
        f"{column.name} missing",
    ]
    log, holdout = (
        np.where(np.isnan(values), len(cells) - 1, np.searchsorted(edges, values))
        for values in (column.log, column.holdout)
    )
    return _merge(View(tuple(cells), log, holdout), column.name)


def _merge(view: View, feature: str) -> View:
    rows = np.bincount(view.log, minlength=len(view.cells))
    small = (rows < FEWEST) | (rows * len(view.holdout) < FEWEST * len(view.log))
    kept = np.flatnonzero(~small)
    place = np.full(len(view.cells), len(kept), dtype=np.intp)
    place[kept] = np.arange(len(kept))
    cells = (*(view.cells[cell] for cell in kept), f"{feature}: rare values")
    return View(cells, place[view.log], place[view.holdout])
