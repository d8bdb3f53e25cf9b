"""The statements that count a window in its database: a group for each bin of each feature.

    WITH ifp_window AS (SELECT price AS c0, region AS c1 FROM sales WHERE ...)   -- SQLAlchemy
    SELECT 0 AS feature, bin, ..., COUNT(*) AS row_count, ... FROM (...) GROUP BY bin   -- sqlglot
    UNION ALL
    SELECT 1, ..., name, ..., COUNT(*), ... FROM (...) GROUP BY name, value

One expression serves all dialects. A value finds its interval by a tree of comparisons, ten of them for 999
edges. The names of columns stand in the first part only, where SQLAlchemy quotes them, and no text of the
data or of a profile stands in either: below `ifp_window` there are numbers and names of our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import sqlglot
from sqlglot import exp

from airflow_provider_ifp.adapters.counting.columns import value_type
from airflow_provider_ifp.adapters.sql.types import UNKNOWN
from airflow_provider_ifp.core.profile.moments import LARGEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_ifp.adapters.sql.dialects import Dialect
    from airflow_provider_ifp.core.profile.counts import Grid
    from airflow_provider_ifp.core.profile.feature import NumericProfile

WINDOW: Final = "ifp_window"
MISSING: Final = -1
STRANGER: Final = -2
COUNTED: Final = ("finite", "minus_infinite", "plus_infinite", "under", "over")
SUMMED: Final = ("sum", "squares", "shortfall", "excess")
MOMENTS: Final = (*COUNTED, *SUMMED, "smallest", "largest")
# Stands for the tree of comparisons until the statement is text.
_INTERVAL: Final = "ifp_interval"
# Squares of less are no number of PostgreSQL's, which refuses them as an underflow.
_SQUARABLE: Final = 1e-150
_LARGEST_FLOAT: Final = 1.7976931348623157e308
_TYPES_OF_SQLITE: Final = {"text": ("text",), "number": ("integer", "real"), "time": ("text",)}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the window: its place among them, and its type as a dataset's."""

    place: int
    kind: pa.DataType

    @property
    def alias(self) -> str:
        """What the statement calls it."""
        return f"c{self.place}"


def number_of(column: Column, dialect: Dialect) -> exp.Expr:
    """Write a column's value as a double; null where it is missing or NaN."""
    value = exp.column(column.alias)
    kind = value_type(column.kind)
    if column.kind == UNKNOWN:
        return exp.cast(exp.null(), "double")
    if kind == "time":
        return _parsed(dialect, dialect.seconds, column.alias)
    if kind == "boolean":
        return exp.case().when(value, exp.Literal.number(1)).when(exp.not_(value), exp.Literal.number(0))
    double = exp.cast(value, "double")
    if dialect.not_a_number is None or pa.types.is_integer(column.kind):
        return double
    nan = dialect.not_a_number.format(x=double.sql(dialect.name))
    return exp.case().when(sqlglot.parse_one(nan, read=dialect.name), exp.null()).else_(double)


def count_numbers(column: Column, feature: NumericProfile, grid: Grid, dialect: Dialect) -> str:
    """Count a feature of numbers: a row for each bin that is not empty, and one for the missing values."""
    value = exp.column("v")
    numbers = exp.select(number_of(column, dialect).as_("v")).from_(WINDOW).subquery("given")
    finite = exp.case().when(exp.and_(value >= number(-LARGEST), value <= number(LARGEST)), value)
    placed = (
        exp.select("v", _bin(feature, grid).as_("bin"), finite.as_("f")).from_(numbers).subquery("placed")
    )
    selected = _row(column.place, {"bin": exp.column("bin"), **_moments(feature, grid)})
    statement = exp.select(*selected).from_(placed).group_by("bin").sql(dialect.name)
    cuts = [literal(cut) for cut in feature.cuts(grid)]
    return statement.replace(_INTERVAL, _tree(cuts, 0, len(cuts)))


def count_names(column: Column, dialect: Dialect) -> exp.Select:
    """Count a feature of categories: a row for each value, as text or, of floats and times, as a number."""
    name, value = _name(column, dialect)
    given = exp.select(name.as_("name"), value.as_("value")).from_(WINDOW).subquery("given")
    selected = _row(column.place, {"name": exp.column("name"), "value": exp.column("value")})
    return exp.select(*selected).from_(given).group_by("name", "value")


def count_strangers(column: Column, dialect: Dialect) -> exp.Select | None:
    """Count the values of a column that are of another kind than it says; None where there can be none."""
    condition = _strange(column, dialect)
    if condition is None:
        return None
    selected = _row(column.place, {"bin": exp.Literal.number(STRANGER)})
    return exp.select(*selected).from_(WINDOW).where(condition)


def joined(branches: Sequence[str]) -> str:
    """Write the text of a statement that gives the rows of all branches."""
    return "\nUNION ALL\n".join(branches)


def number(value: float) -> exp.Literal | exp.Neg:
    """Write a float for sqlglot, as `literal` does."""
    positive = exp.Literal(this=literal(abs(value)), is_string=False)
    return exp.Neg(this=positive) if value < 0 else positive


def literal(value: float) -> str:
    """Write a float such that every database reads the same one: with an exponent it is a double, no decimal.

    >>> literal(-0.1), literal(1e-300)
    ('-0.1e0', '1e-300')
    """
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"


