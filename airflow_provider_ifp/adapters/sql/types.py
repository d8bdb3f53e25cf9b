"""Types of databases as Arrow types: what a column is declared as, and its values converted.

Integers become int64, floats and decimals float64 (PostgreSQL's `real` float32), text, enumerations and UUIDs
string; booleans, dates, times of day, intervals and bytes what they are; times timestamp[us], with the zone
UTC where the database keeps zones. A decimal of more than 15 digits is rounded to the nearest float64.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
from sqlalchemy import types as sql

from airflow_provider_ifp.core.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAIVE_TIMES = pa.timestamp("us")
UTC_TIMES = pa.timestamp("us", "UTC")
UNKNOWN = pa.null()
"""The type of a column of which neither its declaration nor its values tell one; it can hold nulls alone."""

# PostgreSQL's drivers describe columns by these numbers, which never change (its catalog pg_type).
_POSTGRES = {
    16: pa.bool_(),
    **dict.fromkeys((20, 21, 23), pa.int64()),
    700: pa.float32(),
    **dict.fromkeys((701, 1700), pa.float64()),
    **dict.fromkeys((18, 19, 25, 1042, 1043, 2950), pa.string()),
    17: pa.binary(),
    1082: pa.date32(),
    1083: pa.time64("us"),
    1114: NAIVE_TIMES,
    1184: UTC_TIMES,
    1186: pa.duration("us"),
}
# Drivers that describe columns in words.
_NAMES = {
    "BOOLEAN": pa.bool_(),
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT"), pa.int64()),
    **dict.fromkeys(("FLOAT", "DOUBLE", "DECIMAL", "NUMERIC"), pa.float64()),
    "VARCHAR": pa.string(),
    "DATE": pa.date32(),
    "TIMESTAMP": NAIVE_TIMES,
    "TIMESTAMP WITH TIME ZONE": UTC_TIMES,
}
_DECLARED: tuple[tuple[tuple[type, ...], pa.DataType], ...] = (
    ((sql.Boolean,), pa.bool_()),
    ((sql.Integer,), pa.int64()),
    ((sql.Numeric, sql.Float), pa.float64()),
    ((sql.String, sql.Uuid), pa.string()),
    ((sql.Date,), pa.date32()),
    ((sql.Time,), pa.time64("us")),
    ((sql.Interval,), pa.duration("us")),
    ((sql.LargeBinary,), pa.binary()),
)
_OF_VALUES: dict[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    Decimal: pa.float64(),
    str: pa.string(),
    UUID: pa.string(),
    date: pa.date32(),
    time: pa.time64("us"),
    timedelta: pa.duration("us"),
    bytes: pa.binary(),
    memoryview: pa.binary(),
}


def described_type(code: Any, dialect: str) -> pa.DataType | None:
    """The type that a driver's description of a result's column tells, or None where it tells none.

    Args:
        code: `type_code` of the DB-API's `cursor.description`.
        dialect: SQLAlchemy's name of the database.
    """
    if code is None or isinstance(code, int):
        return _POSTGRES.get(code) if dialect == "postgresql" else None
    return _NAMES.get(re.sub(r"\(.*?\)", "", str(code)).upper())


def declared_type(kind: Any) -> pa.DataType | None:
    """The type that a table's column is declared as, by SQLAlchemy's reflection; None: of another kind."""
    if isinstance(kind, sql.DateTime):
        return UTC_TIMES if kind.timezone else NAIVE_TIMES
    return next((found for kinds, found in _DECLARED if isinstance(kind, kinds)), None)


def type_of_values(values: Sequence[Any]) -> pa.DataType:
    """The one type of all the values, for databases that declare none; `UNKNOWN` where there is none.

    >>> type_of_values([1, None, 2.5]), type_of_values(["a", 1]), type_of_values([None])
    (DataType(double), DataType(null), DataType(null))
    """
    found = {_type_of_value(value) for value in values if value is not None}
    if found == {pa.int64(), pa.float64()}:
        return pa.float64()
    return found.pop() if len(found) == 1 else UNKNOWN


def to_array(values: Sequence[Any], kind: pa.DataType, column: str, where: str) -> pa.Array:
    """Convert a driver's values.

    Raises:
        DatasetError: a value that is none of that type; the message names the column and the value's type.
    """
    convert = _CONVERSIONS.get(kind)
    try:
        if convert is None:
            return pa.array(values, kind)
        return pa.array([None if value is None else convert(value) for value in values], kind)
    except (pa.ArrowException, ValueError, TypeError, KeyError, OverflowError):
        raise DatasetError(f"{where}: column {column!r} {_misfit(values, kind)}") from None


def _type_of_value(value: Any) -> pa.DataType:
    if isinstance(value, datetime):
        return NAIVE_TIMES if value.tzinfo is None else UTC_TIMES
    return _OF_VALUES.get(type(value), UNKNOWN)


def _misfit(values: Sequence[Any], kind: pa.DataType) -> str:
    """Say which value of a column does not fit; the value itself may be nobody's business."""
    convert = _CONVERSIONS.get(kind, lambda value: value)
    for value in values:
        try:
            if value is not None:
                pa.scalar(convert(value), kind)
        except (pa.ArrowException, ValueError, TypeError, KeyError, OverflowError):
            found = type(value).__name__
            break
    else:
        found = "what cannot be told"
    if kind == UNKNOWN:
        return f"holds {found}, which no column of a dataset can; cast it in a query, or name data.features"
    wanted = "ISO 8601 text" if found == "str" and pa.types.is_temporal(kind) else str(kind)
    return f"holds {found} that is no {wanted}; correct the data, or cast it in a query"


def _to_integer(value: Any) -> int:
    # Arrow would cut the fraction off; Oracle gives integers as decimals.
    if not isinstance(value, int | float | Decimal) or value != int(value):
        raise TypeError(value)
    return int(value)


def _to_text(value: Any) -> str:
    if not isinstance(value, str | UUID):
        raise TypeError(value)
    return str(value)


def _to_utc(value: Any) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


# SQLite has neither booleans nor times: it keeps 0, 1 and text.
_CONVERSIONS: dict[pa.DataType, Callable[[Any], Any]] = {
    pa.bool_(): {0: False, 1: True}.__getitem__,
    pa.int64(): _to_integer,
    pa.float64(): float,
    pa.float32(): float,
    pa.string(): _to_text,
    pa.binary(): bytes,
    pa.date32(): lambda value: date.fromisoformat(value) if isinstance(value, str) else value,
    pa.time64("us"): lambda value: time.fromisoformat(value) if isinstance(value, str) else value,
    UTC_TIMES: _to_utc,
    NAIVE_TIMES: lambda value: _to_utc(value).replace(tzinfo=None),
}
