"""The environment of processes that run user code: ours, less the registry's credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECRETS = (
    "AIRFLOW_CONN_",  # the registry's connection may be one of them
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_USERNAME",
)
"""Beginnings of the names of variables that user code does not get."""


def user_environment(environment: Mapping[str, str], seed: int) -> dict[str, str]:
    """This process's environment without the registry's credentials, with what makes training repeatable."""
    kept = {key: value for key, value in environment.items() if not key.startswith(_SECRETS)}
    return {
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        **kept,
        "PYTHONHASHSEED": str(seed % 2**32),
        "PYTHONUNBUFFERED": "1",
    }
