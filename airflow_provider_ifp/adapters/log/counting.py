"""Count one file of the prediction log on the bins of a reference.

A file is counted column by column, as fast as it decodes. Where only some of its rows are wanted (the window
cuts through its hour, rows lie in another hour's folder) or segments are watched, it is read in batches.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.adapters.counting.columns import place_of
from airflow_provider_ifp.adapters.counting.counter import WindowCounter, require_kind
from airflow_provider_ifp.adapters.counting.parquet.columns import (
    column_parts,
    feature_schema,
    opened,
    path_of,
)
from airflow_provider_ifp.adapters.data.scanning import window_filter
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.feature import CategoricalProfile, ListProfile
from airflow_provider_ifp.core.profile.parts import Part
from airflow_provider_ifp.core.profile.record import PREDICTION, SCORE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import pyarrow.parquet as pq
    from pyarrow import fs

    from airflow_provider_ifp.adapters.log.files import LogFile
    from airflow_provider_ifp.core.profile.counts import Counts
    from airflow_provider_ifp.core.profile.feature import Feature
    from airflow_provider_ifp.core.profile.record import Profile
    from airflow_provider_ifp.core.windows import Window

_FEATURES: Final = "features"
_TIME: Final = "ts"
_VERSION: Final = "model_version"
# No column is called so: a feature may be called `ts`.
_TIME_OF_ROW: Final = "\0ts"
_VERSION_OF_ROW: Final = "\0model_version"
_ANSWERS: Final = {PREDICTION: "prediction", SCORE: "score"}
_BATCH_ROWS: Final = 131_072

# A feature's name -> the feature, its column, and the struct that the column lies in.
Columns: TypeAlias = "Mapping[str, tuple[Feature, str, str | None]]"


def count_log_file(
    profile: Profile,
    file: LogFile,
    filesystem: fs.FileSystem,
    within: Window | None = None,
    version: str | None = None,
) -> tuple[Part, int]:
    """Count a file's rows of its hour, or those of them that lie in a window.

    Args:
        profile: The reference's.
        file: As it was listed.
        filesystem: Where it is.
        within: Only the rows of this window; None: of the whole hour.
        version: Answers are counted in the rows of this version, since those of another one are no wonder
            where they differ; None: in all rows.

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
        own = _answered_by(parquet, version) if profile.predictions else False
        at_once = within is None and not profile.segments and own is not None
        if at_once and _all_within(parquet, file.window):
            return Part(rows, _count_columns(profile, parquet, columns, answers=own is True)), 0
        part, of_hour = _count_batches(
            profile, parquet, columns, hour=file.window, within=within, version=version
        )
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


def _count_columns(
    profile: Profile, parquet: pq.ParquetFile, columns: Columns, *, answers: bool
) -> dict[str, Counts]:
    counter = WindowCounter(profile)
    read = [one for one in columns.values() if answers or one[0] not in profile.predictions]
    for group in range(parquet.num_row_groups):
        for feature, name, within in read:
            for chunks in column_parts(parquet, group, name, within):
                counter.add(feature, chunks)
    return _of_columns(counter, columns)


def _count_batches(
    profile: Profile,
    parquet: pq.ParquetFile,
    columns: Columns,
    *,
    hour: Window,
    within: Window | None,
    version: str | None,
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
        _add(whole, profile.features, table, columns)
        own = table if version is None else _with_value(table, _VERSION_OF_ROW, version)
        _add(whole, profile.predictions, own, columns)
        for segment, counter in segments:
            chosen = _with_value(table, segment.column, segment.value)
            of_segments[segment.name] += chosen.num_rows
            _add(counter, segment.profile.features, chosen, columns)
    parts = {
        one.name: Part(of_segments[one.name], _of_columns(counter, columns)) for one, counter in segments
    }
    return Part(rows, _of_columns(whole, columns), parts), of_hour


def _flat(parquet: pq.ParquetFile, columns: Columns) -> Iterator[pa.Table]:
    known = [name for name in (_TIME, _VERSION) if name in parquet.schema_arrow.names]
    paths = [*known, *(path_of(name, within) for _, name, within in columns.values())]
    for batch in parquet.iter_batches(_BATCH_ROWS, columns=paths, use_threads=False):
        arrays = {
            _TIME_OF_ROW: batch.column(place_of(batch.schema, _TIME)),
            _VERSION_OF_ROW: batch.column(_VERSION) if _VERSION in known else pa.nulls(batch.num_rows),
        }
        inner: dict[str, pa.Array] = {}
        if _FEATURES in batch.schema.names:
            struct = batch.column(_FEATURES)
            inner = dict(zip([field.name for field in struct.type], struct.flatten(), strict=True))
        for key, (_, name, within) in columns.items():
            arrays[key] = batch.column(name) if within is None else inner[name]
        yield pa.table(arrays)


def _with_value(table: pa.Table, column: str, value: str) -> pa.Table:
    same = pc.equal(table[column].cast(pa.string()), value)
    return table.filter(pc.fill_null(same, fill_value=False))


def _add(counter: WindowCounter, features: Sequence[Feature], table: pa.Table, columns: Columns) -> None:
    for feature in features:
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
    for found in _statistics(parquet, _TIME):
        if found is None or not found.has_min_max:
            return False
        if _utc(found.min) < (hour.start or _utc(found.min)) or _utc(found.max) >= hour.end:
            return False
    return True


def _answered_by(parquet: pq.ParquetFile, version: str | None) -> bool | None:
    """Whether a version answered all rows, or none, as the file's statistics say; None: they do not."""
    if version is None:
        return True
    if _VERSION not in parquet.schema_arrow.names:
        return False
    groups = _statistics(parquet, _VERSION)
    known = [(one.min, one.max) for one in groups if one and one.has_min_max and not one.null_count]
    if len(known) < len(groups):
        return None
    if all(least == version == largest for least, largest in known):
        return True
    return None if any(least <= version <= largest for least, largest in known) else False


def _statistics(parquet: pq.ParquetFile, name: str) -> list[pq.Statistics | None]:
    """Those of a column, by row group."""
    schema = parquet.metadata.schema
    place = [schema.column(place).path for place in range(len(schema))].index(name)
    return [
        parquet.metadata.row_group(group).column(place).statistics for group in range(parquet.num_row_groups)
    ]


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
