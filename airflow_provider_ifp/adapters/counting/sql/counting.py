"""Count a window that lies in a database there: what travels is a row for each bin and each name.

The counts are those of the rows that `DatabaseSource.read` would give: bins, missing values and names to the
last row, sums but for rounding. One statement counts the whole window (several where it would be longer than
databases take: some 17 features with 999 edges each), in one snapshot of the database.

Categories come by name, so what travels grows with the number of a column's values, not with its rows; of
those that the reference does not have, 20,000 are held at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from airflow_provider_ifp.adapters.counting.counter import require_kind
from airflow_provider_ifp.adapters.counting.sql.binning import STRANGER, Column, count_strangers, joined
from airflow_provider_ifp.adapters.counting.sql.groups import counter_of
from airflow_provider_ifp.adapters.counting.sql.rows import Rows
from airflow_provider_ifp.adapters.data.files import require_columns
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.feature import ListProfile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import sqlalchemy as sa

    from airflow_provider_ifp.adapters.counting.sql.groups import Counter
    from airflow_provider_ifp.adapters.sql.source import DatabaseSource
    from airflow_provider_ifp.core.profile.counts import Counts, Grid
    from airflow_provider_ifp.core.profile.feature import Feature, Simple
    from airflow_provider_ifp.core.profile.record import Profile
    from airflow_provider_ifp.core.windows import Window

# BigQuery and Snowflake take a million characters, SQLite five hundred branches.
_LONGEST: Final = 900_000
_BRANCHES: Final = 100


def count_sql(
    profile: Profile,
    source: DatabaseSource,
    *,
    window: Window | None = None,
    time_column: str | None = None,
    grid: Grid = "fine",
) -> dict[str, Counts]:
    """Count a current window in its database.

    Args:
        profile: The reference's profile. Its predictions are counted where the columns `prediction` and
            `prediction score` are there.
        source: A table or a query, by its connection.
        window: Rows with a time in it; None: all rows.
        time_column: Name of the time column, with a window.
        grid: The bins of numbers; the statement is the shorter the coarser they are.

    Returns:
        Counts by measured name, on all grids with moments; of zero rows when the window is empty.

    Raises:
        DatasetError: A feature's column is not there or has values of another kind than the reference's, a
            feature of lists, a time that cannot be read; the database refuses or is of an unknown type.
    """
    rows = Rows.of(source, window, time_column)
    with source.connected() as connection:
        return count_rows(profile, rows, connection, grid)


def count_rows(
    profile: Profile, rows: Rows, connection: sa.Connection, grid: Grid = "fine"
) -> dict[str, Counts]:
    """Count in a transaction that is open; arguments and errors as `count_sql`."""
    counters = [
        counter_of(feature, rows.column(place, feature.name), grid)
        for place, feature in enumerate(_countable(profile, rows))
    ]
    _require_known_times(rows, connection)
    for statement, counted in _statements(counters, rows):
        columns = {one.feature.name: one.column.alias for one in counted}
        for part in rows.execute(connection, statement, columns):
            for place, *group in map(tuple, part):
                if group[0] == STRANGER:
                    _require_no_stranger(counters[place], group[3], rows)
                else:
                    counters[place].add(group)
    totals = {one.feature.name: one.counts() for one in counters}
    if len({counts.rows for counts in totals.values()}) > 1:
        raise DatasetError(
            f"{rows.source.name}: rows came or went while they were counted; count a window that has ended"
        )
    return totals


def _countable(profile: Profile, rows: Rows) -> Iterator[Simple]:
    there = set(rows.schema.names)
    features: list[Feature] = [*profile.features, *(one for one in profile.predictions if one.name in there)]
    require_columns(rows.schema, [one.name for one in features], rows.source.name)
    for feature in features:
        if isinstance(feature, ListProfile):
            raise DatasetError(
                f"{rows.source.name}: feature {feature.name!r} is of lists, which are not counted in a "
                "database; leave it out of the profile, or read the rows and count those"
            )
        require_kind(feature, rows.schema.field(feature.name).type)
        yield feature


def _statements(counters: Sequence[Counter], rows: Rows) -> Iterator[tuple[str, list[Counter]]]:
    """Pack the features into statements that are not too long."""
    texts: list[str] = []
    held: list[Counter] = []
    for counter in counters:
        strangers = count_strangers(counter.column, rows.dialect)
        branches = [counter.branch(rows.dialect)]
        branches += [] if strangers is None else [strangers.sql(rows.dialect.name)]
        if texts and (sum(map(len, texts + branches)) > _LONGEST or len(texts) + len(branches) > _BRANCHES):
            yield joined(texts), held
            texts, held = [], []
        texts, held = texts + branches, [*held, counter]
    if texts:
        yield joined(texts), held


def _require_known_times(rows: Rows, connection: sa.Connection) -> None:
    """Refuse times of SQLite's that cannot be read: such a row may belong to the window."""
    if rows.window is None or rows.time_column is None or rows.dialect.strict:
        return
    column = Column(0, pa.timestamp("us"))
    strangers = count_strangers(column, rows.dialect)
    if strangers is None:
        return
    statement = strangers.sql(rows.dialect.name)
    for part in rows.execute(connection, statement, {rows.time_column: column.alias}):
        for row in part:
            if row.row_count:
                raise DatasetError(
                    f"{rows.source.name}: time column {rows.time_column!r} holds {row.row_count:,} values "
                    "that are no ISO 8601 text; correct the data, or give data.source a query"
                )


def _require_no_stranger(counter: Counter, strangers: int, rows: Rows) -> None:
    if strangers:
        raise DatasetError(
            f"{rows.source.name}: column {counter.feature.name!r}: expected "
            f"{counter.feature.value_type} values, found {strangers:,} of another kind; correct the data, "
            "or cast it in a query"
        )
