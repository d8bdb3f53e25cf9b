"""Count one file of the prediction log on the bins of a reference.

A file is counted column by column, as fast as it decodes. Where only some of its rows are wanted (the window
cuts through its hour, rows lie in another hour's folder) or segments are watched, it is read in batches.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.adapters.columns import place_of
from airflow_provider_ifp.adapters.counting import WindowCounter, require_kind
from airflow_provider_ifp.adapters.parquet_columns import column_parts, feature_schema, opened, path_of
from airflow_provider_ifp.adapters.scanning import window_filter
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.parts import Part
from airflow_provider_ifp.core.profile import PREDICTION, SCORE, CategoricalProfile, ListProfile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    import pyarrow.parquet as pq
    from pyarrow import fs

    from airflow_provider_ifp.adapters.log_files import LogFile
    from airflow_provider_ifp.core.counts import Counts
    from airflow_provider_ifp.core.profile import Feature, Profile
    from airflow_provider_ifp.core.windows import Window

_FEATURES: Final = "features"
_TIME: Final = "ts"
# No column is called so: a feature may be called `ts`.
_TIME_OF_ROW: Final = "\0ts"
_ANSWERS: Final = {PREDICTION: "prediction", SCORE: "score"}
_BATCH_ROWS: Final = 131_072

# A feature's name -> the feature, its column, and the struct that the column lies in.
Columns: TypeAlias = "Mapping[str, tuple[Feature, str, str | None]]"


def count_log_file(
    profile: Profile, file: LogFile, filesystem: fs.FileSystem, within: Window | None = None
) -> tuple[Part, int]:
    """Count a file's rows of its hour, or those of them that lie in a window.

    Args:
        profile: The reference's.
        file: As it was listed.
        filesystem: Where it is.
        within: Only the rows of this window; None: of the whole hour.

    Returns:
        The counts, in which a feature that the file does not have is not there; and how many rows lie
        outside the file's own hour, which are left out.

    Raises:
        DamagedFileError: The file cannot be read.
        DatasetError: A feature has values of another kind than the reference's.
    """
    texts = [one.name for one in profile.features if isinstance(one, CategoricalProfile)]
    with opened(file.path, filesystem, within=_FEATURES, texts=texts) as parquet:
        _require_time(parquet)
        columns = _columns(profile, parquet)
        rows = parquet.metadata.num_rows
        if within is None and not profile.segments and _all_within(parquet, file.window):
            return Part(rows, _count_columns(profile, parquet, columns)), 0
        part, of_hour = _count_batches(profile, parquet, columns, file.window, within)
        return part, rows - of_hour


def _columns(profile: Profile, parquet: pq.ParquetFile) -> Columns:
    """What of the profile the file has.

    Raises:
        DatasetError: Values of another kind than the reference's.
    """
    found: dict[str, tuple[Feature, str, str | None]] = {}
    inner, outer = feature_schema(parquet, _FEATURES), parquet.schema_arrow
    for feature in profile.features:
        if feature.name in inner.names:
            require_kind(feature, inner.field(feature.name).type)
            found[feature.name] = (feature, feature.name, _FEATURES)
    for feature in profile.predictions:
        name = _ANSWERS.get(feature.name, "")
        if name in outer.names:
            require_kind(feature, outer.field(name).type)
            found[feature.name] = (feature, name, None)
    return found


def _require_time(parquet: pq.ParquetFile) -> None:
    """Refuse a file whose rows have no time.

    Raises:
        DatasetError: There is no column of timestamps `ts`.
    """
    schema = parquet.schema_arrow
    found = schema.field(place_of(schema, _TIME)).type
    if not pa.types.is_timestamp(found):
        raise DatasetError(f"ts: expected timestamp[us, UTC], found {found}; correct what writes the log")


def _count_columns(profile: Profile, parquet: pq.ParquetFile, columns: Columns) -> dict[str, Counts]:
    counter = WindowCounter(profile)
    for group in range(parquet.num_row_groups):
        for feature, name, within in columns.values():
            for chunks in column_parts(parquet, group, name, within):
                counter.add(feature, chunks)
    return _of_columns(counter, columns)


def _count_batches(
    profile: Profile, parquet: pq.ParquetFile, columns: Columns, hour: Window, within: Window | None
) -> tuple[Part, int]:
    """Count the rows of the hour that lie in the window; returns the rows of the hour too."""
    whole = WindowCounter(profile)
    segments = [(one, WindowCounter(one.profile)) for one in profile.segments if one.column in columns]
    rows = of_hour = 0
    of_segments = dict.fromkeys((one.name for one, _ in segments), 0)
    for read in _flat(parquet, columns):
        table = read.filter(window_filter(_TIME_OF_ROW, read.schema.field(_TIME_OF_ROW).type, hour))
        of_hour += table.num_rows
        if within is not None:
            table = table.filter(window_filter(_TIME_OF_ROW, table.schema.field(_TIME_OF_ROW).type, within))
        rows += table.num_rows
        _add(whole, table, columns)
        for segment, counter in segments:
            column = table[segment.column].cast(pa.string())
            chosen = table.filter(pc.fill_null(pc.equal(column, segment.value), fill_value=False))
            of_segments[segment.name] += chosen.num_rows
            _add(counter, chosen, columns)
    parts = {
        one.name: Part(of_segments[one.name], _of_columns(counter, columns)) for one, counter in segments
    }
    return Part(rows, _of_columns(whole, columns), parts), of_hour


def _flat(parquet: pq.ParquetFile, columns: Columns) -> Iterator[pa.Table]:
    paths = [_TIME, *(path_of(name, within) for _, name, within in columns.values())]
    for batch in parquet.iter_batches(_BATCH_ROWS, columns=paths, use_threads=False):
        arrays = {_TIME_OF_ROW: batch.column(place_of(batch.schema, _TIME))}
        inner: dict[str, pa.Array] = {}
        if _FEATURES in batch.schema.names:
            struct = batch.column(_FEATURES)
            inner = dict(zip([field.name for field in struct.type], struct.flatten(), strict=True))
        for key, (_, name, within) in columns.items():
            arrays[key] = batch.column(name) if within is None else inner[name]
        yield pa.table(arrays)


def _add(counter: WindowCounter, table: pa.Table, columns: Columns) -> None:
    for feature in counter.features:
        if feature.name in columns:
            counter.add(feature, table[feature.name].chunks)


def _of_columns(counter: WindowCounter, columns: Columns) -> dict[str, Counts]:
    """The counts of what the file has; a feature of lists has several."""
    there = {
        measure.name
        for feature in counter.features
        if feature.name in columns
        for measure in (feature.measures if isinstance(feature, ListProfile) else (feature,))
    }
    return {name: counts for name, counts in counter.totals.items() if name in there}


def _all_within(parquet: pq.ParquetFile, hour: Window) -> bool:
    """Whether the file's statistics say that all its rows are of the hour."""
    schema = parquet.metadata.schema
    paths = [schema.column(place).path for place in range(len(schema))]
    place = paths.index(_TIME)
    for group in range(parquet.num_row_groups):
        found = parquet.metadata.row_group(group).column(place).statistics
        if found is None or not found.has_min_max:
            return False
        if _utc(found.min) < (hour.start or _utc(found.min)) or _utc(found.max) >= hour.end:
            return False
    return True


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
