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
from airflow_provider_ifp.core.profile.moments import Moments  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

TOP_CATEGORIES: Final = 50
NAMED_UNSEEN: Final = 100

Grid = Literal["fine", "coarse", "deciles"]
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
            unseen = most_frequent(Counter(self.unseen) + Counter(other.unseen))
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


def most_frequent(unseen: Mapping[str, int]) -> dict[str, int]:
    """Keep as many names as are told apart, the most frequent of them; ties by the name."""
    if len(unseen) <= NAMED_UNSEEN:
        return dict(unseen)
    return dict(sorted(unseen.items(), key=lambda item: (-item[1], item[0]))[:NAMED_UNSEEN])
