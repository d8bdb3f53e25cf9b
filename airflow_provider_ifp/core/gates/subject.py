"""Who is judged, on what: what a verdict is bound to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_provider_ifp.core.registry.verdict import Verdict

if TYPE_CHECKING:
    from airflow_provider_ifp.core.registry.verdict import Check, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who is judged, on what.

    Attributes:
        model: The registered model.
        version: The candidate.
        content_digest: The candidate's content.
        compared_to: Production's version when judged, whatever `compare_to` says; None: there is none.
        holdout_digest: The holdout's rows.
        policy_digest: The policy.
    """

    model: str
    version: str
    content_digest: str
    compared_to: str | None
    holdout_digest: str
    policy_digest: str

    def verdict(
        self,
        gate: Literal["validation", "shadow"],
        outcome: Outcome,
        reason: str,
        checks: tuple[Check, ...],
        *,
        enforced: bool,
        warnings: tuple[str, ...] = (),
    ) -> Verdict:
        """Say what a gate found of it."""
        return Verdict(
            verdict=outcome,
            enforced=enforced,
            reason=reason,
            gate=gate,
            model=self.model,
            version=self.version,
            content_digest=self.content_digest,
            compared_to=self.compared_to,
            holdout_digest=self.holdout_digest,
            policy_digest=self.policy_digest,
            checks=checks,
            warnings=warnings,
        )
