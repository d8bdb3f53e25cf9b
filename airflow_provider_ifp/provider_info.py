"""What Airflow asks a provider package about itself."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's parts; `airflow providers get airflow-provider-ifp --full` prints it."""
    integration = "Inferpath MLflow loop"
    package = "airflow_provider_ifp"
    return {
        "package-name": "airflow-provider-ifp",
        "name": "IFP",
        "description": (
            "Closes the ML loop around an MLflow registry: drift, training, gates, promotion, rollback."
        ),
        "integrations": [
            {"integration-name": integration, "external-doc-url": "https://mlflow.org", "tags": ["ml"]}
        ],
        "operators": [
            {
                "integration-name": integration,
                "python-modules": [
                    f"{package}.operators.train",
                    f"{package}.operators.validation",
                    f"{package}.operators.promote",
                    f"{package}.operators.shadow",
                    f"{package}.operators.reproduce",
                    f"{package}.operators.profile",
                    f"{package}.operators.log",
                ],
            }
        ],
        "sensors": [{"integration-name": integration, "python-modules": [f"{package}.sensors.drift"]}],
        "triggers": [
            {
                "integration-name": integration,
                "python-modules": [f"{package}.triggers.drift", f"{package}.triggers.shadow"],
            }
        ],
        "hooks": [{"integration-name": integration, "python-modules": [f"{package}.hooks.registry"]}],
        "extra-links": [f"{package}.hooks.links.ReportLink"],
        "connection-types": [
            {
                "connection-type": "ifp_registry",
                "hook-class-name": f"{package}.hooks.registry.ModelRegistryHook",
                "hook-name": "IFP model registry (MLflow)",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port", "extra"],
                    "relabeling": {"host": "MLflow tracking URI"},
                    "placeholders": {
                        "host": "http://mlflow:5000 or sqlite:////var/lib/mlflow/mlflow.db",
                        "login": "for MLflow's basic auth",
                        "password": "for MLflow's basic auth",
                    },
                },
                "conn-fields": {},
            }
        ],
        "config": {
            "ifp": {
                "description": "The ML loop of airflow-provider-ifp.",
                "options": {
                    "policies_folder": _option(
                        "Folder of the policies, one YAML file per model.", "/opt/airflow/dags/policies"
                    ),
                    "cache_folder": _option(
                        "Folder for training data, checkpoints, downloaded models and counts of the "
                        "prediction log; may be lost at any time but during a training. Workers and "
                        "triggerer share it if they can.",
                        "/var/cache/ifp",
                    ),
                    "install_requirements": _option(
                        "Whether a gate installs, into the cache folder, what a version asks for and the "
                        "gate's environment lacks; else the version answers with what is installed.",
                        "False",
                    ),
                    "predictions": _option(
                        "Root of the prediction log where a policy names none.", "s3://lake/predictions"
                    ),
                },
            }
        },
    }


def _option(description: str, example: str) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": "string",
        "example": example,
        "default": None,
    }
