"""Whether to retrain: one decision from the ledger, the drift check, and a person's wish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.core.errors import PolicyError
from airflow_provider_ifp.core.policy.trigger import DriftCondition, TriggerGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_ifp.core.drift.findings import DriftCheck
    from airflow_provider_ifp.core.policy.trigger import Condition
    from airflow_provider_ifp.core.registry.lifecycle import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """The answer of one check.

    Attributes:
        fired: Retrain.
        decided: False where the window is too small to tell; then `fired` is False.
        reasons: In words and numbers.
        check: The drift check that decided, where there was one.
        report: Address of its report, where there is one.
    """

    fired: bool
    decided: bool
    reasons: tuple[str, ...]
    check: DriftCheck | None = None
    report: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The `drift` task's XCom, as the contract names its keys; of segments only what drifted."""
        # With 20 segments of 25 features all of it would be a quarter of a megabyte.
        features = [
            one.to_json()
            for one in (self.check.features if self.check else ())
            if one.measured.segment is None or one.verdict == "drifted"
        ]
        return {
            "fired": self.fired,
            "decided": self.decided,
            "reasons": list(self.reasons),
            "rows": dict(self.check.rows) if self.check else None,
            "features": features,
            **({"report": self.report} if self.report else {}),
        }


def decide_without_data(ledger: Ledger, *, force: bool, reason: str) -> Firing | None:
    """What is decided before any data is read; None: the data decides.

    >>> from airflow_provider_ifp.core.registry.lifecycle import Ledger
    >>> decide_without_data(Ledger("m"), force=False, reason="").reasons
    ('no production version',)
    """
    if force:
        return Firing(fired=True, decided=True, reasons=(f"forced by hand: {reason or 'no reason given'}",))
    if waiting := ledger.waiting():
        version, stage = waiting
        return Firing(fired=False, decided=True, reasons=(f"version {version} waits in {stage}",))
    if ledger.production is None:
        return Firing(fired=True, decided=True, reasons=("no production version",))
    return None


def decide_by_drift(trigger: TriggerGroup, checks: Mapping[DriftCondition, DriftCheck]) -> Firing:
    """Whether the conditions that must hold do: any of a group, or all of it; what is undecided never fires.

    Args:
        trigger: The policy's tree of conditions, all of them on drift.
        checks: What was found for each, in the order of the file.
    """
    holds = _holds(trigger, checks)
    found = list(checks.values())
    deciding = next((check for check in found if check.drifted is holds), found[0])
    return Firing(
        fired=holds is True,
        decided=holds is not None,
        reasons=tuple(dict.fromkeys(check.reason for check in found)),
        check=deciding,
    )


def _holds(condition: Condition, checks: Mapping[DriftCondition, DriftCheck]) -> bool | None:
    if isinstance(condition, DriftCondition):
        return checks[condition].drifted
    if not isinstance(condition, TriggerGroup):
        raise PolicyError(f"trigger: conditions of type {condition.type} are not built yet; drift is")
    decisive = condition.any is not None
    values = [_holds(one, checks) for one in condition.any or condition.all or ()]
    if decisive in values:
        return decisive
    return None if None in values else not decisive
