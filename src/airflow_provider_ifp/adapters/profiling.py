"""Arrow tables and batches, profiled and counted.

What is a number and what a category is decided once, when the reference window is profiled; a current window
must have the same kind of values, or its PSI would compare unlike things.

| Arrow type | by default | written as |
| --- | --- | --- |
| integer, float, decimal | number | float64 (integers beyond 2^53 lose their last digits) |
| timestamp, date | number | seconds since 1970, UTC |
| string, bool | category | the text; `true`, `false` |
| dictionary | category | its values: numbers as text, 3 and 3.0 alike |
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile import (
    CategoricalProfile,
    Feature,
    Profile,
    ValueType,
    count_categories,
    count_numbers,
    no_rows,
    profile_categories,
    profile_numbers,
)
from airflow_provider_ifp.core.psi import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

_PLURAL: Final = {"text": "text", "boolean": "booleans", "number": "numbers", "time": "timestamps or dates"}
_SECONDS: Final = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_DAY: Final = 86_400.0
# Made from bytes, since pa.scalar and every other conversion of Python values imports pandas first (1.4 s).
_NAN: Final = pa.Array.from_buffers(pa.float64(), 1, [None, pa.py_buffer(np.array([np.nan]).tobytes())])[0]


def profile_table(
    data: pa.Table | Iterable[pa.RecordBatch],
    features: Sequence[str],
    categorical: Sequence[str] | None = None,
) -> Profile:
    """Profile a reference window.

    Args:
        data: The window's rows; batches are brought together, since quantiles need all values.
        features: The columns to profile.
        categorical: Those of them that are categories; None: string, bool and dictionary columns.

    Raises:
        DatasetError: No rows, no features, a column that is not there or that has no profile, text that is
        not
            among the categories.

    >>> table = pa.table({"price": [1.5, 2.5, None], "region": ["north", "south", "north"]})
    >>> [type(feature).__name__ for feature in profile_table(table, ["price", "region"]).features]
    ['NumericProfile', 'CategoricalProfile']
    """
    table = data if isinstance(data, pa.Table) else _gather(data)
    if not table.num_rows or not features:
        found = f"{table.num_rows} rows and {len(features)} features"
        raise DatasetError(
            f"reference window: found {found}, expected at least one of each; widen the window"
        )
    _require_among(features, categorical or ())
    profiled = tuple(
        _profile_column(name, _column(table.schema, table, name), categorical) for name in features
    )
    return Profile(profiled, rows=table.num_rows)


def count_batches(profile: Profile, batches: Iterable[pa.RecordBatch]) -> dict[str, Counts]:
    """Count a current window on the bins of its reference, batch by batch.

    Args:
        profile: The reference's profile.
        batches: The window's rows; one batch is in memory at a time. Columns besides the features are
        ignored.

    Returns:
        Counts by feature; of zero rows when there are no batches.

    Raises:
        DatasetError: A feature's column is not there, or its values are of another kind than the reference's.
    """
    totals = {feature.name: no_rows(feature) for feature in profile.features}
    for batch in batches:
        for feature in profile.features:
            column = _column(batch.schema, batch, feature.name)
            totals[feature.name] += _count_column(feature, column)
    return totals


def _profile_column(
    name: str, column: pa.Array | pa.ChunkedArray, categorical: Sequence[str] | None
) -> Feature:
    values = _values(column.type)
    if values is None:
        kinds = "numbers, timestamps, dates, text or booleans"
        raise DatasetError(
            f"column {name!r}: expected {kinds}, found {column.type}; cast it, or leave it out"
        )
    by_type = pa.types.is_dictionary(column.type) or values in ("text", "boolean")
    if by_type if categorical is None else name in categorical:
        counts, missing = _categories(column)
        return profile_categories(name, counts, missing, values)
    if values == "text":
        raise DatasetError(
            f"column {name!r}: expected numbers, since it is not among the categorical columns "
            f"({', '.join(categorical or ()) or 'none'}), found {column.type}; name it there"
        )
    return profile_numbers(name, _numbers(column), "time" if values == "time" else "number")


def _count_column(feature: Feature, column: pa.Array) -> Counts:
    if pa.types.is_null(column.type):
        # A batch in which nobody filled the column has no type, but it has rows.
        return Counts(no_rows(feature).bins, missing=len(column))
    values = _values(column.type)
    if isinstance(feature, CategoricalProfile):
        if values != feature.value_type:
            raise _changed(feature.name, _PLURAL[feature.value_type], column.type)
        counts, missing = _categories(column)
        return count_categories(feature, counts, missing)
    # Booleans that are no categories are the numbers 0 and 1.
    if {"boolean": "number"}.get(str(values), values) != feature.value_type:
        raise _changed(feature.name, _PLURAL[feature.value_type], column.type)
    return count_numbers(feature, _numbers(column))


def _values(of: pa.DataType) -> ValueType | None:
    """Say what kind of values a column has; None for those without a profile (lists, structs, binary ...)."""
    if pa.types.is_dictionary(of):
        return _values(of.value_type)
    if pa.types.is_boolean(of):
        return "boolean"
    if pa.types.is_integer(of) or pa.types.is_floating(of) or pa.types.is_decimal(of):
        return "number"
    if pa.types.is_timestamp(of) or pa.types.is_date(of):
        return "time"
    if pa.types.is_string(of) or pa.types.is_large_string(of) or pa.types.is_string_view(of):
        return "text"
    return None


def _numbers(column: pa.Array | pa.ChunkedArray) -> NDArray[np.float64]:
    """Return float64 values, shape (rows,), NaN where there is none."""
    if isinstance(column, pa.ChunkedArray):
        return np.concatenate([_numbers(chunk) for chunk in column.chunks])
    if pa.types.is_dictionary(column.type):
        return _numbers(column.dictionary_decode())
    unit = 1.0
    if pa.types.is_timestamp(column.type):
        column, unit = column.cast(pa.int64()), _SECONDS[column.type.unit]
    elif pa.types.is_date(column.type):
        column, unit = column.cast(pa.date32()).cast(pa.int32()), 1 / _DAY
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    floats = pc.fill_null(column.cast(pa.float64(), safe=False), _NAN)
    # DLPack hands the buffer over as it is; Array.to_numpy would import pandas first.
    values = np.asarray(np.from_dlpack(floats), dtype=np.float64)
    return values if unit == 1 else values / unit


def _categories(column: pa.Array | pa.ChunkedArray) -> tuple[dict[str, int], int]:
    """Return the rows of each value by its text, and the rows without one."""
    counts: Counter[str] = Counter()
    missing = 0
    counted = pc.value_counts(column)
    for value, rows in zip(
        counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True
    ):
        if value is None or value != value:  # noqa: PLR0124 - NaN alone differs from itself
            missing += rows
        else:
            counts[_text(value)] += rows
    return dict(counts), missing


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # Integers turn into floats wherever a null comes in: 3 and 3.0 are one category.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def _column(schema: pa.Schema, data: pa.Table | pa.RecordBatch, name: str) -> pa.Array | pa.ChunkedArray:
    places = schema.get_all_field_indices(name)
    if not places:
        there = ", ".join(schema.names) or "none"
        raise DatasetError(
            f"there is no column {name!r}; the columns are: {there}; correct the features, or the dataset"
        )
    if len(places) > 1:
        raise DatasetError(f"{len(places)} columns are called {name!r}; expected one; rename the others")
    return data.column(places[0])


def _gather(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    held = list(batches)
    return pa.Table.from_batches(held) if held else pa.table({})


def _require_among(features: Sequence[str], categorical: Sequence[str]) -> None:
    twice = sorted(name for name, times in Counter(features).items() if times > 1)
    if twice:
        raise DatasetError(f"features: {', '.join(twice)} named twice; name each column once")
    stray = [name for name in categorical if name not in features]
    if stray:
        raise DatasetError(
            f"categorical: {', '.join(stray)} is no feature; the features are {', '.join(features)}"
        )


def _changed(name: str, expected: str, found: pa.DataType) -> DatasetError:
    return DatasetError(
        f"column {name!r}: expected {expected}, as in the reference window, found {found}; "
        "correct what writes the column, or train a new version on the new type"
    )
