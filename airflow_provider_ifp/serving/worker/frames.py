"""From the columns of requests to the frame that a model sees.

Several requests become one frame only where each alone would have become a frame of the same types: what a
request is answered must not depend on who asks beside it.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from airflow_provider_ifp.core.errors import SignatureError
from airflow_provider_ifp.serving.worker.columns import CATEGORY

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from airflow_provider_ifp.serving.worker.columns import Column, Columns


_SHOWN = 80
"""Characters of a wrong value that a message repeats."""


@dataclass(slots=True)
class Asked:
    """A request that was read.

    Attributes:
        columns: Name -> its values, a list or a NumPy vector.
        rows: How many.
        outputs: What of the answer an open inference request wants, and how.
    """

    columns: Mapping[str, Sequence[Any] | np.ndarray]
    rows: int
    outputs: Any = field(default=None)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the model answered to one request.

    Attributes:
        columns: `prediction` and, where there is one, `score`, as Python values.
        rows: How many.
    """

    columns: Mapping[str, Sequence[Any]]
    rows: int


def kind_of(asked: Asked, columns: Columns) -> Hashable:
    """What a request's frame would look like; requests of one kind may share a frame.

    Raises:
        SignatureError: a column is missing, or has values of several types.
    """
    if asked.rows and not columns.required <= asked.columns.keys():
        missing = next(name for name in columns.names if name in columns.required - asked.columns.keys())
        there = ", ".join(map(repr, asked.columns)) or "none"
        raise SignatureError(f"column {missing!r} is missing; the request has {there}")
    return tuple(_type_of(asked.columns.get(column.name), column) for column in columns.special)


def _type_of(values: Sequence[Any] | np.ndarray | None, column: Column) -> Hashable:
    if values is None:
        return None
    if column.type is None:
        return str(_to_arrow(values, column).type)
    return isinstance(values, list | tuple) and None in values


def join_columns(requests: Sequence[Asked], columns: Columns) -> dict[str, pa.Array]:
    """The columns of requests of one kind, one below the other; without the optional ones that they lack.

    Raises:
        SignatureError: a value is none of its column's type.
    """
    joined = {}
    for column in columns.all:
        parts = [asked.columns[column.name] for asked in requests if column.name in asked.columns]
        if not parts:
            continue
        if len(parts) == 1 or any(isinstance(part, np.ndarray) for part in parts):
            arrays = [_to_arrow(part, column) for part in parts]
            joined[column.name] = arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)
        else:
            joined[column.name] = _to_arrow(list(chain.from_iterable(parts)), column)
    return joined


def make_frame(columns: Mapping[str, pa.Array]) -> pd.DataFrame:
    """The frame, with the types that the table of the training data would have in pandas."""
    if columns and all(pa.types.is_float64(array.type) for array in columns.values()):
        values = [array.to_numpy(zero_copy_only=False) for array in columns.values()]
        return pd.DataFrame(np.column_stack(values), columns=_index(tuple(columns)))
    frame: pd.DataFrame = pa.table(dict(columns)).to_pandas()
    return frame


@lru_cache(maxsize=16)
def _index(names: tuple[str, ...]) -> pd.Index[str]:
    return pd.Index(names)


def _to_arrow(values: Sequence[Any] | np.ndarray, column: Column) -> pa.Array:
    try:
        if isinstance(values, np.ndarray):
            return _vector_to_arrow(values, column.type)
        if column.type is None:
            return pa.array(values)
        return _READERS[column.type.id](values, column.type)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise SignatureError(_complaint(values, column, error)) from None


def _vector_to_arrow(values: np.ndarray, wanted: pa.DataType | None) -> pa.Array:
    found = pa.array(values)
    if wanted is None or found.type == wanted:
        return found
    if pa.types.is_boolean(found.type) or pa.types.is_boolean(wanted):
        raise TypeError("booleans are no numbers")
    return found.cast(wanted)