def _row(place: int, given: Mapping[str, exp.Expr]) -> list[exp.Expr]:
    """Write the columns of a result, the same for each branch, null where a branch has nothing to say."""
    columns: dict[str, exp.Expr] = {
        "feature": exp.Literal.number(place),
        "bin": exp.cast(exp.null(), "int"),
        "name": exp.cast(exp.null(), "text"),
        "value": exp.cast(exp.null(), "double"),
        "row_count": exp.Count(this=exp.Star()),
        **{name: exp.cast(exp.null(), "bigint" if name in COUNTED else "double") for name in MOMENTS},
    }
    return [exp.alias_(given.get(name, default), _named(name)) for name, default in columns.items()]


def _named(name: str) -> str:
    # `sum` and the like are words of SQL.
    return f"m_{name}" if name in MOMENTS else name


def _bin(feature: NumericProfile, grid: Grid) -> exp.Expr:
    value = exp.column("v")
    case = exp.case().when(value.is_(exp.null()), exp.Literal.number(MISSING))
    for place, atom in enumerate(feature.atoms, start=len(feature.cuts(grid)) + 1):
        case = case.when(_equals(value, atom), exp.Literal.number(place))
    return case.else_(exp.column(_INTERVAL))


def _equals(value: exp.Column, atom: float) -> exp.Expr:
    if abs(atom) <= _LARGEST_FLOAT:
        return value.eq(number(atom))
    return value > number(_LARGEST_FLOAT) if atom > 0 else value < number(-_LARGEST_FLOAT)


def _tree(cuts: Sequence[str], first: int, last: int) -> str:
    """Write the number of the first cut that a value does not exceed, `last` where it exceeds them all.

    Plain text: it reads the same in every dialect, and sqlglot would take ten times as long.
    """
    if first == last:
        return str(first)
    middle = (first + last) // 2
    below, above = _tree(cuts, first, middle), _tree(cuts, middle + 1, last)
    return f"CASE WHEN v <= {cuts[middle]} THEN {below} ELSE {above} END"


def _moments(feature: NumericProfile, grid: Grid) -> dict[str, exp.Expr]:
    value, finite = exp.column("v"), exp.column("f")
    offset = exp.paren(finite - number(feature.centre))
    squarable = exp.func("ABS", offset.copy()) > number(_SQUARABLE)
    first, last = feature.ends(grid)
    zero = number(0.0)

    def total(condition: exp.Expr | None, what: exp.Expr) -> exp.Expr:
        none = exp.Literal.number(0) if what.is_int else zero.copy()
        return exp.Sum(this=none if condition is None else exp.case().when(condition, what).else_(none))

    def rows(condition: exp.Expr | None) -> exp.Expr:
        return total(condition, exp.Literal.number(1))

    return {
        "finite": exp.Count(this=finite),
        "minus_infinite": rows(value < number(-LARGEST)),
        "plus_infinite": rows(value > number(LARGEST)),
        "under": rows(None if feature.low is None else value < number(feature.low)),
        "over": rows(None if feature.high is None else value > number(feature.high)),
        "sum": exp.Sum(this=offset),
        "squares": total(squarable, offset.copy() * offset.copy()),
        "shortfall": total(None, zero)
        if first is None
        else total(finite < number(first), exp.paren(number(first) - finite)),
        "excess": total(None, zero)
        if last is None
        else total(finite > number(last), exp.paren(finite - number(last))),
        "smallest": exp.Min(this=finite),
        "largest": exp.Max(this=finite),
    }


def _name(column: Column, dialect: Dialect) -> tuple[exp.Expr, exp.Expr]:
    """Write a category as text, and as a number where the text of databases differs: of floats and times."""
    value, nothing = exp.column(column.alias), exp.cast(exp.null(), "double")
    kind = value_type(column.kind)
    if column.kind == UNKNOWN:
        return exp.cast(exp.null(), "text"), nothing
    if kind == "boolean":
        true, false = exp.Literal.string("true"), exp.Literal.string("false")
        return exp.case().when(value, true).when(exp.not_(value), false), nothing
    if kind == "text":
        text = _parsed(dialect, dialect.text, column.alias)
        return exp.case().when(exp.not_(value.is_(exp.null())), text), nothing
    if pa.types.is_integer(column.kind):
        return exp.cast(value, "text"), nothing
    return exp.cast(exp.null(), "text"), number_of(column, dialect)


def _strange(column: Column, dialect: Dialect) -> exp.Expr | None:
    value, kind = exp.column(column.alias), value_type(column.kind)
    there = exp.not_(value.is_(exp.null()))
    if column.kind == UNKNOWN:
        return there
    if dialect.strict:
        return None
    if kind == "boolean":
        return exp.and_(there, exp.not_(value.isin(0, 1)))
    other: exp.Expr = exp.not_(exp.func("TYPEOF", value).isin(*_TYPES_OF_SQLITE[str(kind)]))
    if kind == "time":
        other = exp.or_(other, _parsed(dialect, dialect.seconds, column.alias).is_(exp.null()))
    return exp.and_(there, other)


def _parsed(dialect: Dialect, template: str, name: str) -> exp.Expr:
    return sqlglot.parse_one(template.format(x=name), read=dialect.name)
