"""The profile of a window: per feature the bins that a PSI needs, and how many rows fell into each.

The reference window is profiled once; every later window is only counted on the reference's bins, and counts
of parts add up to exactly the counts of the whole. So a window can be read in batches, and hours can be kept
and merged.

The bins are those of the contract's section 9:

- Numbers: right-closed intervals between the 10%, 20% ... 90% quantiles of all present values, the outer two
  open. A value that alone makes a tenth or more of the present values is an atom: it has a bin of its own and
  is counted in no interval. So 0/1 features, constants and zero-inflated amounts are compared value by value.
- Categories: one bin for each of the 50 most frequent values, one for the reference's others, one for values
  that the reference does not have.
- Missing values (null, NaN) are counted apart.

Known weakness: deciles see little of what happens in the tails (5% of rows moved far out score a PSI of .02).
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.psi import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FORMAT = "ifp.profile/1"
TOP_CATEGORIES = 50
KEPT_NAMES = 10_000
_TENTHS = np.arange(1, 10) / 10

ValueType = Literal["text", "boolean", "number", "time"]

# JSON has no infinity, but an atom may be one: it is written as the text "inf" or "-inf".
_Atom = Annotated[float, BeforeValidator(lambda value: float(value) if value in ("inf", "-inf") else value)]
_Rows = Annotated[int, Field(ge=0)]
_STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericProfile:
    """A feature of numbers: `edges` cut the line into `len(edges) + 1` intervals, `atoms` are heavy."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    kind: Literal["number"] = "number"
    name: str
    value_type: Literal["number", "time"] = "number"
    edges: tuple[float, ...]
    atoms: tuple[_Atom, ...]
    interval_rows: tuple[_Rows, ...]
    atom_rows: tuple[_Rows, ...]
    missing: _Rows

    def __post_init__(self) -> None:
        """Refuse bins that cannot be (a damaged file)."""
        if not all(map(math.isfinite, self.edges)) or not _ascending(self.edges):
            raise ValueError("edges must be finite and ascending")
        if any(map(math.isnan, self.atoms)) or not _ascending(self.atoms):
            raise ValueError("atoms must be numbers and ascending")
        if len(self.interval_rows) != len(self.edges) + 1 or len(self.atom_rows) != len(self.atoms):
            raise ValueError("there must be one interval more than edges, and as many atom_rows as atoms")

    @property
    def counts(self) -> Counts:
        """The reference window's rows on these bins: the intervals in order, then the atoms."""
        return Counts(self.interval_rows + self.atom_rows, self.missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoricalProfile:
    """A feature of categories: its most frequent values in order, and how many rows had each.

    `value_type` says what the names stand for (text, booleans, or numbers written as text), so that a column
    whose type changed is noticed. `beyond` are rows whose value is not among the names that were kept.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    kind: Literal["category"] = "category"
    name: str
    value_type: ValueType = "text"
    names: tuple[str, ...]
    name_rows: tuple[_Rows, ...]
    beyond: _Rows
    missing: _Rows

    def __post_init__(self) -> None:
        """Refuse names that cannot be (a damaged file)."""
        if len(self.names) != len(self.name_rows) or len(set(self.names)) != len(self.names):
            raise ValueError("names must differ, and there must be as many name_rows")
        if any(later > earlier for earlier, later in itertools.pairwise(self.name_rows)):
            raise ValueError("names must stand in descending order of their rows")

    @property
    def counts(self) -> Counts:
        """The reference window's rows: one bin a top category, then the others, then the unseen (none)."""
        top = self.name_rows[:TOP_CATEGORIES]
        others = sum(self.name_rows[TOP_CATEGORIES:]) + self.beyond
        return Counts((*top, others, 0), self.missing)


Feature = NumericProfile | CategoricalProfile


@dataclass(frozen=True, slots=True)
class Profile:
    """The profiled features of a window of `rows` rows, in the order of the dataset's columns."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    features: tuple[Annotated[Feature, Field(discriminator="kind")], ...]
    rows: _Rows

    def __post_init__(self) -> None:
        """Refuse two features of one name."""
        if len({feature.name for feature in self.features}) != len(self.features):
            raise ValueError("two features have the same name")

    def to_json(self) -> dict[str, Any]:
        """Return the record as finite JSON; floats come back bit for bit.

        >>> profile = Profile((profile_numbers("a", np.array([0.0, 0.1, np.nan])),), rows=3)
        >>> Profile.from_json(profile.to_json()) == profile
        True
        """
        record: dict[str, Any] = {"format": FORMAT, "rows": self.rows}
        record["features"] = [asdict(feature) for feature in self.features]
        for feature in record["features"]:
            for key in feature.keys() & {"atoms"}:
                feature[key] = [atom if math.isfinite(atom) else str(atom) for atom in feature[key]]
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


_RECORD = TypeAdapter(Profile)


def profile_numbers(
    name: str, values: NDArray[np.float64], value_type: Literal["number", "time"] = "number"
) -> NumericProfile:
    """Profile a numeric feature.

    Args:
        name: The feature's column.
        values: Shape (rows,); NaN is missing, infinities are values (they fall into the outer intervals).
        value_type: What the numbers stand for; times are seconds since 1970.

    >>> profile_numbers("x", np.arange(1.0, 12.0)).edges
    (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)
    >>> profile_numbers("flag", np.array([0.0, 1.0, 1.0, 1.0])).atoms
    (0.0, 1.0)
    """
    present = np.sort(values[~np.isnan(values)])
    distinct, rows = np.unique(present, return_counts=True)
    # `+ 0.0` makes -0.0 the same value as 0.0 in the written record too.
    atoms = tuple((distinct[rows * 10 >= len(present)] + 0.0).tolist())
    edges = tuple((np.unique(_deciles(present)) + 0.0).tolist())
    intervals = (0,) * (len(edges) + 1)
    empty = NumericProfile(
        name=name,
        value_type=value_type,
        edges=edges,
        atoms=atoms,
        interval_rows=intervals,
        atom_rows=(0,) * len(atoms),
        missing=0,
    )
    counts = count_numbers(empty, values)
    of_intervals, of_atoms = counts.bins[: len(intervals)], counts.bins[len(intervals) :]
    return replace(empty, interval_rows=of_intervals, atom_rows=of_atoms, missing=counts.missing)


def profile_categories(
    name: str,
    counts: Mapping[str, int],
    missing: int,
    value_type: ValueType = "text",
) -> CategoricalProfile:
    """Profile a categorical feature; of more than 10,000 values the most frequent are kept by name.

    Args:
        name: The feature's column.
        counts: Rows of each value; values of equal frequency are ordered by their text.
        missing: Rows without a value.
        value_type: What the names stand for.

    >>> profile_categories("c", {"b": 2, "a": 2, "c": 5}, missing=0).names
    ('c', 'a', 'b')
    """
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kept = ordered[:KEPT_NAMES]
    return CategoricalProfile(
        name=name,
        value_type=value_type,
        names=tuple(value for value, _ in kept),
        name_rows=tuple(rows for _, rows in kept),
        beyond=sum(rows for _, rows in ordered[KEPT_NAMES:]),
        missing=missing,
    )


def count_numbers(feature: NumericProfile, values: NDArray[np.float64]) -> Counts:
    """Count a window, or a part of it, on the bins of its reference.

    Args:
        feature: The reference's profile.
        values: Shape (rows,); NaN is missing.

    >>> feature = profile_numbers("x", np.arange(1.0, 12.0))
    >>> count_numbers(feature, np.array([2.0, 2.5, np.inf, np.nan])).bins
    (1, 1, 0, 0, 0, 0, 0, 0, 0, 1)
    """
    missing = int(np.count_nonzero(np.isnan(values)))
    # One comparing pass an edge is several times faster than a binary search for each value, and NaN is never
    # above.
    above = [int(np.count_nonzero(values > edge)) for edge in feature.edges]
    intervals = [left - right for left, right in itertools.pairwise([len(values) - missing, *above, 0])]
    atoms = [int(np.count_nonzero(values == atom)) for atom in feature.atoms]
    homes = np.searchsorted(np.array(feature.edges), np.array(feature.atoms), side="left")
    for home, rows in zip(homes, atoms, strict=True):
        intervals[home] -= rows
    return Counts((*intervals, *atoms), missing)


def count_categories(feature: CategoricalProfile, counts: Mapping[str, int], missing: int) -> Counts:
    """Count a window, or a part of it, on the bins of its reference.

    Args:
        feature: The reference's profile.
        counts: Rows of each value in this part.
        missing: Rows of this part without a value.

    >>> feature = profile_categories("c", {"a": 3, "b": 1}, missing=0)
    >>> count_categories(feature, {"b": 2, "new": 7}, missing=1)
    Counts(bins=(0, 2, 0, 7), missing=1)
    """
    top = feature.names[:TOP_CATEGORIES]
    bins = [counts.get(value, 0) for value in top]
    others = sum(counts.get(value, 0) for value in feature.names[TOP_CATEGORIES:])
    unknown = sum(counts.values()) - sum(bins) - others
    # Where names were left out, an unknown value may be one of those: it counts with the others.
    bins += [others + unknown, 0] if feature.beyond else [others, unknown]
    return Counts(tuple(bins), missing)


def no_rows(feature: Feature) -> Counts:
    """Return the counts of an empty window, to add to."""
    return Counts((0,) * len(feature.counts.bins), missing=0)


def _deciles(present: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the finite deciles of sorted values by linear interpolation (NumPy's default, R's type 7)."""
    if not len(present):
        return present
    lower = np.quantile(present, _TENTHS, method="lower")
    upper = np.quantile(present, _TENTHS, method="higher")
    with np.errstate(invalid="ignore"):
        between = np.quantile(present, _TENTHS, method="linear")
    # Between equal infinities, or at zero distance from one, interpolation gives NaN; an infinite edge bounds
    # nothing.
    deciles = np.where(lower == upper, lower, between)
    return deciles[np.isfinite(deciles)]


def _ascending(values: tuple[float, ...]) -> bool:
    return all(earlier < later for earlier, later in itertools.pairwise(values))
