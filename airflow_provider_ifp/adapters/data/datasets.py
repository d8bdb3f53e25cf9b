"""Datasets: Parquet or CSV under a path or URI, read by windows of time.

A dataset is one file, or a folder of files (hive partitions such as `month=2013-01/` included). Files and
folders whose names begin with `.` or `_` are not part of it, as everywhere in the Arrow and Spark world. What
is wrong with a dataset is one `DatasetError` that names it; a damaged file is found and named.
"""

from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from airflow_provider_ifp.adapters.data.files import find_files, require_columns
from airflow_provider_ifp.adapters.data.scanning import in_utc, scan_batches, window_filter
from airflow_provider_ifp.adapters.data.storage import first_line, resolve_uri
from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.errors import DatasetError, EmptyWindowError
from airflow_provider_ifp.core.windows import Window

_FILES_NAMED = 20


def open_dataset(uri: str) -> ds.Dataset:
    """Open a dataset; nothing but names and the schema of the first file is read.

    Args:
        uri: A file or folder: local path, or any URI that `storage.resolve_uri` knows.

    Raises:
        DatasetError: Missing, an empty folder, files of other or mixed kinds, an unreadable file.
    """
    found = find_files(uri)
    hive = {} if found.root in found.files else {"partitioning": "hive", "partition_base_dir": found.root}
    try:
        return ds.dataset(found.files, filesystem=found.filesystem, format=found.kind, **hive)
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{uri}: a file cannot be read as {found.kind}: {first_line(error)}") from None


