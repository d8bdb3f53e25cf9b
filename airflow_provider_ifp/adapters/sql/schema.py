"""What columns a table or a query has, and of which types: as far as driver, table or values tell."""

from __future__ import annotations

import difflib
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from airflow_provider_ifp.adapters.sql.statements import quoted, select_columns, split_table
from airflow_provider_ifp.adapters.sql.types import declared_type, described_type, type_of_values
from airflow_provider_ifp.core.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SAMPLE = 1_000


def schema_of(connection: sa.Connection, rows: sa.FromClause, *, table: str | None, where: str) -> pa.Schema:
    """Find names and types: by the driver's description, else the table's declaration, else by values.

    Args:
        connection: To the database.
        rows: The table, or the query as a subquery.
        table: The table's name; None: it is a query.
        where: What messages call it.

    Raises:
        DatasetError: No such table, or columns of one name.
        sqlalchemy.exc.SQLAlchemyError: The database refuses the query.
    """
    result = _probe(connection, rows, table, where)
    names = list(result.keys())
    described = result.cursor.description if result.cursor else [(name, None) for name in names]
    kinds = {
        name: described_type(entry[1], connection.dialect.name)
        for name, entry in zip(names, described, strict=True)
    }
    result.close()
    if len(kinds) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DatasetError(f"{where}: columns named twice: {', '.join(twice)}; rename one of each")
    if None in kinds.values() and table:
        declared = _declared(connection.engine, table)
        kinds = {name: kind or declared.get(name) for name, kind in kinds.items()}
    untold = [name for name, kind in kinds.items() if kind is None]
    if untold:
        kinds |= _sampled(connection, rows, untold)
    return pa.schema(kinds)


def _probe(
    connection: sa.Connection, rows: sa.FromClause, table: str | None, where: str
) -> sa.CursorResult[Any]:
    """Ask for no row: what comes back says the columns."""
    try:
        return connection.execute(sa.select(sa.text("*")).select_from(rows).limit(0))
    except sa.exc.DBAPIError:
        if table:
            _require_table(connection.engine, table, where)
        raise


def _require_table(engine: sa.Engine, table: str, where: str) -> None:
    schema, name = split_table(table)
    tables: list[str] = []
    with suppress(sa.exc.SQLAlchemyError):
        inspector = sa.inspect(engine)
        tables = sorted({*inspector.get_table_names(schema), *inspector.get_view_names(schema)})
    if not tables or name in tables:
        return
    near = difflib.get_close_matches(name, tables, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    more = f" and {len(tables) - 20} more" if len(tables) > 20 else ""  # noqa: PLR2004 - as many as one reads
    raise DatasetError(f"{where}: no table or view {name!r}{hint} There are: {', '.join(tables[:20])}{more}")


def _declared(engine: sa.Engine, table: str) -> dict[str, pa.DataType | None]:
    """What the table's columns are declared as, as far as the dialect can say."""
    schema, name = split_table(table)
    with warnings.catch_warnings(), suppress(sa.exc.SQLAlchemyError):
        warnings.simplefilter("ignore", sa.exc.SAWarning)  # of types that SQLAlchemy does not know
        found = sa.inspect(engine).get_columns(name, schema)
        return {column["name"]: declared_type(column["type"]) for column in found}
    return {}


def _sampled(connection: sa.Connection, rows: sa.FromClause, names: Sequence[str]) -> dict[str, pa.DataType]:
    sampled = select_columns(rows, quoted(names, connection.dialect)).limit(_SAMPLE)
    found = connection.execute(sampled).all()
    values: Sequence[tuple[Any, ...]] = list(zip(*found, strict=True)) or [() for _ in names]
    return {name: type_of_values(of) for name, of in zip(names, values, strict=True)}
