"""The rows of a database that are counted or profiled there, as statements see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from airflow_provider_ifp.adapters.counting.sql.binning import WINDOW, Column
from airflow_provider_ifp.adapters.sql.dialects import Dialect, dialect_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from airflow_provider_ifp.adapters.sql.source import DatabaseSource
    from airflow_provider_ifp.core.windows import Window

_CHUNK: Final = 20_000


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a database to look at: a source's, all or those of a window, with its types."""

    source: DatabaseSource
    window: Window | None
    time_column: str | None
    schema: pa.Schema
    dialect: Dialect

    @classmethod
    def of(cls, source: DatabaseSource, window: Window | None, time_column: str | None) -> Rows:
        """Ask the database for its types.

        Raises:
            DatasetError: Counting in such a database is not known, or it refuses.
        """
        return cls(source, window, time_column, source.schema(), dialect_of(source.dialect))

    def column(self, place: int, name: str) -> Column:
        """Return a column, to be called by that place."""
        return Column(place, self.schema.field(name).type)

    def execute(
        self, connection: sa.Connection, statement: str, columns: dict[str, str]
    ) -> Iterator[Sequence[sa.Row[Any]]]:
        """Run a statement on `ifp_window`, which has those columns under their aliases."""
        window = self.source.aliased(columns, self.window, self.time_column).cte(WINDOW)
        around = sa.text(statement).columns().add_cte(window)
        return connection.execution_options(yield_per=_CHUNK).execute(around).partitions()
