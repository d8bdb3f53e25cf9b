"""The statements that read a dataset of a database: columns and window, pushed down around table or query."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_ifp.core.windows import Window

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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


def quoted(columns: Iterable[str], dialect: sa.Dialect) -> list[str]:
    """Have names quoted always: no list of reserved words is complete.

    Not where the database writes its own names in capitals: there a quoted name in small letters is
    another one.
    """
    always = not dialect.requires_name_normalize
    return [quoted_name(name, quote=always or None) for name in columns]


def select_columns(
    rows: sa.FromClause, columns: Iterable[str], aliases: Mapping[str, str] | None = None
) -> sa.Select[Any]:
    """The named columns, without a condition; some under other names.

    >>> str(select_columns(sa.table("sales"), ["select", "b"], {"select": "c0"})).replace(chr(10), "|")
    'SELECT "select" AS c0, b |FROM sales'
    """
    named = aliases or {}
    chosen = (_column(name).label(named[name]) if name in named else _column(name) for name in columns)
    return sa.select(*chosen).select_from(rows)


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


def within_as_text(window: Window, time_column: str) -> sa.ColumnElement[bool]:
    """Write the same for SQLite, to the millisecond, and with the rows whose time it cannot read."""
    time = _column(time_column)
    second = sa.cast(sa.func.strftime("%s", time), sa.Integer)
    fraction = sa.cast(sa.func.substr(sa.func.strftime("%f", time), 4, 3), sa.Integer)
    milliseconds = second * 1000 + fraction
    inside = milliseconds < _milliseconds(window.end)
    if window.start is not None:
        inside = sa.and_(milliseconds >= _milliseconds(window.start), inside)
    return sa.or_(inside, sa.and_(milliseconds.is_(None), time.is_not(None)))


def _milliseconds(time: datetime) -> int:
    """Round a bound up to whole milliseconds: no time of whole milliseconds lies between."""
    return -((_EPOCH - time) // timedelta(milliseconds=1))


def _column(name: str) -> sa.ColumnClause[Any]:
    return sa.column(name)
