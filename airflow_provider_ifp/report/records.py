"""The records that pages are made from, as they come in: JSON of contract section 6, and the demo's.

Unknown keys are passed over here, other than in a policy: a record is written by a program, maybe a newer
one, and the contract lets it add keys. What a page needs and does not find is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_ifp.core.errors import IfpError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Record(BaseModel):
    """What all records share."""

    model_config = ConfigDict(frozen=True, extra="ignore")


RecordT = TypeVar("RecordT", bound=Record)


class CheckRecord(Record):
    """One check of a verdict; `interval` is of candidate - production in the better direction."""

    name: str
    metric: str | None = None
    slice: str | None = None
    value: float | None = None
    against: float | None = None
    bound: float | None = None
    interval: tuple[float | None, float | None] | None = None
    rows: int | None = None
    verdict: Literal["pass", "fail", "inconclusive"]
    reason: str
    finding: str | None = None


class VerdictRecord(Record):
    """A gate's answer (contract section 6)."""

    verdict: Literal["pass", "fail", "inconclusive"]
    enforced: bool
    reason: str
    gate: str
    model: str | None = None
    version: str | None = None
    content_digest: str | None = None
    compared_to: str | None = None
    holdout_digest: str | None = None
    policy_digest: str | None = None
    checks: tuple[CheckRecord, ...]
    warnings: tuple[str, ...] = ()


class Month(Record):
    """What one month was: its check as of the month's end, and the version that answered in it."""

    month: str
    as_of: str
    psi: float | None = None
    feature: str | None = None
    fired: bool
    reason: str
    version: str | None = None
    rmse: float | None = None
    rmse_first: float | None = None
    rows: int


class Swap(Record):
    """What users saw while a version took another's place: requests by the version that answered them."""

    answered: dict[str, int]
    failed: int
    slowest_ms: float


class Run(Record):
    """One run of the loop's Dag."""

    as_of: str
    fired: bool
    reason: str
    version: str | None = None
    verdict: VerdictRecord | None = None
    shadow: VerdictRecord | None = None
    swap: Swap | None = None
    seconds: float


class ModelVersion(Record):
    """One registered version and what it was made from."""

    version: str
    content_digest: str
    data_rows: int | None = None
    data_start: str | None = None
    data_end: str | None = None
    created: str | None = None
    stage: str | None = None


class Addresses(Record):
    """Where the pages of a kept demo are."""

    airflow: str
    mlflow: str
    server: str | None = None


class DemoRecord(Record):
    """One run of `ifp demo`."""

    model: str
    metric: str
    unit: str
    threshold: float
    months: tuple[Month, ...]
    runs: tuple[Run, ...]
    versions: tuple[ModelVersion, ...]
    started: str
    seconds: float
    home: str
    addresses: Addresses | None = None


def read_record(kind: type[RecordT], values: Mapping[str, Any], *, what: str) -> RecordT:
    """Check a record as it came in.

    Raises:
        IfpError: the record lacks a key or has a wrong type; names the key, and what was expected and found.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        found = "nothing" if first["type"] == "missing" else repr(first["input"])
        raise IfpError(
            f"no page can be made of {what}: {where}: {first['msg']}, found {found}"
            f" ({error.error_count()} such); pass the record as it was written, unchanged"
        ) from error
