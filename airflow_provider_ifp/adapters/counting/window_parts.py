"""Parts of a window that is too large for one machine: what one task counts.

| a part | its rows |
| --- | --- |
| `{"files": ["s3://lake/a.parquet", "s3://lake/b.parquet"]}` | all of some Parquet files |
| `{"dataset": "s3://lake/sales/day=2024-01-01"}` | all of a file or a folder |
| `{"conn_id": "warehouse", "table": "sales"}`, or `"query"` | all of a table |
| either of the last two with `"time_column": "ts", "start": "2024-01-01", "end": "2024-01-02"` | a range |

Times are ISO 8601, in UTC where they name no zone; without `start` the range begins with the data. Which
parts make a window is for the caller to say: rows that lie in two of them count twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.counting.dataset_profile import count_dataset
from airflow_provider_ifp.adapters.counting.parquet.counting import count_files
from airflow_provider_ifp.adapters.data.files import require_columns
from airflow_provider_ifp.adapters.data.storage import resolve_uri
from airflow_provider_ifp.core.errors import DatasetError, IfpError
from airflow_provider_ifp.core.profile.parts import Part
from airflow_provider_ifp.core.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from pyarrow import fs

    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.core.profile.counts import Counts
    from airflow_provider_ifp.core.profile.record import Profile

_KINDS = ("files", "dataset", "conn_id")


class PartSource(BaseModel):
    """Where the rows of a part are; see the module."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: tuple[str, ...] = ()
    dataset: str | None = None
    conn_id: str | None = None
    table: str | None = None
    query: str | None = None
    time_column: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    @classmethod
    def parse(cls, record: Any) -> Self:
        """Read a part as a Dag gives it.

        Raises:
            DatasetError: It is none; the message names the key.
        """
        try:
            return cls.model_validate(record)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise DatasetError(
                f"part {record!r}: {place + ': ' if place else ''}{first['msg']}; expected for instance "
                '{"dataset": URI}, {"files": [URI, ...]} or {"conn_id": ID, "table": NAME}'
            ) from None

    @model_validator(mode="after")
    def _check(self) -> Self:
        named = [kind for kind in _KINDS if getattr(self, kind)]
        if len(named) != 1:
            raise ValueError(f"expected one of {', '.join(_KINDS)}, found {' and '.join(named) or 'none'}")
        statements = [key for key in ("table", "query") if getattr(self, key)]
        if len(statements) != (1 if self.conn_id else 0):
            raise ValueError("expected one of table, query with conn_id, and none without it")
        if (self.time_column is None) != (self.end is None) or (self.start and not self.end):
            raise ValueError("a range of time needs time_column and end; start may be left out")
        if self.files and self.end:
            raise ValueError("files are counted whole; name a dataset to count a range of time")
        try:
            self.window  # noqa: B018 - a window that cannot be is refused here
        except IfpError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def window(self) -> Window | None:
        """The range of time; None: all rows."""
        if self.end is None:
            return None
        return Window(None if self.start is None else _in_utc(self.start), _in_utc(self.end))


def count_part(
    profile: Profile, part: PartSource, *, within: str | None = None, connect: Connect | None = None
) -> Part:
    """Count a part on the bins of a reference: its features; not its predictions, nor its segments.

    Args:
        profile: The reference's profile.
        part: What to count.
        within: The struct column of `files` that holds the features, such as the prediction log's
            `features`; None: they are columns.
        connect: Gives the engine of a `conn_id`; None: by `AIRFLOW_CONN_<ID>` of the environment.

    Raises:
        DatasetError: As `count_files`, `count_dataset` or `count_sql`.
    """
    counts = _count(replace(profile, predictions=(), segments=()), part, within, connect)
    return Part(max((one.rows for one in counts.values()), default=0), counts)


def part_batches(part: PartSource, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Read the rows of a part that lies in files.

    Raises:
        DatasetError: It lies in a database, a column is not there, or a file cannot be read.
    """
    from airflow_provider_ifp.adapters.data.datasets import open_dataset, time_filter
    from airflow_provider_ifp.adapters.data.scanning import scan_batches

    if part.conn_id is not None:
        raise DatasetError(
            f"part of connection {part.conn_id}: a database computes its own quantiles; make the profile "
            "with adapters.counting.sql.profiling.profile_sql"
        )
    for uri in (part.dataset,) if part.dataset else part.files:
        dataset = open_dataset(uri)
        require_columns(dataset.schema, columns, uri)
        within = part.window and time_filter(dataset, uri, str(part.time_column), part.window)
        yield from scan_batches(dataset, columns=columns, within=within, where=uri, frugal=True)


def _count(
    profile: Profile, part: PartSource, within: str | None, connect: Connect | None
) -> dict[str, Counts]:
    if within is not None and not part.files:
        raise DatasetError(f"within={within!r} is for parts that name files; found another kind of part")
    if part.conn_id is not None:
        return _count_in_database(profile, part, connect)
    if part.files:
        filesystem, paths = _one_store(part.files)
        return count_files(profile, paths, filesystem=filesystem, within=within)
    if part.window is None:
        return count_dataset(profile, str(part.dataset))
    return count_batches(profile, part_batches(part, [one.name for one in profile.features]))


def _count_in_database(profile: Profile, part: PartSource, connect: Connect | None) -> dict[str, Counts]:
    try:
        from airflow_provider_ifp.adapters.counting.sql.counting import count_sql
        from airflow_provider_ifp.adapters.sql.connections import connect_by_environment
        from airflow_provider_ifp.adapters.sql.source import DatabaseSource
    except ImportError as error:
        raise DatasetError(
            f"part of connection {part.conn_id}: counting in a database needs SQLAlchemy and sqlglot "
            f"({error}), which come with 'airflow-provider-ifp[airflow]'; install it and your database's "
            "driver"
        ) from None
    source = DatabaseSource(
        str(part.conn_id), connect or connect_by_environment, table=part.table, query=part.query
    )
    return count_sql(profile, source, window=part.window, time_column=part.time_column)


def _one_store(uris: Sequence[str]) -> tuple[fs.FileSystem, list[str]]:
    found = [resolve_uri(uri) for uri in uris]
    filesystem = found[0][0]
    for uri, (other, _) in zip(uris, found, strict=True):
        if other != filesystem:
            raise DatasetError(f"part: {uris[0]} and {uri} lie in two stores; make them two parts")
    return filesystem, [path for _, path in found]


def _in_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
