"""The statements that read a dataset of a database: columns and window, pushed down around table or query."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_ifp.core.windows import Window

# What SQLAlchemy would take for a parameter of its own; a policy's query has none.
_PARAMETER = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")


def split_table(table: str) -> tuple[str | None, str]:
    """The schema, where one is named, and the table.

    >>> split_table("sales"), split_table("lake.eu.sales")
    ((None, 'sales'), ('lake.eu', 'sales'))
    """
    schema, _, name = table.rpartition(".")
    return schema or None, name


def rows_of(table: str | None, query: str | None) -> sa.FromClause:
    """A table, or a query as a subquery.

    >>> print(str(select_columns(rows_of(None, "select a::int, ' :b' -- a"), ["a"])).replace(chr(10), "|"))
    SELECT a |FROM (select a::int, ' :b' -- a|) AS ifp_rows
    """
    if query is None:
        schema, name = split_table(str(table))
        return sa.table(name, schema=schema)
    # The line break ends a comment that the query may end with.
    return sa.text(_PARAMETER.sub(r"\\\g<0>", query) + "\n").columns().subquery("ifp_rows")


def select_columns(rows: sa.FromClause, columns: Iterable[str]) -> sa.Select[Any]:
    """The named columns, without a condition."""
    return sa.select(*(_column(name) for name in columns)).select_from(rows)


def select_span(rows: sa.FromClause, time_column: str, *, as_text: bool) -> sa.Select[Any]:
    """The first and the last time there is; `as_text` where times are text (SQLite)."""
    time = sa.func.datetime(_column(time_column)) if as_text else _column(time_column)
    return sa.select(sa.func.min(time), sa.func.max(time)).select_from(rows)


def within(window: Window, time_column: str, *, zoned: bool) -> sa.ColumnElement[bool]:
    """Write start <= time < end, with bound parameters of the column's own kind.

    Args:
        window: The window.
        time_column: Name of the column.
        zoned: Whether the database keeps its zone; a naive time is in UTC.
    """
    time, kind = _column(time_column), sa.DateTime(timezone=zoned)

    def bound(name: str, value: Any) -> sa.BindParameter[Any]:
        return sa.bindparam(name, value if zoned else value.replace(tzinfo=None), type_=kind)

    before_end = time < bound("window_end", window.end)
    if window.start is None:
        return before_end
    return sa.and_(time >= bound("window_start", window.start), before_end)


def near_as_text(window: Window, time_column: str) -> sa.ColumnElement[bool]:
    """Write the same for SQLite, which keeps times as text of several forms, to the second.

    Rows up to a second outside come back too, and those whose time cannot be read: they must be refused, not
    left out.
    """
    time = _column(time_column)
    known = sa.func.datetime(time)

    def bound(name: str, value: Any) -> sa.ColumnElement[Any]:
        return sa.func.datetime(sa.bindparam(name, f"{value:%Y-%m-%d %H:%M:%S}"))

    near = known <= bound("window_end", window.end)
    if window.start is not None:
        near = sa.and_(known >= bound("window_start", window.start), near)
    return sa.or_(near, sa.and_(known.is_(None), time.is_not(None)))


def _column(name: str) -> sa.ColumnClause[Any]:
    return sa.column(name)
