"""What MLflow answers, as the registry's own values; and all pages of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.registry.mlflow.journals import PARAM_LIMIT
from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Run, StoredModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow.store.entities import PagedList


def all_pages(search: Callable[[str | None], PagedList[Any]]) -> list[Any]:
    """Everything that a search finds: MLflow answers in pages, each with the token of the next."""
    found: list[Any] = []
    token = None
    while True:
        page = search(token)
        found += page
        token = page.token
        if not token:
            return found


def to_run(entry: Any) -> Run:
    """A run of MLflow's."""
    deleted = entry.info.lifecycle_stage == "deleted"
    return Run(status=str(entry.info.status), deleted=deleted, tags=dict(entry.data.tags))


def to_version(entry: Any) -> ModelVersion:
    """A model version of MLflow's."""
    return ModelVersion(
        model=entry.name,
        version=str(entry.version),
        run_id=str(entry.run_id or ""),
        stored=StoredModel(str(entry.tags.get("ifp.stored_model", "")), str(entry.source)),
        created=int(entry.creation_timestamp),
        tags=dict(entry.tags),
    )


def shortened(value: str) -> str:
    """A text as a param takes it."""
    return value if len(value) <= PARAM_LIMIT else f"{value[: PARAM_LIMIT - 1]}…"
