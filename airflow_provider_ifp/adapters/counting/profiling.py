"""Profile a reference window out of Arrow's columns.

What is a number, what a category and what a list is decided here, once (the table in `columns`).
Exact quantiles need a column's values at once; the columns are taken one after the other.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from airflow_provider_ifp.adapters.counting.columns import (
    distinct,
    lists,
    named_column,
    numbers,
    text_of,
    value_type,
)
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.numeric_bins import FINE
from airflow_provider_ifp.core.profile.record import Profile
from airflow_provider_ifp.core.profile.reference import profile_categories, profile_lists, profile_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_ifp.adapters.counting.columns import Column
    from airflow_provider_ifp.core.profile.feature import Feature


def profile_table(
    data: pa.Table | Iterable[pa.RecordBatch],
    features: Sequence[str],
    categorical: Sequence[str] | None = None,
    fine: int = FINE,
) -> Profile:
    """Profile a reference window.

    Args:
        data: The window's rows; batches are brought together, since quantiles need all values.
        features: The columns to profile.
        categorical: Those of them that are categories; None: string, bool and dictionary columns.
        fine: Into how many parts of equal rows the fine grid cuts numbers, a multiple of 100.

    Raises:
        DatasetError: No rows, no features, a column that is not there or that has no profile, text that is
            not among the categories, lists of several lengths.

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
    require_among(features, categorical or ())
    profiled = tuple(
        profile_column(name, named_column(table.schema, table, name), categorical, fine) for name in features
    )
    return Profile(profiled, rows=table.num_rows)


def profile_column(name: str, column: Column, categorical: Sequence[str] | None, fine: int = FINE) -> Feature:
    """Profile one column.

    Raises:
        DatasetError: It has no profile, or is text that is not among the categories.
    """
    kind = kind_of(name, column.type, categorical)
    values = value_type(column.type)
    if kind == "list":
        return profile_lists(name, lists(column, None, name), fine)
    if kind == "category" and values is not None and values != "list":
        counts, missing = count_texts(column)
        return profile_categories(name, counts, missing, values)
    return profile_numbers(name, numbers(column), "time" if values == "time" else "number", fine)


def kind_of(
    name: str, of: pa.DataType, categorical: Sequence[str] | None
) -> Literal["number", "category", "list"]:
    """Decide what a column is.

    Raises:
        DatasetError: It has no profile, or is text that is not among the categories.
    """
    values = value_type(of)
    if values is None:
        kinds = "numbers, timestamps, dates, text, booleans or lists of numbers"
        raise DatasetError(f"column {name!r}: expected {kinds}, found {of}; cast it, or leave it out")
    by_type = pa.types.is_dictionary(of) or values in ("text", "boolean")
    if by_type if categorical is None else name in categorical:
        if values == "list":
            raise DatasetError(f"column {name!r}: expected categories, found {of}; take it off that list")
        return "category"
    if values == "text":
        raise DatasetError(
            f"column {name!r}: expected numbers, since it is not among the categorical columns "
            f"({', '.join(categorical or ()) or 'none'}), found {of}; name it there"
        )
    return "list" if values == "list" else "number"


def count_texts(column: Column) -> tuple[Counter[str], int]:
    """Return the rows of each value by its name, and the rows without one."""
    counts: Counter[str] = Counter()
    missing = 0
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        values, rows, absent = distinct(chunk)
        missing += absent
        for value, count in zip(values.to_pylist(), rows.tolist(), strict=True):
            counts[text_of(value)] += count
    return counts, missing


def require_among(features: Sequence[str], categorical: Sequence[str]) -> None:
    """Refuse features named twice, and categories that are no features.

    Raises:
        DatasetError: There are such.
    """
    twice = sorted(name for name, times in Counter(features).items() if times > 1)
    if twice:
        raise DatasetError(f"features: {', '.join(twice)} named twice; name each column once")
    stray = [name for name in categorical if name not in features]
    if stray:
        raise DatasetError(
            f"categorical: {', '.join(stray)} is no feature; the features are {', '.join(features)}"
        )


def _gather(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    held = list(batches)
    return pa.Table.from_batches(held) if held else pa.table({})
