"""Move a stage's pointer: promote, roll back.

One ledger event each; serving follows the aliases by itself.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.registry.ledger import read_ledger, record
from airflow_provider_ifp.core.errors import PromotionRefusedError
from airflow_provider_ifp.core.registry.moves import (
    UNCHECKED,
    Promotion,
    Unchecked,
    plan_promotion,
    plan_rollback,
    rollback_target,
)
from airflow_provider_ifp.training.loading import fetch

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.core.registry.lifecycle import Event, Ledger, Stage
    from airflow_provider_ifp.core.registry.moves import Attempt


def promote(
    registry: Registry,
    model: str,
    version: str,
    target: Stage,
    *,
    attempt: Attempt,
    expected: str | Unchecked | None = UNCHECKED,
    override: str | None = None,
) -> dict[str, Any]:
    """Move a version to a stage, after its stored files were verified.

    Args:
        registry: Where the versions and the ledger are.
        model: The registered model.
        version: The version to move.
        target: `staging`, `shadow` or `production`.
        attempt: Who, when, why; its nonce makes a retry find the event that it made before.
        expected: The production version that the candidate was judged against (None: none).
        override: Who takes on a failed gate.

    Returns:
        The `promote_*` task's XCom: model, version, stage, replaced, event.

    Raises:
        PromotionRefusedError: the lifecycle's rules do not allow it.
        VersionNotFoundError: there is no such version.
        DigestMismatchError: its files are not those that were registered; the stage stays as it is.
    """
    found = registry.version(model, version)
    change = Promotion(
        version=version,
        target=target,
        expected=expected,
        override=override,
        files_digest=found.files_digest,
    )
    return _move(registry, found, lambda ledger: plan_promotion(ledger, attempt, change))


def roll_back(
    registry: Registry, model: str, *, attempt: Attempt, to_version: str | None = None
) -> dict[str, Any]:
    """Put an earlier production version back, after its stored files were verified.

    Returns:
        As `promote`.

    Raises:
        PromotionRefusedError: there is nothing to go back to.
        DigestMismatchError: the old files are not those that were registered; production stays as it is.
    """
    ledger = read_ledger(registry, model)
    made = ledger.with_nonce(attempt.nonce)
    version = made.version if made else rollback_target(ledger, to_version)
    # Which version is the last good one depends on what is taken out: chosen for one, not put for another.
    expected = ledger.production if to_version is None else UNCHECKED
    found = registry.version(model, version)
    return _move(
        registry,
        found,
        lambda now: plan_rollback(now, attempt, version, found.files_digest, expected=expected),
    )


def _move(registry: Registry, version: ModelVersion, plan: Callable[[Ledger], Event]) -> dict[str, Any]:
    """Plan, so that a refusal costs no download; verify the files; record."""
    ledger = read_ledger(registry, version.model)
    if plan(ledger) not in ledger.events:  # a retry finds the event that it made: what moved then stays moved
        with tempfile.TemporaryDirectory(prefix="ifp-move-") as scratch:
            fetch(registry, version, Path(scratch, "model"))
    event = record(registry, version.model, plan, ledger=ledger)
    return {
        "model": version.model,
        "version": event.version,
        "stage": event.target,
        "replaced": event.replaced,
        "event": event.number,
    }


def require_promotable(verdict: dict[str, Any], version: str) -> None:
    """Refuse a verdict that promotes nothing, or that is about another version.

    Raises:
        PromotionRefusedError: as said.
    """
    if str(verdict.get("version")) != version:
        raise PromotionRefusedError(
            f"the verdict is about version {verdict.get('version')}, not {version}; hand over its own verdict"
        )
    if verdict.get("verdict") != "pass" and verdict.get("enforced", True):
        raise PromotionRefusedError(
            f"version {version} did not pass its gate: {verdict.get('verdict')} ({verdict.get('reason')})"
        )
