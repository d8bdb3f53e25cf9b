"""The prediction log: what was asked, what was answered, when, by which version (contract, section 5).

    <root>/model=<model>/stage=<stage>/date=2013-03-01/hour=05/part-<digest>.parquet

Readers list the folders of a window's days and hours and open nothing else. Files appear whole: those being
written have names that begin with a dot, and readers leave such names alone.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from airflow_provider_ifp.adapters.data.files import require_columns
from airflow_provider_ifp.adapters.data.scanning import scan_batches, window_filter
from airflow_provider_ifp.adapters.data.storage import first_line
from airflow_provider_ifp.adapters.log.files import list_files, locate
from airflow_provider_ifp.adapters.log.schema import TS_TYPE, conform_rows, with_missing_columns
from airflow_provider_ifp.adapters.log.time_folders import write_time_folders
from airflow_provider_ifp.core.errors import DatasetError, PredictionLogError
from airflow_provider_ifp.core.windows import Window


def write_predictions(root: str, model: str, stage: str, table: pa.Table) -> list[str]:
    """Write rows to the log, one file for each hour of request time.

    A file is named by its bytes: writing the same rows again replaces the same files.

    Args:
        root: Path or URI of the log.
        model: The registered model.
        stage: `production`, `shadow` or `replay`.
        table: Columns `request_id`, `row`, `ts` (a timestamp with a zone), `model_version`, `features`
            (struct), `prediction` (number, list of numbers, or text); optionally `score`, `compute_us`,
            `e2e_us`, `batch_rows`, `status`, written as null where they are missing.

    Returns:
        The paths written, sorted.

    Raises:
        PredictionLogError: A column missing, unknown or of another type, a null where a value is needed, an
            unknown stage.
    """
    filesystem, folder = locate(root, model, stage)
    return write_time_folders(
        filesystem, folder, conform_rows(table), every=timedelta(hours=1), name="date=%Y-%m-%d/hour=%H"
    )


def iter_batches(
    root: str,
    model: str,
    stage: str,
    window: Window,
    columns: Sequence[str],
    *,
    log_columns: Sequence[str] = (),
) -> Iterator[pa.RecordBatch]:
    """Stream the rows of a window, flat: only what was asked for is decoded.

    Args:
        root: Path or URI of the log.
        model: The registered model.
        stage: `production`, `shadow` or `replay`.
        window: Half-open window of request time.
        columns: Features, the fields of the log's `features`.
        log_columns: Columns of the log itself, such as `prediction`; timings and `status` are null where a
            server writes none.

    Yields:
        Batches with at least one row: `columns`, then `log_columns`. A feature that the newest file has and
        an older one has not is null in the older one's rows. None at all where the window has no rows;
        `describe_search` says where was looked.

    Raises:
        PredictionLogError: No log of this model, a feature or column that it does not have, a damaged file.
    """
    files = [file.path for file in list_files(root, model, stage, window)]
    if not files:
        return
    filesystem, folder = locate(root, model, stage)
    schema = _read_schema(filesystem, files[-1])
    projection = _project(schema, columns, log_columns, files[-1])
    dataset = _open(files, _narrow(schema, columns, log_columns), filesystem)
    within = window_filter("ts", TS_TYPE, window)
    yield from scan_batches(
        dataset, columns=projection, within=within, where=folder, error_type=PredictionLogError
    )


def read_log(
    root: str,
    model: str,
    stage: str,
    window: Window,
    columns: Sequence[str],
    *,
    log_columns: Sequence[str] = (),
) -> pa.Table:
    """Read the rows of a window into one table; arguments and errors as `iter_batches`.

    Returns:
        The rows in order of files, which is that of hours. Without a row the columns are there, of null type.
    """
    batches = list(iter_batches(root, model, stage, window, columns, log_columns=log_columns))
    if batches:
        return pa.Table.from_batches(batches)
    return pa.table({name: pa.nulls(0) for name in (*columns, *log_columns)})


def _read_schema(filesystem: fs.FileSystem, path: str) -> pa.Schema:
    """Take the types from one file: looking into each of hundreds would cost more than reading them."""
    try:
        return with_missing_columns(pq.read_schema(path, filesystem=filesystem))
    except (pa.ArrowException, OSError) as error:
        raise PredictionLogError(
            f"prediction log: {path} cannot be read: {first_line(error)}; restore or remove that file"
        ) from None


def _project(
    schema: pa.Schema, columns: Sequence[str], log_columns: Sequence[str], path: str
) -> dict[str, pc.Expression]:
    if both := sorted(set(columns) & set(log_columns)):
        raise PredictionLogError(f"prediction log: {both[0]!r} is asked for as a feature and as a log column")
    try:
        require_columns(pa.schema(schema.field("features").type.fields), columns, f"features of {path}")
        require_columns(schema, log_columns, path)
    except (KeyError, DatasetError) as error:
        raise PredictionLogError(f"prediction log: {error.args[0]}") from None
    return {name: ds.field("features", name) for name in columns} | {
        name: ds.field(name) for name in log_columns
    }


def _narrow(schema: pa.Schema, columns: Sequence[str], log_columns: Sequence[str]) -> pa.Schema:
    """Keep the fields that are read, so that files may differ in all others."""
    struct = schema.field("features").type
    features = pa.struct([struct.field(name) for name in columns])
    kept = [pa.field("ts", TS_TYPE), *(schema.field(name) for name in log_columns if name != "ts")]
    return pa.schema([*kept, pa.field("features", features)] if columns else kept)


def _open(files: Sequence[str], schema: pa.Schema, filesystem: fs.FileSystem) -> ds.Dataset:
    """Make a dataset of the files without looking into any of them."""
    return ds.FileSystemDataset.from_paths(
        list(files), schema=schema, format=ds.ParquetFileFormat(), filesystem=filesystem
    )
