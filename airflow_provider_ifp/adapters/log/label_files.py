"""Labels that arrive apart from the prediction log, beside it (contract, section 5).

    <root>/model=<model>/labels/date=2013-03-01/part-<digest>.parquet

The date is that of the request, not of the label: so a label is found whenever it comes. Of several labels of
one answer the one with the latest `label_ts` counts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from airflow_provider_ifp.adapters.counting.parquet.columns import opened
from airflow_provider_ifp.adapters.data.files import require_columns
from airflow_provider_ifp.adapters.log.answer_errors import plain_labels
from airflow_provider_ifp.adapters.log.files import list_label_files, locate_labels
from airflow_provider_ifp.adapters.log.schema import TS_TYPE, cast_column
from airflow_provider_ifp.adapters.log.time_folders import write_time_folders
from airflow_provider_ifp.core.errors import DatasetError, PredictionLogError

if TYPE_CHECKING:
    from airflow_provider_ifp.core.windows import Window

LABEL: Final = "label"
LABEL_TIME: Final = "label_ts"
_KEYS: Final = {"request_id": pa.string(), "row": pa.int32()}
_FIXED: Final = {**_KEYS, "ts": TS_TYPE, LABEL_TIME: TS_TYPE}
_COLUMNS: Final = ("request_id", "row", "ts", LABEL, LABEL_TIME)


def write_labels(root: str, model: str, table: pa.Table) -> list[str]:
    """Write labels beside the log, one file for each day of request time.

    A file is named by its bytes: writing the same rows again replaces the same files.

    Args:
        root: Path or URI of the log.
        model: The registered model.
        table: Columns `request_id`, `row`, `ts` (of the request) and `label_ts` (when the label was known),
            both timestamps with a zone, and `label` (a number, a boolean or text, as the model answers).

    Returns:
        The paths written, sorted.

    Raises:
        PredictionLogError: A column missing, unknown or of another type, or a null.
    """
    filesystem, folder = locate_labels(root, model)
    if unknown := [name for name in table.column_names if name not in _COLUMNS]:
        raise PredictionLogError(f"labels: unknown column {unknown[0]!r}; labels have {', '.join(_COLUMNS)}")
    try:
        require_columns(table.schema, _COLUMNS, "labels")
        labels = plain_labels(table[LABEL], "labels: label")
    except DatasetError as error:
        raise PredictionLogError(str(error)) from None
    columns = {
        name: cast_column(table[name], _FIXED[name], f"labels: {name}") if name in _FIXED else labels
        for name in _COLUMNS
    }
    for name, column in columns.items():
        if nulls := column.null_count:
            raise PredictionLogError(
                f"labels: {nulls:,} of {table.num_rows:,} {name} are null; leave out what has no label yet"
            )
    return write_time_folders(
        filesystem, folder, pa.table(columns), every=timedelta(days=1), name="date=%Y-%m-%d"
    )


def read_label_files(root: str, model: str, window: Window) -> pa.Table:
    """Read the labels of the requests of the days that the window touches.

    Returns:
        Columns `request_id`, `row`, `label` (float64 or text) and `label_ts`, in order of files; a pair may
        stand there several times.

    Raises:
        DamagedFileError: A file cannot be read.
        DatasetError: A file lacks a column, has one of another type, or text where others have numbers.
        PredictionLogError: No log of this model.
    """
    filesystem, _ = locate_labels(root, model)
    tables: list[pa.Table] = []
    names = [*_KEYS, LABEL, LABEL_TIME]
    for info in list_label_files(root, model, window):
        with opened(info.path, filesystem, within=None) as parquet:
            require_columns(parquet.schema_arrow, names, "labels")
            table = _conform(parquet.read(columns=names, use_threads=False).select(names))
            if tables and table.schema != tables[0].schema:
                kinds = [str(one.schema.field(LABEL).type) for one in (table, tables[0])]
                raise DatasetError(f"labels: label is {kinds[0]}, in files before {kinds[1]}; write one kind")
        tables.append(table)
    empty = {**_KEYS, LABEL: pa.float64(), LABEL_TIME: TS_TYPE}
    return pa.concat_tables(tables) if tables else pa.schema(empty).empty_table()


def _conform(table: pa.Table) -> pa.Table:
    types = {**_KEYS, LABEL_TIME: TS_TYPE}
    return pa.table(
        {
            name: cast_column(table[name], types[name], f"labels: {name}")
            if name in types
            else plain_labels(table[name], f"labels: {name}")
            for name in table.column_names
        }
    )
