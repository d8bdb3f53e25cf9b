"""Aliases of a registered model: last writer wins, so they are only a projection of the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from airflow_provider_ifp.adapters.registry.mlflow.errors import code_name
from airflow_provider_ifp.core.registry.lifecycle import STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow import MlflowClient

    from airflow_provider_ifp.core.registry.lifecycle import Stage


def read_aliases(client: MlflowClient, model: str) -> dict[Stage, str]:
    """The version at each stage that has one; empty for a model that is not there.

    Raises:
        MlflowException: MLflow cannot say.
    """
    try:
        held = client.get_registered_model(model).aliases
    except MlflowException as error:
        if error.error_code == code_name(RESOURCE_DOES_NOT_EXIST):
            return {}
        raise
    return {stage: str(held[stage]) for stage in STAGES if stage in held}


def project_aliases(client: MlflowClient, model: str, stages: Mapping[Stage, str]) -> None:
    """Make the aliases those of the ledger.

    Raises:
        MlflowException: MLflow does not take them.
    """
    held = read_aliases(client, model)
    # New pointers first: a reader that polls never sees production empty during a move.
    for stage, version in stages.items():
        if held.get(stage) != version:
            _set_alias(client, model, stage, version)
    for stage in held.keys() - stages.keys():
        client.delete_registered_model_alias(model, stage)


def _set_alias(client: MlflowClient, model: str, stage: str, version: str) -> None:
    try:
        client.set_registered_model_alias(model, stage, version)
    except MlflowException:
        # The first setting of an alias by two clients at once violates a UNIQUE constraint in one of them.
        client.set_registered_model_alias(model, stage, version)
