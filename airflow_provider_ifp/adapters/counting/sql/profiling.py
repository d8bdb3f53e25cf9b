"""Profile a reference window that lies in a database, without reading its rows.

Three looks at the rows, in one snapshot: how many values each number has and how far they reach; the values
at the ranks that its quantiles are made of (`ROW_NUMBER`, which every database has and computes exactly), and
the heavy ones; then the rows on those bins. So the edges are those of `profile_table` on the same rows, to
the same float, and the counts to the last row; what differs is the rounding of means and sums.

The database sorts each number once; about 2,000 values of it travel, and all the names of a category.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlglot import exp

from airflow_provider_ifp.adapters.counting.columns import value_type
from airflow_provider_ifp.adapters.counting.profiling import kind_of, require_among
from airflow_provider_ifp.adapters.counting.sql.binning import (
    WINDOW,
    Column,
    count_names,
    joined,
    number,
    number_of,
)
from airflow_provider_ifp.adapters.counting.sql.counting import count_rows
from airflow_provider_ifp.adapters.counting.sql.groups import name_of
from airflow_provider_ifp.adapters.counting.sql.rows import Rows
from airflow_provider_ifp.adapters.data.files import require_columns
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.moments import LARGEST
from airflow_provider_ifp.core.profile.numeric_bins import Order, empty_numbers, needed_ranks
from airflow_provider_ifp.core.profile.record import Profile
from airflow_provider_ifp.core.profile.reference import (
    profile_categories,
    recount,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa
    import sqlalchemy as sa
    from numpy.typing import NDArray

    from airflow_provider_ifp.adapters.sql.source import DatabaseSource
    from airflow_provider_ifp.core.profile.feature import (
        CategoricalProfile,
        Feature,
        NumericProfile,
        ValueType,
    )
    from airflow_provider_ifp.core.windows import Window


def profile_sql(
    source: DatabaseSource,
    features: Sequence[str],
    categorical: Sequence[str] | None = None,
    *,
    window: Window | None = None,
    time_column: str | None = None,
) -> Profile:
    """Profile a reference window in its database.

    Args:
        source: A table or a query, by its connection.
        features: The columns to profile.
        categorical: Those of them that are categories; None: text and boolean columns.
        window: Rows with a time in it; None: all rows.
        time_column: Name of the time column, with a window.

    Raises:
        DatasetError: No rows, no features, a column that is not there or that has no profile; or as
            `sql_counting.count_sql`.
    """
    require_among(features, categorical or ())
    rows = Rows.of(source, window, time_column)
    require_columns(rows.schema, features, source.name)
    kinds = {name: kind_of(name, rows.schema.field(name).type, categorical) for name in features}
    columns = {name: rows.column(place, name) for place, name in enumerate(features)}
    with source.connected() as connection:
        look = _Look(rows, connection)
        numbers = look.bins({name: column for name, column in columns.items() if kinds[name] == "number"})
        names = look.categories({name: column for name, column in columns.items() if kinds[name] != "number"})
        counted = count_rows(Profile((*numbers.values(), *names.values()), rows=0), rows, connection)
    sizes = {counts.rows for counts in counted.values()}
    if sizes in ({0}, set()):
        raise DatasetError(
            f"{source.name}: reference window: found no rows or no features, expected at least one of each; "
            "widen the window"
        )
    profiled: dict[str, Feature] = {**numbers, **names}
    return Profile(tuple(recount(profiled[name], counted) for name in features), rows=sizes.pop())


@dataclass(frozen=True, slots=True)
class _Look:
    """Looks at the rows through one connection."""

    rows: Rows
    connection: sa.Connection

    def bins(self, columns: Mapping[str, Column]) -> dict[str, NumericProfile]:
        """Make the bins of the numbers, without rows in them."""
        if not columns:
            return {}
        spans = {
            place: span for place, *span in self._rows(columns, [self._span(one) for one in columns.values()])
        }
        ranked: dict[int, dict[int, float]] = {one.place: {} for one in columns.values()}
        heavy: dict[int, list[float]] = {one.place: [] for one in columns.values()}
        # A statement for each column: the ranks of a thousand columns would be too long for one.
        for name, column in columns.items():
            present = int(spans[column.place][0])
            branches = [self._at_ranks(column, needed_ranks(present)), self._heavy(column, present)]
            for place, rank, value in self._rows({name: column}, branches if present else []):
                if rank is None:
                    heavy[place].append(float(value))
                else:
                    ranked[place][int(rank) - 1] = float(value)
        return {
            name: self._empty(name, column, spans[column.place], ranked[column.place], heavy[column.place])
            for name, column in columns.items()
        }

    def categories(self, columns: Mapping[str, Column]) -> dict[str, CategoricalProfile]:
        """Profile the categories."""
        counts: dict[int, Counter[str]] = {one.place: Counter() for one in columns.values()}
        missing: Counter[int] = Counter()
        of_place = {one.place: one for one in columns.values()}
        branches = [count_names(one, self.rows.dialect) for one in columns.values()]
        for place, _, text, value, rows, *_ in self._rows(columns, branches):
            name = name_of(text, value, of_place[place].kind)
            if name is None:
                missing[place] += int(rows)
            else:
                counts[place][name] += int(rows)
        return {
            name: profile_categories(name, counts[one.place], missing[one.place], _type_of(one.kind))
            for name, one in columns.items()
        }

    def _rows(self, columns: Mapping[str, Column], branches: Sequence[exp.Select]) -> Iterator[Sequence[Any]]:
        if not branches:
            return
        statement = joined([one.sql(self.rows.dialect.name) for one in branches])
        aliases = {name: one.alias for name, one in columns.items()}
        for part in self.rows.execute(self.connection, statement, aliases):
            yield from part

    def _empty(
        self,
        name: str,
        column: Column,
        span: Sequence[Any],
        ranked: Mapping[int, float],
        heavy: Sequence[float],
    ) -> NumericProfile:
        present, mean, low, high = span

        def at(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
            return np.array([ranked[rank] for rank in ranks.tolist()])

        if len(ranked) != len(needed_ranks(int(present))):
            raise DatasetError(
                f"{self.rows.source.name}: rows came or went while they were profiled; profile a window that "
                "has ended"
            )
        order = Order(
            rows=int(present),
            at=at,
            atoms=np.sort(np.array(heavy, dtype=np.float64)),
            centre=float(mean or 0),
            low=None if low is None else float(low),
            high=None if high is None else float(high),
        )
        return empty_numbers(name, order, "time" if _type_of(column.kind) == "time" else "number")

    def _span(self, column: Column) -> exp.Select:
        value = exp.column("v")
        finite = exp.case().when(exp.and_(value >= number(-LARGEST), value <= number(LARGEST)), value)
        return exp.select(
            exp.Literal.number(column.place).as_("feature"),
            exp.Count(this=value).as_("present"),
            exp.Avg(this=finite).as_("centre"),
            exp.Min(this=finite.copy()).as_("low"),
            exp.Max(this=finite.copy()).as_("high"),
        ).from_(self._given(column))

    def _at_ranks(self, column: Column, ranks: NDArray[np.int64]) -> exp.Select:
        value = exp.column("v")
        over = exp.Window(this=exp.RowNumber(), order=exp.Order(expressions=[exp.Ordered(this=value)]))
        given = exp.select(value.copy(), exp.alias_(over, "place")).from_(self._given(column))
        ordered = given.where(exp.not_(value.is_(exp.null()))).subquery("ordered")
        place = exp.column("place")
        wanted = place.isin(*(ranks + 1).tolist())
        return (
            exp.select(exp.Literal.number(column.place).as_("feature"), place.as_("place"), value.as_("v"))
            .from_(ordered)
            .where(wanted)
        )

    def _heavy(self, column: Column, present: int) -> exp.Select:
        value = exp.column("v")
        tenfold = exp.Count(this=exp.Star()) * exp.Literal.number(10)
        return (
            exp.select(
                exp.Literal.number(column.place).as_("feature"),
                exp.cast(exp.null(), "bigint").as_("place"),
                value.as_("v"),
            )
            .from_(self._given(column))
            .where(exp.not_(value.is_(exp.null())))
            .group_by("v")
            .having(tenfold >= exp.Literal.number(present))
        )

    def _given(self, column: Column) -> exp.Subquery:
        return exp.select(number_of(column, self.rows.dialect).as_("v")).from_(WINDOW).subquery("given")


def _type_of(kind: pa.DataType) -> ValueType:
    found = value_type(kind)
    # `kind_of` has refused what has no profile, and no database's type is a list's.
    return "text" if found is None or found == "list" else found
