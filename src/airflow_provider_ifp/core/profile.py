"""The profile of a window: per feature the bins on which later windows are counted, and its own rows on them.

The reference window is profiled once (`core/reference.py`); every later window is only counted on the
reference's bins (`core/counts.py`). The record is JSON, format `ifp.profile/2` (docs/profile.md):

- Numbers: up to 999 edges, the quantiles 0.1%, 0.2% ... 99.9% of all present values, so that the contract's
  deciles (section 9) are among them, to the same float; `deciles` and `tails` say which. Intervals are
  right-closed, the outer two open. A value that alone makes a tenth or more of the present values is an atom:
  it is an edge, has a bin of its own and is counted in no interval. So 0/1 features, constants and
  zero-inflated amounts are compared value by value.
- Categories: one bin for each of the 50 most frequent values, one for the reference's others, one for values
  that the reference does not have.
- Lists (embeddings): the norm and the projections on the reference's first principal axes, each a number.
- What the model answered, on the rows of the holdout, is profiled like a feature.
- Missing values (null, NaN) are counted apart.

25 features of numbers make about half a megabyte.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from airflow_provider_ifp.core.counts import TOP_CATEGORIES, Counts, Grid
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.moments import LARGEST, Moments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

FORMAT: Final = "ifp.profile/2"
# The names under which a model's answers are profiled. All but the first are no column's name, so that a
# feature may be called `score`.
PREDICTION: Final = "prediction"
SCORE: Final = "prediction score"
ERROR: Final = "prediction error"
RIGHT: Final = "right"
WRONG: Final = "wrong"
"""Of a predicted label, its error."""

ValueType = Literal["text", "boolean", "number", "time"]

# JSON has no infinity, but an atom may be one: it is written as the text "inf" or "-inf".
_Atom = Annotated[float, BeforeValidator(lambda value: float(value) if value in ("inf", "-inf") else value)]
_Rows = Annotated[int, Field(ge=0)]
_Noise = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_STRICT = ConfigDict(extra="forbid", strict=True)


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

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

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

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

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

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

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


@dataclass(frozen=True, slots=True)
class Profile:
    """The profiled features of a window of `rows` rows, in the order of the dataset's columns.

    `predictions` profile what the model answered on the holdout: `prediction`, `prediction score`, and by how
    much that was wrong: `prediction error`.
    `segments` profile parts of the window by themselves.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    features: tuple[Annotated[Feature, Field(discriminator="kind")], ...]
    rows: _Rows
    predictions: tuple[Annotated[Feature, Field(discriminator="kind")], ...] = ()
    segments: tuple[Segment, ...] = ()

    def __post_init__(self) -> None:
        """Refuse two features of one name."""
        if len({one.name for one in self.measured}) != len(self.measured):
            raise ValueError("two features have the same name")

    @property
    def measured(self) -> tuple[Simple, ...]:
        """What is counted, by name: the features, each list by its measures, and the predictions."""
        found: list[Simple] = []
        for feature in (*self.features, *self.predictions):
            found += feature.measures if isinstance(feature, ListProfile) else (feature,)
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Return the record as finite JSON; floats come back bit for bit.

        >>> from airflow_provider_ifp.core.reference import profile_numbers
        >>> profile = Profile((profile_numbers("a", np.array([0.0, 0.1, np.nan])),), rows=3)
        >>> Profile.from_json(profile.to_json()) == profile
        True
        """
        return {"format": FORMAT, **self._parts()}

    def _parts(self) -> dict[str, Any]:
        record: dict[str, Any] = {"rows": self.rows}
        for part in ("features", "predictions"):
            record[part] = [_finite(asdict(feature)) for feature in getattr(self, part)]
        if self.segments:
            record["segments"] = [
                {"column": one.column, "value": one.value, "profile": one.profile._parts()}  # noqa: SLF001 - its own kind
                for one in self.segments
            ]
        return record

    @classmethod
    def from_json(cls, record: object, where: str = "profile.json") -> Profile:
        """Read what `to_json` wrote.

        Args:
            record: The decoded JSON.
            where: What the messages call the record, for instance the file's path.

        Raises:
            DatasetError: The record has another format or is damaged; the message names the place.
        """
        again = "make the profile again: `ifp profile DATASET -o profile.json`, or train a new version"
        found = record.get("format") if isinstance(record, dict) else type(record).__name__
        if not isinstance(record, dict) or found != FORMAT:
            raise DatasetError(f"{where}: expected a profile in format {FORMAT!r}, found {found!r}; {again}")
        try:
            content = {key: value for key, value in record.items() if key != "format"}
            return _RECORD.validate_json(json.dumps(content))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the record"
            raise DatasetError(f"{where}: damaged profile: {place}: {first['msg']}; {again}") from None
        except TypeError as error:
            raise DatasetError(f"{where}: damaged profile: {error}; {again}") from None


@dataclass(frozen=True, slots=True)
class Segment:
    """The reference's rows with one value in one column, profiled on bins of their own."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    column: str
    value: str
    profile: Profile

    @property
    def name(self) -> str:
        """As findings name it: `region=north`."""
        return f"{self.column}={self.value}"


_RECORD = TypeAdapter(Profile)


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    for of in (record, *record.get("measures", ())):
        if "atoms" in of:
            of["atoms"] = [atom if math.isfinite(atom) else str(atom) for atom in of["atoms"]]
    return record


def _within(value: float) -> float:
    return max(-LARGEST, min(LARGEST, value))


def _ascending(values: tuple[float, ...]) -> bool:
    return all(earlier < later for earlier, later in itertools.pairwise(values))
