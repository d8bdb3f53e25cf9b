"""A gate's answer, as it is recorded, shown, and believed by a promotion."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from airflow_provider_ifp.core.errors import PromotionRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

Outcome = Literal["pass", "fail", "inconclusive"]
_WORST_FIRST: Final[tuple[Outcome, ...]] = ("fail", "inconclusive")
Finding = Literal["better", "equivalent", "worse", "inconclusive"]
_STRICT: Final = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that a gate looked at.

    Attributes:
        name: What was checked: `min_f1`, `max_rmse`, `comparison`, `slice`, `answers`, `rows`, `leakage`,
            `infrastructure`.
        metric: The metric, where one was computed.
        slice: The slice of the holdout; None: all of it.
        value: The candidate's value.
        against: Production's value, where it was compared.
        bound: The smallest (largest) value that passes, in the metric's own unit.
        interval: Of candidate - production in the better direction.
        rows: Rows that the check saw.
        verdict: `pass`, `fail` or `inconclusive`.
        reason: Why, in numbers.
        finding: Of a comparison, what its interval shows, whatever decides.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    metric: str | None = None
    slice: str | None = None
    value: float | None = None
    against: float | None = None
    bound: float | None = None
    interval: tuple[float, float] | None = None
    rows: int | None = None
    verdict: Outcome
    reason: str
    finding: Finding | None = None

    def __post_init__(self) -> None:
        """Refuse what has no place in JSON, and what must never look like a number."""
        numbers = [self.value, self.against, self.bound, *(self.interval or ())]
        if not all(math.isfinite(number) for number in numbers if number is not None):
            raise ValueError(f"check {self.name}: NaN and infinity are no values; say so in the reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a gate says of one candidate, with everything that it was judged by.

    Attributes:
        verdict: `pass`, `fail` or `inconclusive`.
        enforced: Whether anything but a pass stops the promotion.
        reason: Why, in numbers.
        gate: Which gate.
        model: The registered model.
        version: The candidate.
        content_digest: The candidate's content.
        compared_to: Production when judged, whatever the policy compares to; None: there was none.
        holdout_digest: The rows it was judged on.
        policy_digest: The policy it was judged by.
        checks: What was looked at.
        warnings: What a reader should know, though it decides nothing.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    verdict: Outcome
    enforced: bool
    reason: str
    gate: Literal["validation", "shadow"]
    model: str
    version: str
    content_digest: str
    compared_to: str | None
    holdout_digest: str
    policy_digest: str
    checks: tuple[Check, ...]
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a verdict that its own checks contradict."""
        against = [check.name for check in self.checks if check.verdict != "pass"]
        if self.verdict == "pass" and (against or not self.checks):
            raise ValueError(
                f"a pass needs checks that all pass; these do not: {', '.join(against) or '(none)'}"
            )

    @property
    def promotes(self) -> bool:
        """Whether the candidate may go on: it passed, or nothing that it failed is enforced."""
        return self.verdict == "pass" or not self.enforced

    def to_json(self) -> dict[str, Any]:
        """Return the record, ready for `json.dumps`; `finding` and `warnings` only where there are any."""
        record = asdict(self)
        record["checks"] = [_listed(check) for check in record["checks"]]
        warnings = list(record.pop("warnings"))
        return record | ({"warnings": warnings} if warnings else {})

    @classmethod
    def from_json(cls, record: object, where: str = "verdict") -> Verdict:
        """Read what `to_json` wrote.

        Args:
            record: The decoded JSON.
            where: What the message calls it.

        Raises:
            PromotionRefusedError: The record is damaged, or contradicts itself: nobody may act on it.
        """
        again = "judge the candidate again"
        try:
            return _RECORD.validate_json(json.dumps(record))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the record"
            raise PromotionRefusedError(f"{where}: no verdict: {place}: {first['msg']}; {again}") from None
        except (TypeError, ValueError) as error:
            raise PromotionRefusedError(f"{where}: no verdict: {error}; {again}") from None


_RECORD: Final = TypeAdapter(Verdict)


def sum_up(
    checks: Sequence[Check], notes: Sequence[str] = (), nothing: str = "nothing to judge by"
) -> tuple[Outcome, str]:
    """Sum up checks: any failure fails; else anything undecided, or nothing to judge by, is inconclusive.

    Args:
        checks: What was looked at.
        notes: Said after the reasons.
        nothing: The reason where there is no check.

    >>> sum_up([Check(name="a", verdict="pass", reason="ok"), Check(name="b", verdict="fail", reason="ill")])
    ('fail', 'ill')
    """
    for outcome in _WORST_FIRST:
        reasons = dict.fromkeys(check.reason for check in checks if check.verdict == outcome)
        if reasons:
            return outcome, "; ".join([*reasons, *notes])
    if not checks:
        return "inconclusive", "; ".join([nothing, *notes])
    return "pass", "; ".join([*(check.reason for check in checks), *notes])


def _listed(check: dict[str, Any]) -> dict[str, Any]:
    # JSON has lists, no tuples: what is written is what is read.
    record = {**check, "interval": None if check["interval"] is None else list(check["interval"])}
    return record if record["finding"] else {key: value for key, value in record.items() if key != "finding"}