def _read_floats(values: Sequence[Any], wanted: pa.DataType) -> pa.Array:
    _require(values, {float, int, type(None)})
    try:
        return pa.array(values, wanted)
    except pa.ArrowException:  # a whole number past 2**53
        return pa.array([None if value is None else float(value) for value in values], wanted)


def _read_integers(values: Sequence[Any], wanted: pa.DataType) -> pa.Array:
    _require(values, {int, float, type(None)})
    # pyarrow cuts the fraction off. A client whose column misses values elsewhere sends 5 as 5.0, and NaN.
    whole = [_whole(value) if isinstance(value, float) else value for value in values]
    return pa.array(whole, wanted)


def _whole(value: float) -> int | None:
    if math.isnan(value):
        return None
    if not value.is_integer():
        raise ValueError(value)
    return int(value)


def _read_booleans(values: Sequence[Any], wanted: pa.DataType) -> pa.Array:
    _require(values, {bool, type(None)})
    return pa.array(values, wanted)


def _read_texts(values: Sequence[Any], wanted: pa.DataType) -> pa.Array:
    _require(values, {str, type(None)})
    return pa.array(values, wanted)


def _read_categories(values: Sequence[Any], wanted: pa.DataType) -> pa.Array:
    return _read_texts(values, wanted.value_type).dictionary_encode()


def _read_bytes(values: Sequence[Any], wanted: pa.DataType) -> pa.Array:
    _require(values, {str, type(None)})
    return pa.array(
        [None if value is None else base64.b64decode(value, validate=True) for value in values], wanted
    )


def _read_times(values: Sequence[Any], wanted: pa.DataType) -> pa.Array:
    _require(values, {str, type(None)})
    times = [None if value is None else datetime.fromisoformat(value) for value in values]
    if wanted.tz is None:
        times = [
            t if t is None or t.tzinfo is None else t.astimezone(UTC).replace(tzinfo=None) for t in times
        ]
    else:
        times = [t if t is None or t.tzinfo is not None else t.replace(tzinfo=UTC) for t in times]
    return pa.array(times, wanted)


def _read_lists(values: Sequence[Any], wanted: pa.DataType) -> pa.Array:
    _require(values, {list, tuple, type(None)})
    for value in values:
        _require(value or (), {float, int, type(None)})
    return pa.array(values, wanted)


_READERS = {
    pa.float32().id: _read_floats,
    pa.float64().id: _read_floats,
    pa.int32().id: _read_integers,
    pa.int64().id: _read_integers,
    pa.bool_().id: _read_booleans,
    pa.string().id: _read_texts,
    pa.binary().id: _read_bytes,
    pa.timestamp("us").id: _read_times,
    CATEGORY.id: _read_categories,
    pa.list_(pa.float64()).id: _read_lists,
}
_EXPECTED: dict[int, str] = {
    pa.float32().id: "a number",
    pa.float64().id: "a number",
    pa.int32().id: "a whole number",
    pa.int64().id: "a whole number",
    pa.bool_().id: "true or false",
    pa.string().id: "text",
    pa.binary().id: "bytes in base64",
    pa.timestamp("us").id: "a time in ISO 8601",
    CATEGORY.id: "text",
    pa.list_(pa.float64()).id: "a list of numbers",
}


def _require(values: Sequence[Any], types: set[type]) -> None:
    if not set(map(type, values)) <= types:
        raise TypeError


def _complaint(values: Sequence[Any] | np.ndarray, column: Column, error: Exception) -> str:
    """Name the column, and the first value in it that is wrong by itself."""
    if column.type is None:
        return f"column {column.name!r} has values of several types: {error}"
    expected = _EXPECTED[column.type.id]
    if isinstance(values, np.ndarray):
        return f"column {column.name!r}: expected {expected}, found {values.dtype.name}"
    for row, value in enumerate(values):
        try:
            _READERS[column.type.id]([value], column.type)
        except (pa.ArrowException, ValueError, TypeError, OverflowError):
            return f"column {column.name!r}, row {row}: expected {expected}, found {_shown(value)}"
    return f"column {column.name!r}: expected {expected}: {error}"


def _shown(value: Any) -> str:
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
