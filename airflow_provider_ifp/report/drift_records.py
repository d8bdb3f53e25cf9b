"""What `drift.html` reads of the record of a check; see docs/drift-record.md."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from airflow_provider_ifp.report.records import Record


class BinRecord(Record):
    """A bin, and the share of all rows in it."""

    bin: str
    reference: float
    current: float


class BlockRecord(Record):
    """A feature in one block of time."""

    end: str
    rows: int
    psi: float | None = None
    missing: float | None = None
    mean: float | None = None


class FeatureRecord(Record):
    """What was found for one feature; see docs/drift-record.md."""

    name: str
    segment: str | None = None
    verdict: Literal["drifted", "stable", "undecided"]
    reason: str
    psi: float | None = None
    expected_by_chance: float | None = None
    p_value: float | None = None
    missing: dict[str, float | None]
    new_categories: dict[str, int] = Field(default_factory=dict)
    lost_categories: tuple[str, ...] = ()
    bins: tuple[BinRecord, ...] = ()
    over_time: tuple[BlockRecord, ...] = ()

    @property
    def title(self) -> str:
        """The feature, and its segment where there is one."""
        return self.name if self.segment is None else f"{self.name} ({self.segment})"


class ErrorRecord(FeatureRecord):
    """By how much production was wrong; `rmse` of numbers, `wrong` (a share) of labels."""

    answered: int | None = None
    labelled: int
    rmse: dict[str, float | None] | None = None
    wrong: dict[str, float | None] | None = None


class WindowRecord(Record):
    """From when to when, half open."""

    start: str | None
    end: str


class DriftRecord(Record):
    """A check, as `core/drift/record.py` writes it."""

    model: str
    version: str
    window: WindowRecord
    reference: str
    drifted: bool | None
    reason: str
    rows: dict[str, int]
    notes: tuple[str, ...] = ()
    features: tuple[FeatureRecord, ...]
    error: ErrorRecord | None = None
