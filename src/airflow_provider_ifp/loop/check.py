"""One drift check: the current window of the prediction log against the production version's own profile."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_ifp.adapters.counting import count_batches
from airflow_provider_ifp.adapters.ledger import project
from airflow_provider_ifp.adapters.prediction_log import describe_search, iter_batches
from airflow_provider_ifp.core.drift import check_drift
from airflow_provider_ifp.core.errors import PredictionLogError, RegistryError
from airflow_provider_ifp.core.firing import Firing, decide_by_drift, decide_without_data
from airflow_provider_ifp.core.profile import Profile
from airflow_provider_ifp.core.rule import rule_of
from airflow_provider_ifp.core.windows import current_window

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_ifp.adapters.registry import ModelVersion, Registry
    from airflow_provider_ifp.core.policy import Policy

PROFILE = "ifp/profile.json"


def check(
    registry: Registry,
    policy: Policy,
    *,
    now: datetime,
    predictions: str | None = None,
    force: bool = False,
    reason: str = "",
) -> Firing:
    """Decide whether to retrain.

    Args:
        registry: Where the versions and the ledger are.
        policy: The model's policy.
        now: The time of the run, UTC; the window ends there, half open.
        predictions: Root of the prediction log, where the policy names none.
        force: Fire without a check.
        reason: Why, when forced.

    Raises:
        PredictionLogError: there is no prediction log.
        RegistryError: production has no profile, or the registry does not answer.
    """
    ledger = project(registry, policy.model)
    early = decide_without_data(ledger, force=force, reason=reason)
    if early is not None:
        return early
    production = registry.version(policy.model, str(ledger.production))
    profile = read_profile(registry, production)
    window = current_window(now, policy.monitored_window)
    root, columns = log_root(policy, predictions), [feature.name for feature in profile.features]
    batches = iter_batches(root, policy.model, "production", window, columns=columns)
    drift = check_drift(
        profile,
        count_batches(profile, batches),
        rule_of(policy.watch, next(iter(policy.drift_conditions), None)),
    )
    if drift.rows["current"] == 0:
        # Mostly the log is written elsewhere, or to another day: say where none was found.
        searched = describe_search(root, policy.model, "production", window)
        drift = replace(drift, reason=f"{drift.reason}; looked in {searched}")
    return decide_by_drift(drift)


def read_profile(registry: Registry, version: ModelVersion) -> Profile:
    """The reference window's profile, as it was stored when the version was trained.

    Raises:
        RegistryError: the version has none.
    """
    content = registry.get_file(version.run_id, PROFILE)
    if content is None:
        raise RegistryError(
            f"{version.model} version {version.version} has no {PROFILE} in its training run "
            f"{version.run_id}, so there is nothing to hold the prediction log against; a version trained by "
            "TrainOperator has one"
        )
    return Profile.from_json(json.loads(content), where=f"{PROFILE} of run {version.run_id}")


def log_root(policy: Policy, predictions: str | None) -> str:
    """Where the prediction log is: the policy's word first.

    Raises:
        PredictionLogError: nobody says.
    """
    named = policy.watch.predictions or predictions
    if not named:
        raise PredictionLogError(
            f"{policy.model}: no prediction log is named; set monitor.predictions in the policy, or "
            "predictions in section [ifp] of airflow.cfg (AIRFLOW__IFP__PREDICTIONS)"
        )
    return policy.resolve(named)
