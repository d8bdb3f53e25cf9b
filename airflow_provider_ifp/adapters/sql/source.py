"""Datasets in a database: the rows of a table or a query in a window of time, as an Arrow table.

The query of a policy becomes a subquery, and columns and window are pushed down around it:

    SELECT ts, price, revenue FROM (<query>) AS ifp_rows WHERE ts >= :window_start AND ts < :window_end

The bounds are bound parameters. Rows are streamed in chunks, in a transaction that is read-only where the
database has such, and come back sorted: the same rows train the same model, whatever order the database
gave them in. What a driver or a database says against it is one `DatasetError`, without password.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from airflow_provider_ifp.adapters.data.files import require_columns
from airflow_provider_ifp.adapters.data.scanning import window_filter
from airflow_provider_ifp.adapters.sql.schema import schema_of
from airflow_provider_ifp.adapters.sql.statements import (
    near_as_text,
    quoted,
    rows_of,
    select_columns,
    select_span,
    within,
    within_as_text,
)
from airflow_provider_ifp.adapters.sql.types import (
    NAIVE_TIMES,
    UNKNOWN,
    UTC_TIMES,
    to_array,
)
from airflow_provider_ifp.core.errors import DatasetError, DatasetUnreachableError, EmptyWindowError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.core.windows import Window

_CHUNK = 20_000
_SHOWN = 200
# All statements of a connection see the same rows.
_SNAPSHOT = {"postgresql": {"isolation_level": "REPEATABLE READ"}}
_SECRET = re.compile("passw|passphrase|secret|token|key", re.IGNORECASE)


class DatabaseSource:
    """The rows of a table or a query.

    Args:
        conn_id: Names the connection.
        connect: Gives the connection's engine.
        table: A table's name, `schema.table` where need be; or
        query: one statement that gives rows.
    """

    def __init__(
        self, conn_id: str, connect: Connect, *, table: str | None = None, query: str | None = None
    ) -> None:
        self.conn_id = conn_id
        self._connect = connect
        self._table = table
        self._query = None if query is None else query.strip().rstrip(";").rstrip()
        self._what = f"table {table}" if query is None else f"query {self._query}"
        self._rows = rows_of(table, self._query)

    @property
    def name(self) -> str:
        """Connection and table or query, on one line."""
        line = " ".join(self._what.split())
        return f"{self.conn_id}: {line if len(line) <= _SHOWN else line[:_SHOWN] + '...'}"

    def schema(self) -> pa.Schema:
        """Names and types: by the driver's description, else the table's declaration, else by values."""
        return self._schema

    def partitions(self) -> list[str]:
        """None: a database has no folders."""
        return []

    def read(self, window: Window, time_column: str, columns: Sequence[str]) -> pa.Table:
        """The window's rows; see the module."""
        statement = self._select(window, time_column, columns)
        kinds = self._kinds(time_column, columns)
        batches: list[pa.RecordBatch] = []
        with self.connected() as connection:
            result = connection.execution_options(yield_per=_CHUNK).execute(statement)
            for rows in result.partitions():
                arrays = [
                    to_array(values, kind, name, self.name)
                    for values, (name, kind) in zip(zip(*rows, strict=True), kinds.items(), strict=True)
                ]
                batches.append(pa.RecordBatch.from_arrays(arrays, names=list(kinds)))
        table = pa.Table.from_batches(batches, schema=pa.schema(kinds))
        # What the database compared, perhaps in whole seconds, is compared once more to the microsecond.
        table = table.filter(window_filter(time_column, UTC_TIMES, window))
        if table.num_rows == 0:
            raise EmptyWindowError(f"{self.name}: no row in the window {window}; {self._span(time_column)}")
        order = [time_column, *(name for name in kinds if name != time_column and kinds[name] != UNKNOWN)]
        return table.sort_by([(name, "ascending") for name in order]).select(list(columns))

    def describe(self, window: Window, time_column: str, columns: Sequence[str]) -> dict[str, Any]:
        """Connection, table or query, and the statement as it runs, with its parameters."""
        compiled = self._select(window, time_column, columns).compile(dialect=self._engine.dialect)
        return {
            "source_id": f"{self.conn_id}: {self._what} {window}",
            "conn_id": self.conn_id,
            "table": self._table,
            "query": self._query,
            "dialect": self.dialect,
            "statement": str(compiled),
            "parameters": {name: str(value) for name, value in compiled.params.items()},
        }

    @property
    def dialect(self) -> str:
        """SQLAlchemy's name of the database."""
        return self._engine.dialect.name

    def aliased(
        self, columns: Mapping[str, str], window: Window | None, time_column: str | None
    ) -> sa.Select[Any]:
        """Select columns of the window, or of all rows, for a statement around it.

        Args:
            columns: Name of each column -> what that statement calls it.
            window: Rows with a time in it; SQLite compares whole milliseconds, and gives the rows whose time
                it cannot read as well.
            time_column: Name of the time column; None only without a window.

        Raises:
            DatasetError: A column is not there, the time column is none, or is not named.
        """
        require_columns(self._schema, list(columns), self.name)
        selected = select_columns(self._rows, self._quoted(columns), columns)
        if window is None:
            return selected
        if time_column is None:
            raise DatasetError(f"{self.name}: the window {window} needs the name of a time column; give it")
        self._kinds(time_column, [])
        if self._is_sqlite:
            return selected.where(within_as_text(window, *self._quoted([time_column])))
        zoned = self._schema.field(time_column).type != NAIVE_TIMES
        return selected.where(within(window, *self._quoted([time_column]), zoned=zoned))

    @cached_property
    def _engine(self) -> sa.Engine:
        return self._connect(self.conn_id)

    @cached_property
    def _schema(self) -> pa.Schema:
        with self.connected() as connection:
            return schema_of(connection, self._rows, table=self._table, where=self.name)

    def _kinds(self, time_column: str, columns: Sequence[str]) -> dict[str, pa.DataType]:
        """The columns read and their types; the time column, which a filter needs, always among them."""
        require_columns(self._schema, [time_column, *columns], self.name)
        kinds = {name: self._schema.field(name).type for name in dict.fromkeys([*columns, time_column])}
        found = kinds[time_column]
        text = self._is_sqlite and (pa.types.is_string(found) or found == UNKNOWN)
        if not text and not pa.types.is_timestamp(found):
            raise DatasetError(
                f"{self.name}: time column {time_column!r} is {found}, expected a timestamp; name another "
                f"column, or give data.source a query with CAST({time_column} AS TIMESTAMP)"
            )
        return kinds | {time_column: UTC_TIMES}

    @property
    def _is_sqlite(self) -> bool:
        return self.dialect == "sqlite"

    def _select(self, window: Window, time_column: str, columns: Sequence[str]) -> sa.Select[Any]:
        kinds = self._kinds(time_column, columns)
        zoned = self._schema.field(time_column).type != NAIVE_TIMES
        (time,) = self._quoted([time_column])
        condition = near_as_text(window, time) if self._is_sqlite else within(window, time, zoned=zoned)
        return select_columns(self._rows, self._quoted(kinds)).where(condition)

    def _quoted(self, columns: Iterable[str]) -> list[str]:
        return quoted(columns, self._engine.dialect)

    def _span(self, time_column: str) -> str:
        with self.connected() as connection:
            (time,) = self._quoted([time_column])
            row = connection.execute(select_span(self._rows, time, as_text=self._is_sqlite)).one()
        earliest, latest = to_array(list(row), UTC_TIMES, time_column, self.name).to_pylist()
        if earliest is None:
            return f"the dataset has no row with a {time_column!r} at all"
        return (
            f"the data spans {earliest:%Y-%m-%dT%H:%MZ} to {latest:%Y-%m-%dT%H:%MZ}; "
            "choose another window or add the missing data"
        )

    @contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        """One connection, closed at the end; what goes wrong is told without the password.

        Raises:
            DatasetError: The database refuses a statement, or gives values that cannot be.
            DatasetUnreachableError: It does not answer.
        """
        engine = self._engine
        try:
            with engine.connect() as connection:
                connection.execution_options(postgresql_readonly=True, **_SNAPSHOT.get(self.dialect, {}))
                try:
                    yield connection
                except (sa.exc.SQLAlchemyError, ValueError, OverflowError) as error:
                    if getattr(error, "connection_invalidated", False):
                        raise
                    raise DatasetError(f"{self.name}: {self._reason(error)}; check the statement") from None
        except (sa.exc.SQLAlchemyError, ImportError) as error:
            raise DatasetUnreachableError(
                f"{self.name}: the database does not answer: {self._reason(error)}; check the connection "
                f"{self.conn_id}"
            ) from None
        finally:
            engine.dispose()

    def _reason(self, error: Exception) -> str:
        """A driver's words on one line, without the secrets of the connection."""
        said = getattr(error, "orig", None) or error
        lines = [line.strip() for line in str(said).splitlines() if line.strip(" ^")]
        line = " ".join(lines) or type(said).__name__
        url = self._engine.url
        secrets = [url.password, *(value for name, value in url.query.items() if _SECRET.search(name))]
        for secret in secrets:
            if secret:
                line = line.replace(str(secret), "***")
        return line
