"""Count a window on the bins of its reference, column by column.

A window must have the same kind of values as its reference, or its PSI would compare unlike things. Memory
holds one group of batches (`count_batches`) or one column of a row group (`parquet_counting`),
and of categories the values of one such part: however large the window is, and however many names it has.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.adapters.counting.binning import Bins, Room, count_values
from airflow_provider_ifp.adapters.counting.columns import (
    chosen,
    distinct,
    lists,
    named_column,
    numbers,
    shared,
    text_of,
    texts,
    value_type,
)
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.counting import count_categories, no_rows
from airflow_provider_ifp.core.profile.counts import NAMED_UNSEEN, TOP_CATEGORIES, Counts, Grid
from airflow_provider_ifp.core.profile.feature import CategoricalProfile, ListProfile, NumericProfile
from airflow_provider_ifp.core.profile.reference import measure_lists

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.profile.feature import Feature
    from airflow_provider_ifp.core.profile.record import Profile

_PLURAL: Final = {"text": "text", "boolean": "booleans", "number": "numbers", "time": "timestamps or dates"}
# Small batches are counted together, since every counting has costs of its own.
_GROUP_ROWS: Final = 131_072
_MATRIX_NUMBERS: Final = 4_194_304


def count_batches(
    profile: Profile, batches: Iterable[pa.RecordBatch], grid: Grid = "fine"
) -> dict[str, Counts]:
    """Count a current window, batch by batch.

    Args:
        profile: The reference's profile.
        batches: The window's rows; 131,072 rows or one batch are in memory at a time. Columns besides the
            features are ignored.
        grid: The bins of numbers; the coarser ones cost half as much and have no moments.

    Returns:
        Counts by measured name; of zero rows when there are no batches.

    Raises:
        DatasetError: A feature's column is not there, or its values are of another kind than the reference's.
    """
    counter = WindowCounter(profile, grid)
    for group in _groups(batches):
        for feature in counter.features:
            counter.add(feature, [named_column(batch.schema, batch, feature.name) for batch in group])
    return counter.totals


class WindowCounter:
    """Counts of a window so far: what all its parts need is made once.

    Attributes:
        features: What is counted, one column each: the features, then the predictions.
        totals: Counts by measured name.
    """

    def __init__(self, profile: Profile, grid: Grid = "fine") -> None:
        self.features: tuple[Feature, ...] = (*profile.features, *profile.predictions)
        self.totals = {one.name: no_rows(one, grid) for one in profile.measured}
        self._room = Room()
        self._bins = {
            one.name: Bins.of(one, grid) for one in profile.measured if isinstance(one, NumericProfile)
        }
        self._names = {
            one.name: _Names.of(one) for one in profile.measured if isinstance(one, CategoricalProfile)
        }

    def add(self, feature: Feature, chunks: Sequence[pa.Array]) -> None:
        """Count more rows of one feature.

        Raises:
            DatasetError: Values of another kind than the reference's.
        """
        for chunk in chunks:
            require_kind(feature, chunk.type)
        if isinstance(feature, NumericProfile):
            counted = count_values(self._bins[feature.name], map(numbers, chunks), self._room)
            self.totals[feature.name] += counted
        elif isinstance(feature, CategoricalProfile):
            for chunk in chunks:
                self.totals[feature.name] += _count_names(self._names[feature.name], chunk)
        else:
            self._add_lists(feature, chunks)

    def _add_lists(self, feature: ListProfile, chunks: Sequence[pa.Array]) -> None:
        # So many rows that a matrix of them has some 4 million numbers, 32 MB.
        step = max(1, _MATRIX_NUMBERS // max(1, len(feature.centre)))
        for chunk in chunks:
            for start in range(0, len(chunk), step):
                measured = measure_lists(feature, _matrix(feature, chunk.slice(start, step)))
                for measure, values in zip(feature.measures, measured, strict=True):
                    counted = count_values(self._bins[measure.name], [values], self._room)
                    self.totals[measure.name] += counted


def require_kind(feature: Feature, found: pa.DataType) -> None:
    """Hold a column's type against the reference's.

    Raises:
        DatasetError: It has values of another kind.
    """
    # A batch in which nobody filled the column has no type, but it has rows.
    if pa.types.is_null(found):
        return
    kind = value_type(found)
    if isinstance(feature, ListProfile):
        if kind != "list":
            raise _changed(feature.name, f"lists of {len(feature.centre)} numbers", found)
        return
    if isinstance(feature, NumericProfile) and kind == "boolean":
        # Booleans that are no categories are the numbers 0 and 1.
        kind = "number"
    if kind != feature.value_type:
        raise _changed(feature.name, _PLURAL[feature.value_type], found)


@dataclass(frozen=True, slots=True)
class _Names:
    """The names of a reference as an Arrow array."""

    feature: CategoricalProfile
    names: pa.Array

    @classmethod
    def of(cls, feature: CategoricalProfile) -> _Names:
        return cls(feature, texts(feature.names))


def _count_names(names: _Names, column: pa.Array) -> Counts:
    feature = names.feature
    if pa.types.is_null(column.type):
        return replace(no_rows(feature), missing=len(column))
    values, rows, missing = distinct(column)
    if feature.value_type != "text":
        by_name: dict[str, int] = {}
        for value, count in zip(values.to_pylist(), rows.tolist(), strict=True):
            by_name[text_of(value)] = by_name.get(text_of(value), 0) + count
        return count_categories(feature, by_name, missing)
    # Looked up in Arrow: a million names that the reference does not have never become Python's.
    found = pc.index_in(values.cast(pa.large_string()), value_set=names.names)
    known = shared(found.is_valid().cast(pa.int8())) == 1
    places = shared(found.drop_null()).astype(np.int64)
    top = min(len(feature.names), TOP_CATEGORIES)
    bins = no_rows(feature).bins
    np.add.at(bins, np.minimum(places, top), rows[known])
    unseen: Mapping[str, int] = {}
    unknown = np.flatnonzero(~known)
    if feature.beyond:
        # Names were left out, and an unknown value may be one of those: it counts with the others.
        bins[-2] += rows[unknown].sum()
    else:
        bins[-1] += rows[unknown].sum()
        unseen = _most_frequent(values, rows, unknown)
    return Counts(bins, missing, unseen=unseen)


def _most_frequent(values: pa.Array, rows: NDArray[np.int64], places: NDArray[np.int64]) -> dict[str, int]:
    if len(places) > NAMED_UNSEEN:
        places = places[np.argsort(-rows[places], kind="stable")[:NAMED_UNSEEN]]
    named: dict[str, int] = {}
    for name, count in zip(chosen(values, places), rows[places].tolist(), strict=True):
        named[str(name)] = named.get(str(name), 0) + count
    return named


def _matrix(feature: ListProfile, column: pa.Array) -> NDArray[np.float64]:
    length = len(feature.centre)
    if pa.types.is_null(column.type):
        return np.full((len(column), length), np.nan)
    return lists(column, length, feature.name)


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) >= _GROUP_ROWS:
            yield held
            held = []
    if held:
        yield held


def _changed(name: str, expected: str, found: pa.DataType) -> DatasetError:
    return DatasetError(
        f"column {name!r}: expected {expected}, as in the reference window, found {found}; "
        "correct what writes the column, or train a new version on the new type"
    )
