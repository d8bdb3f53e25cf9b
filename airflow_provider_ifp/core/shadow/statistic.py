"""Disagreement that the holdout does not vouch for.

A candidate that was retrained because production drifted must disagree with it: good ones differed on 37 to
66% of requests. The gates have judged the differences on the holdout with labels; so what counts here is

    K1   requests that the holdout hardly knows (`core/shadow/coverage.py`) and that differ
    K2   of the others, how many differ beyond what the holdout's rows of the same cell do
         (`core/shadow/differences.py`), summed over the cells of one feature, for the feature with the most
    S    U95(K1 + K2, requests), the one-sided Clopper-Pearson bound of their share

S is held against `max_disagreement`. Besides, a region that the holdout hardly knows raises an alarm when at
least `slice_alarm` of its requests differ beyond anything in the whole holdout; of fewer than 20 requests the
90% lower bound of that share counts.

Known weaknesses: wild regions of 2% or less that no pair of features tells; wrong answers that look like the
holdout's differences, or agree with production; damage that log and holdout share; a log of another period
than the holdout. K1 counts harmless differences on unseen regions too: no label has judged them.

Source: a form chosen by trial among some twenty, with regions in the place of its bins; benchmarks/shadow.py
measures how often it is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_ifp.core.errors import PolicyError
from airflow_provider_ifp.core.metrics.proportions import lower_bound, upper_bound
from airflow_provider_ifp.core.shadow.columns import Column, to_columns
from airflow_provider_ifp.core.shadow.coverage import find_regions
from airflow_provider_ifp.core.shadow.differences import Differences, Excess, compare_answers
from airflow_provider_ifp.core.shadow.views import FEWEST, View, cut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.shadow.windows import Region

    Columns = Mapping[str, NDArray[Any]]

FEW_LEVEL: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one cell of a feature adds to the disagreement.

    Attributes:
        name: `carrier=HA`.
        requests: Requests in it; of those that the holdout vouches for, where the cell is covered.
        holdout_rows: Rows of the holdout in it.
        known: Whether the holdout knows the cell.
        counted: How many requests it adds.
        reason: In numbers.
    """

    name: str
    requests: int
    holdout_rows: int
    known: bool
    counted: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """Where candidate and production differ, and how much of it the holdout vouches for.

    Attributes:
        requests: Requests that both answered.
        holdout_rows: Rows of the holdout that both answered.
        differing: Requests that differ.
        uncovered: Requests that the holdout hardly knows.
        unjudged: K1.
        excess: K2.
        upper: S.
        cells: Cells that add to K1 or K2, the largest first.
        alarms: Regions that raise the alarm, the largest first.
        slices: The values of the named slices, shown.
    """

    requests: int
    holdout_rows: int
    differing: int
    uncovered: int
    unjudged: int
    excess: float
    upper: float
    cells: tuple[Cell, ...]
    alarms: tuple[Cell, ...]
    slices: tuple[Cell, ...] = ()


def measure_disagreement(
    features: tuple[Columns, Columns],
    candidate: tuple[NDArray[Any], NDArray[Any]],
    production: tuple[NDArray[Any], NDArray[Any]],
    *,
    tolerance: float = 0.1,
    slice_alarm: float = 0.5,
    slices: Sequence[str] = (),
) -> Disagreement:
    """Measure the disagreement of two versions on logged requests, beside that on the holdout.

    Args:
        features: Of the log's requests and of the holdout's rows, by name: floats (NaN is missing) or objects
            (text; None is missing), shape (rows,).
        candidate: The candidate's predictions on both: numbers or labels, without missing ones.
        production: Production's, of the same shapes.
        tolerance: In standard deviations of production's predictions on the log.
        slice_alarm: Share of a region's requests that raises the alarm.
        slices: Features of whose values (or bins) it is shown how many requests differ.

    Raises:
        DatasetError: No feature to look by, or of different kinds.
        PolicyError: A slice is no feature.
        ModelError: The versions answer in different shapes or kinds.
    """
    differences = compare_answers(candidate, production, tolerance)
    columns = to_columns(*features)
    requests, rows = len(columns[0].log), len(columns[0].holdout)
    regions = find_regions(columns)
    uncovered = np.zeros(requests, dtype=np.bool_)
    for region in regions:
        uncovered[region.members] = True
    unjudged = int(np.count_nonzero(uncovered & differences.differs))
    known = max((_known_cells(cut(column), differences, ~uncovered) for column in columns), key=_total)
    excess = _total(known)
    return Disagreement(
        requests=requests,
        holdout_rows=rows,
        differing=int(np.count_nonzero(differences.differs)),
        uncovered=int(np.count_nonzero(uncovered)),
        unjudged=unjudged,
        excess=excess,
        upper=upper_bound(min(unjudged + excess, requests), requests),
        cells=_largest_first([*_told_regions(regions, differences.differs), *known]),
        alarms=_largest_first(_alarms(regions, differences, slice_alarm)),
        slices=tuple(
            cell
            for name in slices
            for cell in _slices(_column_of(name, columns), differences.differs, uncovered)
        ),
    )


