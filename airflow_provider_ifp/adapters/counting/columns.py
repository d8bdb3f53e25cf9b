"""Arrow columns as what a profile is made of: numbers, categories, or lists of numbers.

| Arrow type | by default | written as |
| --- | --- | --- |
| integer, float, decimal | number | float64 (integers beyond 2^53 lose their last digits) |
| timestamp, date | number | seconds since 1970, UTC |
| string, bool | category | the text; `true`, `false` |
| dictionary | category | its values: numbers as text, 3 and 3.0 alike |
| list of integers or floats | list | float64; all lists of a column have one length |

No function here turns Python values into Arrow's, or Arrow's into NumPy's by `to_numpy`: either would import
pandas first (1.4 s). DLPack and buffers hand the memory over as it is.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.adapters.counting.binning_kernel import KERNEL
from airflow_provider_ifp.core.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.profile.feature import ValueType

    Column: TypeAlias = pa.Array | pa.ChunkedArray

_SECONDS: Final = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_DAY: Final = 86_400.0
_NAN: Final = pa.Array.from_buffers(pa.float64(), 1, [None, pa.py_buffer(np.array([np.nan]).tobytes())])[0]


_KINDS: Final[tuple[tuple[ValueType, tuple[Callable[[pa.DataType], bool], ...]], ...]] = (
    ("boolean", (pa.types.is_boolean,)),
    ("number", (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)),
    ("time", (pa.types.is_timestamp, pa.types.is_date)),
    ("text", (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)),
)
_LISTS: Final = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)


def value_type(of: pa.DataType) -> ValueType | Literal["list"] | None:
    """Say what kind of values a column has; None for those without a profile (structs, binary ...)."""
    if pa.types.is_dictionary(of):
        return value_type(of.value_type)
    for kind, are in _KINDS:
        if any(is_one(of) for is_one in are):
            return kind
    of_numbers = any(is_one(of) for is_one in _LISTS) and (
        pa.types.is_integer(of.value_type) or pa.types.is_floating(of.value_type)
    )
    return "list" if of_numbers else None


def numbers(column: Column) -> NDArray[np.float64]:
    """Return float64 values, shape (rows,), NaN where there is none; float64 without nulls is not copied."""
    if isinstance(column, pa.ChunkedArray):
        parts = [numbers(chunk) for chunk in column.chunks]
        return np.concatenate(parts) if parts else np.empty(0)
    if pa.types.is_dictionary(column.type):
        return numbers(column.dictionary_decode())
    unit = 1.0
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if pa.types.is_timestamp(column.type):
        column, unit = column.cast(pa.int64()), _SECONDS[column.type.unit]
    elif pa.types.is_date(column.type):
        column, unit = column.cast(pa.date32()).cast(pa.int32()), 1 / _DAY
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    floats = column.cast(pa.float64(), safe=False)
    if floats.null_count:
        floats = pc.fill_null(floats, _NAN)
    values = shared(floats)
    return values if unit == 1 else values / unit


def distinct(column: pa.Array) -> tuple[pa.Array, NDArray[np.int64], int]:
    """Return the values of a column, the rows of each (at least one), and the rows without a value.

    Of a dictionary the indices are counted, not the values; a value may then stand there more than once.
    """
    if pa.types.is_dictionary(column.type):
        indices = shared(column.indices.drop_null())
        values, rows = column.dictionary, _tally(indices, len(column.dictionary))
    else:
        counted = pc.value_counts(column.drop_null())
        values, rows = counted.field("values"), shared(counted.field("counts"))
    absent = values.is_null(nan_is_null=True)
    if absent.true_count or not rows.all():
        kept = pc.invert(absent)
        held = np.flatnonzero(rows * shared(kept.cast(pa.int8())))
        values, rows = values.take(_places(held)), rows[held]
    return values, rows, len(column) - int(rows.sum())


def _tally(indices: NDArray[np.int32], size: int) -> NDArray[np.int64]:
    if KERNEL is not None and indices.dtype == np.int32:
        counted = KERNEL.count_codes(indices, size)
        if counted is not None:
            return counted
    # In parts that stay in the second-level cache together with their counts: twice as fast.
    part = max(65_536, size)
    rows = np.zeros(size, dtype=np.int64)
    for start in range(0, len(indices), part):
        rows += np.bincount(indices[start : start + part], minlength=size)
    return rows


def text_of(value: object) -> str:
    """Write a category's name."""
    if isinstance(value, bool):
        return "true" if value else "false"
    # Integers turn into floats wherever a null comes in: 3 and 3.0 are one category.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def texts(names: Sequence[str]) -> pa.Array:
    """Return names as an Arrow array of large strings."""
    encoded = [name.encode() for name in names]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    buffers = [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.large_string(), len(encoded), buffers)


def chosen(values: pa.Array, places: NDArray[np.int64]) -> list[object]:
    """Return some of an array's values in Python."""
    taken: list[object] = values.take(_places(places)).to_pylist()
    return taken


def lists(column: Column, length: int | None, name: str) -> NDArray[np.float64]:
    """Return lists as a matrix, shape (rows, length); a missing list is a row of NaN.

    Args:
        column: Of lists of numbers.
        length: That of every list; None: that of the first.
        name: The column's, for the message.

    Raises:
        DatasetError: A list has another length.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    sizes = numbers(pc.list_value_length(column))
    present = ~np.isnan(sizes)
    if length is None:
        length = int(sizes[present][0]) if present.any() else 0
    others = sizes[present & (sizes != length)]
    if len(others):
        raise DatasetError(
            f"column {name!r}: expected lists of {length} numbers, found one of {int(others[0])}; "
            "correct what writes the column, or leave it out"
        )
    matrix = np.full((len(column), length), np.nan)
    # Fixed-size lists keep room for the values of missing ones.
    matrix[present] = numbers(column.drop_null().flatten()).reshape(-1, length)
    return matrix


def named_column(schema: pa.Schema, data: pa.Table | pa.RecordBatch, name: str) -> Column:
    """Return the column of that name.

    Raises:
        DatasetError: There is none, or more than one.
    """
    column: Column = data.column(place_of(schema, name))
    return column


def place_of(schema: pa.Schema, name: str) -> int:
    """Return where in a schema the column of that name stands.

    Raises:
        DatasetError: There is none, or more than one.
    """
    places = schema.get_all_field_indices(name)
    if not places:
        there = ", ".join(schema.names) or "none"
        raise DatasetError(
            f"there is no column {name!r}; the columns are: {there}; correct the features, or the dataset"
        )
    if len(places) > 1:
        raise DatasetError(f"{len(places)} columns are called {name!r}; expected one; rename the others")
    return int(places[0])


def shared(array: pa.Array) -> NDArray[Any]:
    """Return the numbers of an array without nulls, as they lie in its memory."""
    return np.from_dlpack(array)


def _places(places: NDArray[np.int64]) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(places), [None, pa.py_buffer(places.astype(np.int64))])
