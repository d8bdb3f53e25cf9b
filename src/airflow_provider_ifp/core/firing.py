"""Whether to retrain: one decision from the ledger, the drift check, and a person's wish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_ifp.core.findings import DriftCheck
    from airflow_provider_ifp.core.lifecycle import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """The answer of one check.

    Attributes:
        fired: Retrain.
        decided: False where the window is too small to tell; then `fired` is False.
        reasons: In words and numbers.
        check: The drift check, where there was one.
    """

    fired: bool
    decided: bool
    reasons: tuple[str, ...]
    check: DriftCheck | None = None

    def to_json(self) -> dict[str, Any]:
        """The `drift` task's XCom, as the contract names its keys."""
        record = self.check.to_json() if self.check else {"rows": None, "features": []}
        return {
            "fired": self.fired,
            "decided": self.decided,
            "reasons": list(self.reasons),
            "rows": record["rows"],
            "features": record["features"],
        }


def decide_without_data(ledger: Ledger, *, force: bool, reason: str) -> Firing | None:
    """What is decided before any data is read; None: the data decides.

    >>> from airflow_provider_ifp.core.lifecycle import Ledger
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


def decide_by_drift(check: DriftCheck) -> Firing:
    """Drift fires; an undecided check never does."""
    return Firing(
        fired=check.drifted is True,
        decided=check.drifted is not None,
        reasons=(check.reason,),
        check=check,
    )
