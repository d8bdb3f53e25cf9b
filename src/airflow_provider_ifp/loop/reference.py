"""What production's windows are held against: the profile that was stored when its version was trained."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow_provider_ifp.core.errors import RegistryError
from airflow_provider_ifp.core.profile import Profile

if TYPE_CHECKING:
    from airflow_provider_ifp.adapters.registry import ModelVersion, Registry

PROFILE: Final = "ifp/profile.json"
"""Of the training window: its features, and its segments."""
ANSWERS: Final = "ifp/prediction_profile.json"
"""Of the holdout: what the version answered, and how far it was off."""


def read_reference(registry: Registry, version: ModelVersion, *, answers: bool) -> Profile:
    """Read the reference of a version.

    Args:
        registry: Where its run is.
        version: The version.
        answers: With its answers on the holdout, where a gate has recorded them.

    Raises:
        RegistryError: the version has no profile.
        DatasetError: a profile is damaged, or has another format.
    """
    content = registry.get_file(version.run_id, PROFILE)
    if content is None:
        raise RegistryError(
            f"{version.model} version {version.version} has no {PROFILE} in its training run "
            f"{version.run_id}, so there is nothing to hold the prediction log against; a version trained by "
            "TrainOperator has one"
        )
    profile = Profile.from_json(json.loads(content), where=f"{PROFILE} of run {version.run_id}")
    judged = registry.get_file(version.run_id, ANSWERS) if answers else None
    if judged is None:
        return profile
    of_holdout = Profile.from_json(json.loads(judged), where=f"{ANSWERS} of run {version.run_id}")
    return replace(profile, predictions=of_holdout.predictions)