def _column_of(name: str, columns: Sequence[Column]) -> Column:
    for column in columns:
        if column.name == name:
            return column
    known = ", ".join(column.name for column in columns)
    raise PolicyError(f"shadow.slices: {name!r} is no feature of log and holdout; they have {known}")


def _slices(column: Column, differs: NDArray[np.bool_], uncovered: NDArray[np.bool_]) -> list[Cell]:
    """Each value of a feature, with how many of its requests differ."""
    view = cut(column)
    rows, differing, unjudged = (
        np.bincount(view.log[which], minlength=len(view.cells))
        for which in (np.ones(len(differs), np.bool_), differs, differs & uncovered)
    )
    holdout_rows = np.bincount(view.holdout, minlength=len(view.cells))
    return [
        Cell(
            name=name,
            requests=int(rows[cell]),
            holdout_rows=int(holdout_rows[cell]),
            known=True,
            counted=float(differing[cell]),
            reason=(
                f"{name}: {rows[cell]:,} requests, {percent(differing[cell] / rows[cell])} differ, "
                f"{percent(unjudged[cell] / rows[cell])} not judged by labels; shown only"
            ),
        )
        for cell, name in enumerate(view.cells)
        if rows[cell]
    ]


def _known_cells(view: View, differences: Differences, covered: NDArray[np.bool_]) -> list[Cell]:
    """The cells of one view that differ beyond the holdout's rows of the same cell."""
    rows = np.bincount(view.log[covered], minlength=len(view.cells))
    holdout_rows = np.bincount(view.holdout, minlength=len(view.cells))
    found = differences.excesses(view.log, view.holdout, len(view.cells), covered)
    return [
        Cell(
            name=name,
            requests=int(rows[cell]),
            holdout_rows=int(holdout_rows[cell]),
            known=True,
            counted=float(rows[cell] * found[cell].share),
            reason=(
                f"{name}: {percent(found[cell].log_share)} {found[cell].what}, at most "
                f"{percent(found[cell].holdout_share)} on the holdout ({holdout_rows[cell]:,} rows)"
            ),
        )
        for cell, name in enumerate(view.cells)
        if rows[cell] and found[cell].share > 0
    ]


def _told_regions(regions: Sequence[Region], differs: NDArray[np.bool_]) -> list[Cell]:
    """The regions that explain K1: each request is told once, by the simplest of the largest regions."""
    left = differs.copy()
    cells = []
    for region in _simplest_first(regions):
        new = int(np.count_nonzero(left[region.members]))
        differing = int(np.count_nonzero(differs[region.members]))
        # What others have told for the most part says nothing new.
        if new * 2 > differing:
            left[region.members] = False
            cells.append(_region_cell(region, new, f"{percent(differing / len(region.members))} differ"))
    return cells


def _alarms(regions: Sequence[Region], differences: Differences, alarm: float) -> list[Cell]:
    """The regions whose requests differ beyond anything on the whole holdout; each request is told once."""
    told = np.zeros(len(differences.log), dtype=np.bool_)
    cells = []
    for region in _simplest_first(regions):
        rows = len(region.members)
        found = _against_all(region, differences)
        share = found.share if rows >= FEWEST else lower_bound(found.share * rows, rows, FEW_LEVEL)
        new = not told[region.members].sum() * 2 > rows
        if new and share > 0 and share >= alarm:
            told[region.members] = True
            how = (
                f"{percent(found.log_share)} {found.what}, at most {percent(found.holdout_share)} anywhere "
                "on the holdout"
            )
            cells.append(_region_cell(region, rows * found.share, how))
    return cells


def _against_all(region: Region, differences: Differences) -> Excess:
    """What a region's requests differ by, beyond what the whole holdout does."""
    among = np.zeros(len(differences.log), dtype=np.bool_)
    among[region.members] = True
    everything = np.zeros(len(differences.holdout), dtype=np.intp)
    return differences.excesses(np.zeros(len(among), np.intp), everything, 1, among)[0]


def _simplest_first(regions: Sequence[Region]) -> list[Region]:
    return sorted(regions, key=lambda one: (one.features, -len(one.members), one.name))


def _region_cell(region: Region, counted: float, told: str) -> Cell:
    like_them = f"{region.holdout_rows:,} like them" if region.holdout_rows else "none like them"
    return Cell(
        name=region.name,
        requests=len(region.members),
        holdout_rows=region.holdout_rows,
        known=False,
        counted=counted,
        reason=(
            f"{region.name}: {len(region.members):,} requests, {like_them} in the holdout "
            f"({region.expected:,.0f} expected), {told}"
        ),
    )


def percent(share: float) -> str:
    """Write a share, with enough digits that a small one is not none.

    >>> percent(0.31), percent(0.0042), percent(0.0)
    ('31%', '0.42%', '0%')
    """
    a_percent = 0.01
    return f"{share:.0%}" if share >= a_percent or not share else f"{100 * share:.2g}%"


def _total(cells: Sequence[Cell]) -> float:
    return float(sum(cell.counted for cell in cells))


def _largest_first(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    return tuple(sorted(cells, key=lambda cell: (-cell.counted, cell.name)))