def read_window(
    uri: str, *, time_column: str, window: Window, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read the rows whose time lies in the window.

    The filter goes down to the files, so only row groups that reach into the window are decoded. Naive
    timestamps are taken as UTC; the time column comes back with the zone UTC. Rows without a time belong to
    no window.

    Args:
        uri: The dataset, as in `open_dataset`.
        time_column: Name of the timestamp column.
        window: The half-open window.
        columns: The columns wanted, in this order; None: all, partition fields included.

    Returns:
        At least one row, in no particular order.

    Raises:
        DatasetError: As `open_dataset`; also a column missing, a time column of another type, no row in the
            window.
    """
    dataset = open_dataset(uri)
    wanted = list(dataset.schema.names if columns is None else columns)
    require_columns(dataset.schema, [time_column, *wanted], uri)
    within = time_filter(dataset, uri, time_column, window)
    batches = list(scan_batches(dataset, columns=wanted, within=within, where=uri))
    table = pa.Table.from_batches(batches, schema=pa.schema([dataset.schema.field(name) for name in wanted]))
    if table.num_rows == 0:
        raise EmptyWindowError(
            f"{uri}: no row in the window {window}; {_describe_span(dataset, time_column, uri)}"
        )
    if time_column not in wanted:
        return table
    index = table.schema.get_field_index(time_column)
    return table.set_column(index, time_column, in_utc(table[time_column]))


def time_filter(dataset: ds.Dataset, uri: str, time_column: str, window: Window) -> pc.Expression:
    """Write which rows of a dataset lie in a window.

    Raises:
        DatasetError: There is no such column, or it is no timestamp.
    """
    require_columns(dataset.schema, [time_column], uri)
    return window_filter(time_column, _timestamp_type(dataset.schema, time_column, uri), window)


def source_id(uri: str, window: Window | None = None, *, time_column: str | None = None) -> str:
    """Name where rows came from: the URI, the window, and the files used.

    Args:
        uri: The dataset, as in `open_dataset`.
        window: The window read; None: all rows.
        time_column: With it, only files whose statistics reach into the window are named; without, all files.

    Returns:
        Text for people and provenance. More than 20 files are named by their number and a digest of their
        paths.

    Raises:
        DatasetError: As `open_dataset`.
    """
    fragments = fragments_within(open_dataset(uri), uri, window, time_column)
    _, root = resolve_uri(uri)
    files = sorted(fragment.path.removeprefix(root).lstrip("/") for fragment in fragments)
    named = [name for name in files if name]
    if len(named) > _FILES_NAMED:
        shown = f" {len(named):,} files, paths {digest_json(named)}"
    else:
        shown = f" files {', '.join(named)}" if named else ""
    return f"{uri}{'' if window is None else f' {window}'}{shown}"


def fragments_within(
    dataset: ds.Dataset, uri: str, window: Window | None = None, time_column: str | None = None
) -> list[ds.Fragment]:
    """The files of a dataset, or those whose statistics reach into the window.

    Raises:
        DatasetError: no such column, or a file whose footer cannot be read.
    """
    fragments = list(dataset.get_fragments())
    if window is None or time_column is None:
        return fragments
    within = time_filter(dataset, uri, time_column, window)
    return [fragment for fragment in fragments if _reaches_into(fragment, within, uri)]


def partition_fields(dataset: ds.Dataset) -> list[str]:
    """List the columns that stand in folder names (`month=2013-01/`), not in files."""
    # Asked of the files: without such folders `dataset.partitioning.schema` holds every column, not none.
    found = (ds.get_partition_keys(fragment.partition_expression) for fragment in dataset.get_fragments())
    return list(dict.fromkeys(name for keys in found for name in keys))


def feature_columns(
    schema: pa.Schema,
    *,
    time_column: str,
    label: str | None,
    key: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    categorical: Sequence[str] | None = None,
    partitions: Collection[str] = (),
) -> tuple[list[str], list[str]]:
    """Choose the model's features and which of them are categorical (contract, section 2).

    Args:
        schema: The dataset's schema.
        time_column: The policy's `data.time_column`; never a feature by default.
        label: `data.label`, never a feature at all.
        key: `data.key`; not features by default.
        features: `data.features`; None: every column but the above and the partition fields.
        categorical: `data.categorical`; None: the features that hold text, booleans or dictionaries.
        partitions: The dataset's `partition_fields`.

    Returns:
        The features and the categorical ones among them, each in the order given (else the schema's).

    Raises:
        DatasetError: A column missing, the label among the features, a categorical column that is no feature,
            or no feature left.

    >>> columns = [("ts", pa.timestamp("us")), ("id", pa.string()), ("x", pa.int64()), ("c", pa.string())]
    >>> feature_columns(pa.schema([*columns, ("y", pa.float64())]), time_column="ts", label="y", key=["id"])
    (['x', 'c'], ['c'])
    """
    set_apart = {time_column, *(key or ()), *partitions, *(() if label is None else (label,))}
    chosen = [name for name in schema.names if name not in set_apart] if features is None else list(features)
    require_columns(schema, chosen, "data.features")
    if label in chosen:
        raise DatasetError(f"data.features: {label!r} is the label; a model must not see what it predicts")
    if not chosen:
        raise DatasetError(f"data.features: no column is left besides {', '.join(sorted(set_apart))}")
    if categorical is None:
        return chosen, [name for name in chosen if _is_categorical(schema.field(name).type)]
    require_columns(schema, categorical, "data.categorical")
    strangers = [name for name in categorical if name not in chosen]
    if strangers:
        raise DatasetError(
            f"data.categorical: {strangers[0]!r} is no feature; features are {', '.join(chosen)}"
        )
    return chosen, list(categorical)


def _timestamp_type(schema: pa.Schema, name: str, uri: str) -> pa.TimestampType:
    found = schema.field(name).type
    if not pa.types.is_timestamp(found):
        raise DatasetError(
            f"{uri}: time column {name!r} is {found}, expected a timestamp; store it as one "
            "(pandas.to_datetime(frame[column], utc=True), or CAST(... AS TIMESTAMP)) or name another column"
        )
    return found


def _describe_span(dataset: ds.Dataset, time_column: str, uri: str) -> str:
    earliest = latest = None
    for batch in scan_batches(dataset, columns=[time_column], where=uri):
        span = pc.min_max(in_utc(batch[time_column])).as_py()
        if span["min"] is not None:
            earliest = span["min"] if earliest is None else min(earliest, span["min"])
            latest = span["max"] if latest is None else max(latest, span["max"])
    if earliest is None or latest is None:
        return f"the dataset has no row with a {time_column!r} at all"
    return (
        f"the data spans {earliest:%Y-%m-%dT%H:%MZ} to {latest:%Y-%m-%dT%H:%MZ}; "
        "choose another window or add the missing data"
    )


def _reaches_into(fragment: ds.Fragment, within: pc.Expression, uri: str) -> bool:
    if not isinstance(fragment, ds.ParquetFileFragment):
        return True
    try:
        return bool(fragment.subset(within).row_groups)
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{uri}: {fragment.path} cannot be read: {first_line(error)}") from None


def _is_categorical(found: pa.DataType) -> bool:
    types = pa.types
    text = types.is_string(found) or types.is_large_string(found) or types.is_string_view(found)
    return bool(text or types.is_boolean(found) or types.is_dictionary(found))
