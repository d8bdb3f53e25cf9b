"""The rows of the prediction log: its columns and their types (contract, section 5)."""

import numpy as np
import pyarrow as pa

from airflow_provider_ifp.adapters.data.storage import first_line
from airflow_provider_ifp.core.errors import PredictionLogError

SCHEMA_VERSION = 1
TS_TYPE = pa.timestamp("us", "UTC")
# The columns whose type is always the same. `features`, `prediction` and `score` take theirs from the model.
_FIXED = {
    "request_id": pa.string(),
    "row": pa.int32(),
    "ts": TS_TYPE,
    "model_version": pa.string(),
    "compute_us": pa.int32(),
    "e2e_us": pa.int32(),
    "batch_rows": pa.int32(),
    "status": pa.int16(),
    "schema_version": pa.int16(),
}
_COLUMNS = (
    *("request_id", "row", "ts", "model_version", "features", "prediction", "score"),
    *("compute_us", "e2e_us", "batch_rows", "status", "schema_version"),
)
_REQUIRED = ("request_id", "row", "ts", "model_version", "features", "prediction")
_MAY_BE_MISSING = ("compute_us", "e2e_us", "batch_rows", "status", "schema_version")
_NEVER_NULL = ("request_id", "row", "ts", "model_version", "features")


def conform_rows(table: pa.Table) -> pa.Table:
    """Bring a table to the log's columns and types.

    Columns that may be missing (`score`, timings, `status`) come back as null; `schema_version` is written
    here.

    Raises:
        PredictionLogError: A column missing, unknown or of another type, or a null where a value is needed.
    """
    if unknown := [name for name in table.column_names if name not in _COLUMNS]:
        raise PredictionLogError(
            f"prediction log: unknown column {unknown[0]!r}; the log has {', '.join(_COLUMNS)}"
        )
    if missing := [name for name in _REQUIRED if name not in table.column_names]:
        raise PredictionLogError(f"prediction log: no column {missing[0]!r}; it needs {', '.join(_REQUIRED)}")
    for name in _NEVER_NULL:
        if nulls := table[name].null_count:
            raise PredictionLogError(f"prediction log: {nulls:,} of {table.num_rows:,} {name} are null")
    columns = {name: _conform_column(table, name) for name in _COLUMNS}
    return pa.table(columns)


def with_missing_columns(schema: pa.Schema) -> pa.Schema:
    """Return a file's schema with the columns that a server need not write: they are read as null."""
    for name in _MAY_BE_MISSING:
        if name not in schema.names:
            schema = schema.append(pa.field(name, _FIXED[name]))
    return schema


def _conform_column(table: pa.Table, name: str) -> pa.ChunkedArray:
    wanted = _FIXED.get(name)
    if name == "schema_version":
        return pa.chunked_array([pa.array(np.full(table.num_rows, SCHEMA_VERSION), wanted)])
    if name not in table.column_names:
        return pa.chunked_array([pa.nulls(table.num_rows, wanted or pa.float64())])
    found = table[name].type
    return cast_column(table[name], wanted or _model_type(name, found), f"prediction log: {name}")


def cast_column(column: pa.ChunkedArray, wanted: pa.DataType, name: str) -> pa.ChunkedArray:
    """Bring a column to its type.

    Raises:
        PredictionLogError: It has values that are none of that type, or times without a zone.
    """
    found = column.type
    if pa.types.is_timestamp(wanted) and (not pa.types.is_timestamp(found) or found.tz is None):
        raise PredictionLogError(
            f"{name} is {found}, expected a timestamp with a zone; "
            "pyarrow.compute.assume_timezone(column, 'UTC') adds it"
        )
    try:
        return column.cast(wanted)
    except pa.ArrowException as error:
        raise PredictionLogError(f"{name} is {found}, expected {wanted}: {first_line(error)}") from None


def _model_type(name: str, found: pa.DataType) -> pa.DataType:
    types = pa.types
    if name == "features":
        if types.is_struct(found) and found.num_fields:
            return found
        raise PredictionLogError(
            f"prediction log: features is {found}, expected a struct with a field for each"
        )
    if types.is_integer(found) or types.is_floating(found):
        return pa.float64()
    if types.is_list(found) or types.is_large_list(found) or types.is_fixed_size_list(found):
        return pa.list_(pa.float64())
    if name == "prediction" and (types.is_string(found) or types.is_large_string(found)):
        return pa.string()
    text = ", or text" if name == "prediction" else ""
    raise PredictionLogError(f"prediction log: {name} is {found}, expected a number, a list of numbers{text}")
