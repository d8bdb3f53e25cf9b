"""One drift check: the prediction log's windows against what production was trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_ifp.adapters.counting.cache import CountCache
from airflow_provider_ifp.adapters.registry.ledger import project
from airflow_provider_ifp.core.firing import Firing, decide_by_drift, decide_without_data
from airflow_provider_ifp.loop.drift.report import log_drift
from airflow_provider_ifp.loop.drift.watch import Watch

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from airflow_provider_ifp.adapters.registry.protocol import Registry
    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.core.policy.model import Policy


def check(
    registry: Registry,
    policy: Policy,
    *,
    now: datetime,
    predictions: str | None = None,
    force: bool = False,
    reason: str = "",
    cache: Path | None = None,
    connect: Connect | None = None,
) -> Firing:
    """Decide whether to retrain.

    Args:
        registry: Where the versions and the ledger are.
        policy: The model's policy.
        now: The time of the run, UTC; the windows end there, half open.
        predictions: Root of the prediction log, where the policy names none.
        force: Fire without a check.
        reason: Why, when forced.
        cache: The folder in which counts of the log's files are kept; None: all is counted anew.
        connect: Gives the engine of a `data.source` by conn_id, where labels are; None: by the environment.

    Raises:
        PredictionLogError: there is no prediction log, or one of its files is damaged.
        DatasetError: a feature has values of another kind than the reference's.
        RegistryError: production has no profile, or the registry does not answer.
    """
    ledger = project(registry, policy.model)
    early = decide_without_data(ledger, force=force, reason=reason)
    if early is not None:
        return early
    production, kept = registry.version(policy.model, str(ledger.production)), _cache(policy, cache)
    watch = Watch.of(
        registry, policy, production, now=now, predictions=predictions, kept=kept, connect=connect
    )
    checks = {condition: watch.check(condition) for condition in policy.drift_conditions}
    firing = decide_by_drift(policy.trigger, checks)
    condition = next(one for one, found in checks.items() if found is firing.check)
    wrong = watch.errors(condition)
    report = log_drift(
        registry, production, watch.report(condition, checks[condition], wrong, production.version)
    )
    kept.prune()
    aside = [f"{wrong.check.reason}; it decides nothing"] if wrong and wrong.check.drifted else []
    return replace(firing, report=report, reasons=(*firing.reasons, *watch.counter.notes, *aside))


def count_ahead(
    registry: Registry, policy: Policy, *, now: datetime, predictions: str | None = None, cache: Path
) -> None:
    """Count the log's windows on the bins of the version in production, so that the next check need not.

    For when that version is new: what was counted on its predecessor's bins is of no use to it. Labels that
    do not lie beside the log are joined anew by each check, and are left to it. Arguments and errors are as
    for `check`.
    """
    production = registry.version(policy.model, str(project(registry, policy.model).production))
    kept = _cache(policy, cache)
    watch = Watch.of(registry, policy, production, now=now, predictions=predictions, kept=kept)
    for condition in policy.drift_conditions:
        watch.check(condition)
        if watch.error_counter and watch.error_counter.keeps:
            watch.errors(condition)


def _cache(policy: Policy, folder: Path | None) -> CountCache:
    return CountCache(folder / policy.model if folder else None)
