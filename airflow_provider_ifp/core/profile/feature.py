"""The profile of one feature: its bins, and the reference window's rows on them; see `record`."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field

from airflow_provider_ifp.core.profile.counts import TOP_CATEGORIES, Counts, Grid
from airflow_provider_ifp.core.profile.moments import LARGEST, Moments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

ValueType = Literal["text", "boolean", "number", "time"]

# JSON has no infinity, but an atom may be one: it is written as the text "inf" or "-inf".
_Atom = Annotated[float, BeforeValidator(lambda value: float(value) if value in ("inf", "-inf") else value)]
_Rows = Annotated[int, Field(ge=0)]
_Noise = Annotated[float, Field(ge=0, allow_inf_nan=False)]
STRICT: Final = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, kw_only=True)
class NumericProfile:
    """A feature of numbers.

    Attributes:
        edges: cut the line into `len(edges) + 1` intervals; finite, ascending.
        deciles: places in `edges` of the interior deciles, ascending.
        tails: places in `edges` of the 1%, 5%, 95% and 99% quantiles, ascending.
        atoms: heavy values, ascending; the finite ones are edges.
        interval_rows: rows of the reference window in each interval, those at atoms left out.
        atom_rows: rows of the reference window at each atom.
        missing: rows of the reference window without a value.
        centre: mean of the finite values when the edges were made; sums are taken about it.
        low, high: the smallest and largest finite value when the edges were made; None: there was none.
        moments: of the reference window.
        noise: the largest PSI, chance taken off, by which blocks of time of the reference window differ from
            the rest of it; None where that was not measured.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    kind: Literal["number"] = "number"
    name: str
    value_type: Literal["number", "time"] = "number"
    edges: tuple[float, ...]
    deciles: tuple[_Rows, ...]
    tails: tuple[_Rows, ...]
    atoms: tuple[_Atom, ...]
    interval_rows: tuple[_Rows, ...]
    atom_rows: tuple[_Rows, ...]
    missing: _Rows
    centre: float
    low: float | None
    high: float | None
    moments: Moments
    noise: _Noise | None = None

    def __post_init__(self) -> None:
        """Refuse bins that cannot be (a damaged file)."""
        if not all(map(math.isfinite, self.edges)) or not _ascending(self.edges):
            raise ValueError("edges must be finite and ascending")
        if any(map(math.isnan, self.atoms)) or not _ascending(self.atoms):
            raise ValueError("atoms must be numbers and ascending")
        if not set(filter(math.isfinite, self.atoms)) <= set(self.edges):
            raise ValueError("finite atoms must be edges")
        if len(self.interval_rows) != len(self.edges) + 1 or len(self.atom_rows) != len(self.atoms):
            raise ValueError("there must be one interval more than edges, and as many atom_rows as atoms")
        for places in (self.deciles, self.tails):
            if not _ascending(places) or not all(0 <= place < len(self.edges) for place in places):
                raise ValueError("deciles and tails must be ascending places of edges")

    @cached_property
    def counts(self) -> Counts:
        """The reference window's rows on the fine grid: the intervals in order, then the atoms."""
        bins = np.array(self.interval_rows + self.atom_rows, dtype=np.int64)
        bins.flags.writeable = False
        return Counts(bins, self.missing, moments=self.moments)

    @cached_property
    def places(self) -> Mapping[Grid, NDArray[np.int64]]:
        """Places in `edges` of each grid's cuts, ascending."""
        coarse = sorted({*self.deciles, *self.tails})
        grids: dict[Grid, Sequence[int]] = {"coarse": coarse, "deciles": self.deciles}
        return {
            "fine": np.arange(len(self.edges)),
            **{grid: np.array(places, dtype=np.int64) for grid, places in grids.items()},
        }

    @cached_property
    def lines(self) -> Mapping[Grid, NDArray[np.float64]]:
        """The edges of each grid, as `cuts` gives them."""
        edges = np.array(self.edges, dtype=np.float64)
        return {grid: edges[places] for grid, places in self.places.items()}

    def cuts(self, grid: Grid) -> tuple[float, ...]:
        """Return the edges of a grid, ascending."""
        return self.edges if grid == "fine" else tuple(self.lines[grid].tolist())

    def ends(self, grid: Grid) -> tuple[float, float] | tuple[None, None]:
        """Return the first and the last edge of a grid, no farther out than 1e140; None without edges."""
        cuts = self.lines[grid]
        return (_within(float(cuts[0])), _within(float(cuts[-1]))) if len(cuts) else (None, None)


@dataclass(frozen=True, kw_only=True)
class CategoricalProfile:
    """A feature of categories: its most frequent values in order, and how many rows had each.

    `value_type` says what the names stand for (text, booleans, or numbers written as text), so that a column
    whose type changed is noticed. `beyond` are rows whose value is not among the names that were kept.
    `noise` is that of `NumericProfile`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    kind: Literal["category"] = "category"
    name: str
    value_type: ValueType = "text"
    names: tuple[str, ...]
    name_rows: tuple[_Rows, ...]
    beyond: _Rows
    missing: _Rows
    noise: _Noise | None = None

    def __post_init__(self) -> None:
        """Refuse names that cannot be (a damaged file)."""
        if len(self.names) != len(self.name_rows) or len(set(self.names)) != len(self.names):
            raise ValueError("names must differ, and there must be as many name_rows")
        if any(later > earlier for earlier, later in itertools.pairwise(self.name_rows)):
            raise ValueError("names must stand in descending order of their rows")

    @cached_property
    def counts(self) -> Counts:
        """The reference window's rows: one bin a top category, then the others, then the unseen (none)."""
        top = self.name_rows[:TOP_CATEGORIES]
        others = sum(self.name_rows[TOP_CATEGORIES:]) + self.beyond
        bins = np.array((*top, others, 0), dtype=np.int64)
        bins.flags.writeable = False
        return Counts(bins, self.missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListProfile:
    """A feature of lists of numbers, all of one length (embeddings).

    Attributes:
        centre: mean of the reference's lists, shape (length,).
        axes: their first principal axes, unit vectors, shape (up to 4, length).
        measures: `<name>: norm`, then `<name>: axis 1` and so on: the projection of list - centre.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    kind: Literal["list"] = "list"
    name: str
    centre: tuple[float, ...]
    axes: tuple[tuple[float, ...], ...]
    measures: tuple[NumericProfile, ...]

    def __post_init__(self) -> None:
        """Refuse axes that cannot be (a damaged file)."""
        if any(len(axis) != len(self.centre) for axis in self.axes):
            raise ValueError("every axis must be as long as the centre")
        if len(self.measures) != len(self.axes) + 1:
            raise ValueError("there must be one measure more than axes")


Simple = NumericProfile | CategoricalProfile
Feature = Simple | ListProfile


def _within(value: float) -> float:
    return max(-LARGEST, min(LARGEST, value))


def _ascending(values: tuple[float, ...]) -> bool:
    return all(earlier < later for earlier, later in itertools.pairwise(values))
