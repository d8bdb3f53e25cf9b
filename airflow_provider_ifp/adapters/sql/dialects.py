"""What databases write differently, of what counting in a database needs; the rest is sqlglot's.

Run in the tests: PostgreSQL, DuckDB, SQLite. The statements of the others are generated and parsed back only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from airflow_provider_ifp.core.errors import DatasetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A database's words; `{x}` stands for a column.

    Attributes:
        name: sqlglot's name of it.
        seconds: a time as seconds since 1970, as a double.
        text: a text, enumeration or UUID as text that is compared byte by byte.
        not_a_number: whether a double is NaN; None: the database has none.
        strict: whether a column holds values of its declared type only.
    """

    name: str
    seconds: str
    text: str = "CAST({x} AS VARCHAR)"
    not_a_number: str | None = None
    strict: bool = True


_EQUAL_TO_ITSELF: Final = "{x} = CAST('NaN' AS DOUBLE PRECISION)"
# Milliseconds, which is what SQLite reads; whole numbers, so that the division rounds once.
SQLITE_MILLISECONDS: Final = (
    "(CAST(strftime('%s', {x}) AS INTEGER) * 1000 + CAST(substr(strftime('%f', {x}), 4, 3) AS INTEGER))"
)
_DIALECTS: Final = (
    Dialect(
        name="postgres",
        seconds="CAST(EXTRACT(EPOCH FROM {x}) AS DOUBLE PRECISION)",
        # A cast would cut the blanks of CHAR(n), which the driver gives.
        text="CONCAT({x}, '') COLLATE \"C\"",
        not_a_number=_EQUAL_TO_ITSELF,
    ),
    Dialect(
        name="duckdb",
        seconds="EPOCH_US({x}) / CAST(1000000 AS DOUBLE)",
        not_a_number="ISNAN({x})",
    ),
    Dialect(
        name="sqlite",
        seconds=SQLITE_MILLISECONDS + " / 1000.0",
        text="CAST({x} AS TEXT)",
        strict=False,
    ),
    Dialect(
        name="redshift",
        seconds="CAST(EXTRACT(EPOCH FROM {x}) AS DOUBLE PRECISION)",
        not_a_number=_EQUAL_TO_ITSELF,
    ),
    Dialect(
        name="snowflake",
        seconds="DATE_PART(EPOCH_MICROSECOND, {x}) / CAST(1000000 AS DOUBLE)",
        not_a_number="{x} = CAST('NaN' AS DOUBLE)",
    ),
    Dialect(
        name="bigquery",
        seconds="UNIX_MICROS(CAST({x} AS TIMESTAMP)) / 1000000",
        text="CAST({x} AS STRING)",
        not_a_number="IS_NAN({x})",
    ),
    Dialect(
        name="databricks",
        seconds="UNIX_MICROS(CAST({x} AS TIMESTAMP)) / CAST(1000000 AS DOUBLE)",
        text="CAST({x} AS STRING)",
        not_a_number="ISNAN({x})",
    ),
    Dialect(
        name="mysql",
        seconds="TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {x}) / CAST(1000000 AS DOUBLE)",
        # Its usual collations take a for A and blanks at the end for nothing.
        text="CAST(CONVERT({x} USING utf8mb4) AS BINARY)",
    ),
    Dialect(
        name="trino",
        seconds="TO_UNIXTIME({x})",
        not_a_number="IS_NAN({x})",
    ),
)
DIALECTS: Final = {one.name: one for one in _DIALECTS}
# SQLAlchemy's names, where sqlglot has another.
_NAMES: Final = {"postgresql": "postgres", "mariadb": "mysql", "awsathena": "trino"}


def dialect_of(name: str) -> Dialect:
    """Return the dialect that SQLAlchemy calls by this name.

    Raises:
        DatasetError: Counting in such a database is not known.

    >>> dialect_of("postgresql").name
    'postgres'
    """
    found = DIALECTS.get(_NAMES.get(name, name))
    if found is None:
        raise DatasetError(
            f"counting in a database of type {name!r} is not known; known are {', '.join(DIALECTS)}; "
            "read its rows instead (adapters.sql.source.DatabaseSource) and count those"
        )
    return found
