"""The compiled part of `binning`, where it was built: the same counts for less than half the time.

`hatch_build.py` compiles `binning_kernel.c` when the package is built on a machine with a C compiler. Without
it (or with that of another source) `KERNEL` is None and NumPy counts: slower, the same to the last row.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_ifp.core.profile.moments import LARGEST, Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_provider_ifp.core.profile.feature import NumericProfile

SOURCE: Final = Path(__file__).with_suffix(".c")
# Not by the name of a module: Python would take it for one.
LIBRARY: Final = SOURCE.with_name("libbinning.so")

# The line between the first and the last edge is cut into equal parts, each part into cells of its own, the
# more the more edges it has: so there are few edges in a cell, though some values lie far from the others.
_PARTS: Final = 256
_CELLS_AN_EDGE: Final = 8
_STEEPEST: Final = 1e300

# Of few codes one comes soon again, and would wait for its own counter.
_LANES: Final = 4
_FEW_CODES: Final = 1_000


class _Table(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("edges", "slopes", "intercepts", "starts")),
        *((name, ctypes.c_double) for name in ("low", "scale", "last")),
    )


class _Moments(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_double) for name in ("asked", "centre", "first", "last", "low", "high")),
        *((name, ctypes.c_double) for name in ("sum", "squares", "shortfall", "excess")),
        *((name, ctypes.c_double) for name in ("smallest", "largest")),
        *((name, ctypes.c_int64) for name in ("finite", "minus_infinite", "plus_infinite", "under", "over")),
    )


@dataclass(frozen=True, slots=True)
class Table:
    """Where to look for the interval of a value.

    Attributes:
        arrays: edges, slopes, intercepts, starts: what `memory` points to.
        memory: as the kernel reads it.
        halvings: how often, on average over the intervals, the edges of a cell are halved to find one's.
    """

    arrays: tuple[NDArray[Any], ...]
    memory: _Table
    halvings: float = 0.0

    @classmethod
    def of(cls, arrays: tuple[NDArray[Any], ...], low: float, scale: float, halvings: float = 0.0) -> Table:
        """Lay it out."""
        last = math.nextafter(_PARTS, 0)
        return cls(arrays, _Table(*(one.ctypes.data for one in arrays), low, scale, last), halvings)


class Kernel:
    """The compiled functions. Values are float64 arrays, shape (rows,), contiguous; they are only read."""

    def __init__(self, library: ctypes.CDLL) -> None:
        rows, table = ctypes.c_int64, ctypes.POINTER(_Table)
        self._count_up_to = library.count_up_to
        self._count_up_to.argtypes = (ctypes.c_void_p, rows, ctypes.c_void_p, rows, ctypes.c_void_p)
        self._find_cells = library.find_cells
        self._find_cells.argtypes = (ctypes.c_void_p, rows, table, ctypes.c_void_p)
        self._count_intervals = library.count_intervals
        self._count_intervals.argtypes = (
            *(ctypes.c_void_p, rows, table, ctypes.c_void_p),
            ctypes.POINTER(_Moments),
        )
        self._count_codes = library.count_codes
        self._count_codes.argtypes = (ctypes.c_void_p, rows, rows, rows, ctypes.c_void_p)
        self._count_codes.restype = rows
        for function in (self._count_up_to, self._find_cells, self._count_intervals):
            function.restype = None

    def count_up_to(
        self, values: NDArray[np.float64], edges: NDArray[np.float64], up_to: NDArray[np.int64]
    ) -> None:
        """Add to `up_to` the rows whose value is at most each edge; NaN is at most none."""
        self._count_up_to(values.ctypes.data, len(values), edges.ctypes.data, len(edges), up_to.ctypes.data)

    def count_intervals(
        self, values: NDArray[np.float64], table: Table, intervals: NDArray[np.int64], sums: Sums
    ) -> None:
        """Add to `intervals` the rows up to each edge and above the one before, and to the sums."""
        self._count_intervals(
            values.ctypes.data, len(values), table.memory, intervals.ctypes.data, sums.memory
        )

    def count_codes(self, codes: NDArray[np.int32], size: int) -> NDArray[np.int64] | None:
        """Return the rows of each of `size` codes; None where one is no such code."""
        lanes = _LANES if size <= _FEW_CODES else 1
        found = np.zeros((lanes, size), np.int64)
        outside = self._count_codes(codes.ctypes.data, len(codes), size, lanes, found.ctypes.data)
        return None if outside else found.sum(axis=0)

    def table(self, edges: NDArray[np.float64]) -> Table:
        """Prepare edges: ascending, the last one infinite."""
        cuts = edges[:-1]
        low = max(float(edges[0]), -LARGEST)
        # Processors take a hundred times as long to subtract what is not normal.
        low = 0.0 if abs(low) < np.finfo(np.float64).tiny else low
        width = min(float(cuts[-1]), LARGEST) - low if len(cuts) else 0.0
        scale = min(_PARTS / width, _STEEPEST) if width > 0 else 1.0
        parts = np.clip((cuts - low) * scale, 0, _PARTS - 1).astype(np.int64)
        slopes = 1.0 + _CELLS_AN_EDGE * np.bincount(parts, minlength=_PARTS)
        # One cell more on either side of each part, for what rounding moves out of it.
        ends = np.cumsum(slopes + 2)
        intercepts = ends - 1 - slopes * np.arange(1, _PARTS + 1)
        cells = np.empty(len(cuts), np.int32)
        draft = Table.of((edges, slopes, intercepts, cells), low, scale)
        self._find_cells(edges.ctypes.data, len(cells), draft.memory, cells.ctypes.data)
        starts = np.searchsorted(cells, np.arange(int(ends[-1]) + 1)).astype(np.int32)
        crowds = np.diff(starts)
        crowds = crowds[crowds > 1]
        halvings = float(crowds @ np.ceil(np.log2(crowds))) / len(edges)
        return Table.of((edges, slopes, intercepts, starts), low, scale, halvings)


class Sums:
    """The moments of a feature on the fine grid, added up in the kernel's memory."""

    def __init__(self, feature: NumericProfile) -> None:
        first, last = feature.ends("fine")
        low = -np.inf if feature.low is None else feature.low
        high = np.inf if feature.high is None else feature.high
        first, last = (-np.inf, np.inf) if first is None or last is None else (first, last)
        self.memory = _Moments(LARGEST, feature.centre, first, last, low, high)
        self.memory.smallest, self.memory.largest = np.inf, -np.inf

    def moments(self) -> Moments:
        """Return what was added up."""
        of = self.memory
        found = {one.name: getattr(of, one.name) for one in fields(Moments)}
        return Moments(**found if of.finite else {**found, "smallest": None, "largest": None})


def source_digest() -> str:
    """Return the sha256 of the kernel's source, in hex: what a library must be built from."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def load() -> Kernel | None:
    """Load the library that was built from this very source; None where there is none."""
    try:
        library = ctypes.CDLL(str(LIBRARY))
        found = (ctypes.c_char * 64).in_dll(library, "source_digest").value.decode()
        return Kernel(library) if found == source_digest() else None
    except (OSError, ValueError):
        return None


KERNEL: Final = load()
