"""What a database answers to a count, a group for each bin and each name, taken in as `Counts`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pyarrow as pa

from airflow_provider_ifp.adapters.counting.columns import text_of, value_type
from airflow_provider_ifp.adapters.counting.sql.binning import (
    COUNTED,
    MISSING,
    MOMENTS,
    SUMMED,
    Column,
    count_names,
    count_numbers,
)
from airflow_provider_ifp.core.profile.counting import count_categories, no_rows
from airflow_provider_ifp.core.profile.feature import CategoricalProfile, NumericProfile
from airflow_provider_ifp.core.profile.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_ifp.adapters.sql.dialects import Dialect
    from airflow_provider_ifp.core.profile.counts import Counts, Grid
    from airflow_provider_ifp.core.profile.feature import Simple

_NAMES_HELD: Final = 20_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class NumberCounter:
    """Takes the groups of a feature of numbers: bin, name, value, rows, then the moments."""

    feature: NumericProfile
    column: Column
    grid: Grid
    total: Counts = field(init=False)

    def __post_init__(self) -> None:
        """Begin with no rows."""
        self.total = no_rows(self.feature, self.grid)

    def branch(self, dialect: Dialect) -> str:
        """Return what the feature adds to the statement."""
        return count_numbers(self.column, self.feature, self.grid, dialect)

    def add(self, row: Sequence[Any]) -> None:
        """Take a group."""
        place, rows, bins = int(row[0]), int(row[3]), self.total.bins
        if place == MISSING:
            self.total = replace(self.total, missing=self.total.missing + rows)
            return
        bins[place] += rows
        moments = (self.total.moments or Moments()) + _moments(dict(zip(MOMENTS, row[4:], strict=True)))
        self.total = replace(self.total, moments=moments)

    def counts(self) -> Counts:
        """Return what was taken so far."""
        return self.total


@dataclass(slots=True)
class NameCounter:
    """Takes the groups of a feature of categories; holds 20,000 names at a time."""

    feature: CategoricalProfile
    column: Column
    total: Counts = field(init=False)
    waiting: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with no rows."""
        self.total = no_rows(self.feature)

    def branch(self, dialect: Dialect) -> str:
        """Return what the feature adds to the statement."""
        return count_names(self.column, dialect).sql(dialect.name)

    def add(self, row: Sequence[Any]) -> None:
        """Take a group."""
        _, text, value, rows, *_ = row
        name = name_of(text, value, self.column.kind)
        if name is None:
            self.total = replace(self.total, missing=self.total.missing + int(rows))
            return
        self.waiting[name] = self.waiting.get(name, 0) + int(rows)
        if len(self.waiting) >= _NAMES_HELD:
            self.total, self.waiting = self.counts(), {}

    def counts(self) -> Counts:
        """Return what was taken so far."""
        return self.total + count_categories(self.feature, self.waiting, 0)


Counter: TypeAlias = NumberCounter | NameCounter


def counter_of(feature: Simple, column: Column, grid: Grid) -> Counter:
    """Return what takes the groups of such a feature."""
    if isinstance(feature, NumericProfile):
        return NumberCounter(feature, column, grid)
    return NameCounter(feature, column)


def name_of(text: str | bytes | None, value: float | None, kind: pa.DataType) -> str | None:
    """Write a category's name as `columns` does for the row that the database would give."""
    if text is not None:
        return text.decode() if isinstance(text, bytes) else text
    if value is None:
        return None
    if value_type(kind) != "time":
        return text_of(float(value))
    time = _EPOCH + timedelta(microseconds=round(float(value) * 1e6))
    if pa.types.is_date(kind):
        return str(time.date())
    return str(time if kind.tz else time.replace(tzinfo=None))


def _moments(known: dict[str, Any]) -> Moments:
    """Read what a driver gives: integers may be decimals, and sums over nothing are null."""
    read: dict[str, Any] = {name: int(known[name] or 0) for name in COUNTED}
    read |= {name: float(known[name] or 0) for name in SUMMED}
    return Moments(**read, smallest=_float(known["smallest"]), largest=_float(known["largest"]))


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
