"""The rows of a window on the bins of its reference; counts of parts add up to those of the whole.

A part is whatever was read at once: a file, a batch, an hour, a database's group. Its counts are integers, so
merged equals whole to the last row, in any order; the sums beside them are floats and agree but for rounding.

Numbers are counted on one of three grids, each a part of the one before, so that counts can be made coarser
but never finer: `fine` (all edges), `coarse` (deciles and tail edges: what a database counts fastest),
`deciles` (the bins of the contract's PSI). On every grid the atoms have bins of their own.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.moments import LARGEST, Moments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.profile.feature import CategoricalProfile, NumericProfile, Simple

TOP_CATEGORIES: Final = 50
NAMED_UNSEEN: Final = 100

Grid = Literal["fine", "coarse", "deciles"]
_GRIDS: Final[tuple[Grid, ...]] = ("fine", "coarse", "deciles")
_Rows = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Rows of one feature in one window, per bin of the reference's profile, and what else is known.

    Attributes:
        bins: shape (bins,), int64. Numbers: the grid's intervals in order, then the atoms. Categories: the
            50 most frequent names in order, then the reference's others, then the unseen.
        missing: rows without a value.
        grid: the grid of numbers; categories have one grid only, `fine`.
        moments: of numbers; None where they were not counted.
        unseen: rows of up to 100 of the values that the reference does not have, by name (of more, the most
            frequent of each part); their total stands in the bins.

    >>> Counts(np.array([3, 1]), missing=1) + Counts(np.array([0, 2]), missing=0)
    Counts(bins=array([3, 3]), missing=1, grid='fine', moments=None, unseen={})
    """

    bins: NDArray[np.int64]
    missing: int
    grid: Grid = "fine"
    moments: Moments | None = None
    unseen: Mapping[str, int] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """Say whether both hold the same rows and the same sums."""
        if not isinstance(other, Counts):
            return NotImplemented
        mine, theirs = ((one.missing, one.grid, one.moments, one.unseen) for one in (self, other))
        return mine == theirs and np.array_equal(self.bins, other.bins)

    __hash__ = None  # type: ignore[assignment]  # arrays have none

    def __add__(self, other: Counts) -> Counts:
        """Join the counts of two parts of a window.

        Raises:
            DatasetError: The two were counted on different bins.
        """
        if (len(self.bins), self.grid) != (len(other.bins), other.grid):
            raise DatasetError(
                f"counts on {len(other.bins)} {other.grid} bins cannot be added to counts on "
                f"{len(self.bins)} {self.grid} bins; count both parts against the same profile"
            )
        moments = None
        if self.moments is not None and other.moments is not None:
            moments = self.moments + other.moments
        unseen = self.unseen
        if other.unseen:
            unseen = _most_frequent(Counter(self.unseen) + Counter(other.unseen))
        return Counts(self.bins + other.bins, self.missing + other.missing, self.grid, moments, unseen)

    @property
    def present(self) -> int:
        """Rows that have a value."""
        return int(self.bins.sum())

    @property
    def rows(self) -> int:
        """All rows, the missing ones included."""
        return self.present + self.missing

    def to_json(self) -> dict[str, Any]:
        """Return the record as finite JSON.

        >>> counts = Counts(np.array([3, 1]), missing=1, moments=Moments(finite=4, sum=0.1))
        >>> Counts.from_json(counts.to_json()) == counts
        True
        """
        return {
            "bins": self.bins.tolist(),
            "missing": self.missing,
            "grid": self.grid,
            "moments": None if self.moments is None else asdict(self.moments),
            "unseen": dict(self.unseen),
        }

    @classmethod
    def from_json(cls, record: object, where: str = "counts") -> Counts:
        """Read what `to_json` wrote.

        Raises:
            DatasetError: The record is damaged; the message names the place.
        """
        try:
            read = _RECORD.validate_json(json.dumps(record))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the record"
            raise DatasetError(f"{where}: damaged: {place}: {first['msg']}; count the part again") from None
        except TypeError as error:
            raise DatasetError(f"{where}: damaged: {error}; count the part again") from None
        return cls(np.array(read.bins, dtype=np.int64), read.missing, read.grid, read.moments, read.unseen)


@dataclass(frozen=True, slots=True)
class _Record:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    bins: list[_Rows]
    missing: _Rows
    grid: Grid
    moments: Moments | None
    unseen: dict[str, _Rows]


_RECORD = TypeAdapter(_Record)


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

    This is what the numbers mean, in a few lines; `adapters/counting/profiling.py` counts the same faster.

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
    return Counts(np.array(bins, dtype=np.int64), missing, unseen=_most_frequent(unknown))


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


def _most_frequent(unseen: Mapping[str, int]) -> dict[str, int]:
    if len(unseen) <= NAMED_UNSEEN:
        return dict(unseen)
    return dict(sorted(unseen.items(), key=lambda item: (-item[1], item[0]))[:NAMED_UNSEEN])
