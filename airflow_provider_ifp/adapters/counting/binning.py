"""Numbers into the bins of a profile, exactly and fast: `core.profile.counting.count_numbers` for millions.

Compiled (`binning_kernel.py`): on the fine grid a table says near which edge a value lies (2 ns a value, the
moments included; 3 to 4 on an older processor); on coarser grids each of the 10 or 14 edges is compared with
each value (0.04 to 0.1 ns each).

With NumPy, where nothing was compiled or a table does not help (its sort and its comparisons are vectorised;
its binary search of each value among a thousand edges is not, and takes 79 ns):

- fine grid: blocks of 131,072 values, which stay in the second-level cache, are sorted (5 to 8 ns a value);
  then each edge is searched among the values. Missing values sort last. It costs less where values repeat.
- coarser grids: edges are compared with each value (0.1 to 0.2 ns each); nothing is sorted, there are no
  moments.

Measured with NumPy and left out, since none was faster on normal values and all are slower on repeated ones
or on long tails: sorting only where an edge cuts a cell (8.6 ns); sorted float32 offsets from the centre,
ties resolved by comparison; sorted fixed-point keys of 32 bits (9.0 ns where this took 8.9) or 16 (7.7 ns).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from airflow_provider_ifp.adapters.counting.binning_kernel import KERNEL, Kernel, Sums, Table
from airflow_provider_ifp.core.profile.counts import Counts, Grid
from airflow_provider_ifp.core.profile.moments import LARGEST, Moments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.profile.feature import NumericProfile

_SORTED: Final = 131_072
_COMPARED: Final = 65_536
# Of fewer values (an hour's file of the log) the table, which takes 80 us to make, costs more than it saves.
_WORTH_A_TABLE: Final = 32_768
# Where edges lie so close beside others so far apart that they crowd in cells, sorting is faster.
_CROWDED: Final = 0.5


@dataclass(frozen=True, slots=True)
class Room:
    """Memory that is used again for every block; one counting has one."""

    values: NDArray[np.float64] = field(default_factory=lambda: np.empty(_SORTED))
    flags: NDArray[np.bool_] = field(default_factory=lambda: np.empty(_COMPARED, dtype=np.bool_))


@dataclass(frozen=True, slots=True)
class Bins:
    """A feature's cuts on a grid, as arrays.

    Attributes:
        edges: those of the grid and then infinity, so that the last counts every value that is there.
        atoms: the heavy values.
        homes: the interval that each atom lies in and is not counted in.
    """

    feature: NumericProfile
    grid: Grid
    edges: NDArray[np.float64]
    atoms: NDArray[np.float64]
    homes: NDArray[np.int64]

    @classmethod
    def of(cls, feature: NumericProfile, grid: Grid) -> Bins:
        """Make them."""
        cuts, atoms = feature.lines[grid], np.array(feature.atoms)
        return cls(
            feature, grid, np.append(cuts, np.inf), atoms, np.searchsorted(cuts, atoms).astype(np.int64)
        )


def count_values(
    bins: Bins, chunks: Iterable[NDArray[np.float64]], room: Room, kernel: Kernel | None = KERNEL
) -> Counts:
    """Count the rows of a feature.

    Args:
        bins: Where to count.
        chunks: Arrays of shape (rows,), of any sizes; NaN is missing. They are only read.
        room: Overwritten.
        kernel: What counts; None: NumPy.

    Returns:
        On the fine grid with moments; on the coarser ones without.
    """
    held = [np.ascontiguousarray(chunk) for chunk in chunks]
    if bins.grid != "fine":
        return _compare(bins, held, room) if kernel is None else _compiled(bins, held, kernel)
    if kernel is not None and sum(map(len, held)) >= _WORTH_A_TABLE:
        table = kernel.table(bins.edges)
        if table.halvings <= _CROWDED:
            return _compiled(bins, held, kernel, table)
    return _sort(bins, held, room)


def _compiled(
    bins: Bins, chunks: Sequence[NDArray[np.float64]], kernel: Kernel, table: Table | None = None
) -> Counts:
    # The rows at an atom: those up to it, less those up to the number just below.
    below = np.array(
        [math.nextafter(atom, -math.inf) if atom > -math.inf else math.nan for atom in bins.atoms]
    )
    compared = np.concatenate([*(() if table else (bins.edges,)), bins.atoms, below])
    up_to, intervals = np.zeros(len(compared), np.int64), np.zeros(len(bins.edges), np.int64)
    rows, sums = 0, Sums(bins.feature)
    for chunk in chunks:
        kernel.count_up_to(chunk, compared, up_to)
        if table:
            kernel.count_intervals(chunk, table, intervals, sums)
        rows += len(chunk)
    edges, atoms = np.split(up_to, [len(compared) - 2 * len(below)])
    of_atoms = atoms[: len(below)] - atoms[len(below) :]
    if not table:
        return _counts(bins, edges, of_atoms, rows, None)
    moments = sums.moments()
    # What is missing was counted in the first interval.
    intervals[0] -= rows - moments.finite - moments.minus_infinite - moments.plus_infinite
    return _counts(bins, intervals.cumsum(), of_atoms, rows, moments)


def _sort(bins: Bins, chunks: Iterable[NDArray[np.float64]], room: Room) -> Counts:
    up_to, of_atoms = np.zeros(len(bins.edges), np.int64), np.zeros(len(bins.atoms), np.int64)
    rows, moments = 0, Moments()
    for block in _blocks(chunks, room.values):
        block.sort()
        up_to += block.searchsorted(bins.edges, "right")
        if len(bins.atoms):
            of_atoms += block.searchsorted(bins.atoms, "right") - block.searchsorted(bins.atoms)
        rows += len(block)
        moments += _moments(bins.feature, block[: block.searchsorted(np.nan)])
    return _counts(bins, up_to, of_atoms, rows, moments)


def _compare(bins: Bins, chunks: Iterable[NDArray[np.float64]], room: Room) -> Counts:
    up_to, of_atoms = np.zeros(len(bins.edges), np.int64), np.zeros(len(bins.atoms), np.int64)
    rows = 0
    for chunk in chunks:
        for start in range(0, len(chunk), _COMPARED):
            block = chunk[start : start + _COMPARED]
            flags = room.flags[: len(block)]
            up_to += [np.count_nonzero(np.less_equal(block, edge, out=flags)) for edge in bins.edges]
            if len(bins.atoms):
                of_atoms += [np.count_nonzero(np.equal(block, atom, out=flags)) for atom in bins.atoms]
            rows += len(block)
    return _counts(bins, up_to, of_atoms, rows, None)


def _counts(
    bins: Bins, up_to: NDArray[np.int64], of_atoms: NDArray[np.int64], rows: int, moments: Moments | None
) -> Counts:
    intervals = np.diff(up_to, prepend=0)
    np.subtract.at(intervals, bins.homes, of_atoms)
    counted = np.concatenate([intervals, of_atoms])
    return Counts(counted, rows - int(up_to[-1]), bins.grid, moments)


def _moments(feature: NumericProfile, present: NDArray[np.float64]) -> Moments:
    """Take the moments of sorted values on the fine grid; the values are overwritten."""
    start, end = present.searchsorted(-LARGEST), present.searchsorted(LARGEST, "right")
    under = 0 if feature.low is None else present.searchsorted(feature.low)
    over = 0 if feature.high is None else len(present) - present.searchsorted(feature.high, "right")
    finite = present[start:end]
    ends = {}
    if len(finite):
        ends = {"smallest": float(finite[0]), "largest": float(finite[-1])}
    shortfall, excess = _outside(feature, finite)
    offsets = np.subtract(finite, feature.centre, out=finite)
    return Moments(
        finite=len(finite),
        minus_infinite=int(start),
        plus_infinite=int(len(present) - end),
        under=int(under),
        over=int(over),
        sum=float(offsets.sum()),
        # A dot product may wake a pool of threads, for so few values at ten times the cost.
        squares=float(np.einsum("i,i->", offsets, offsets)),
        shortfall=shortfall,
        excess=excess,
        **ends,
    )


def _outside(feature: NumericProfile, finite: NDArray[np.float64]) -> tuple[float, float]:
    first, last = feature.ends("fine")
    if first is None or last is None:
        return 0.0, 0.0
    below = finite[: finite.searchsorted(first)]
    above = finite[finite.searchsorted(last, "right") :]
    return float((first - below).sum()), float((above - last).sum())


def _blocks(
    chunks: Iterable[NDArray[np.float64]], room: NDArray[np.float64]
) -> Iterator[NDArray[np.float64]]:
    """Cut and join chunks to blocks of the room's size, the last one shorter."""
    filled = 0
    for chunk in chunks:
        taken = 0
        while taken < len(chunk):
            step = min(len(room) - filled, len(chunk) - taken)
            room[filled : filled + step] = chunk[taken : taken + step]
            filled, taken = filled + step, taken + step
            if filled == len(room):
                yield room
                filled = 0
    if filled:
        yield room[:filled]
