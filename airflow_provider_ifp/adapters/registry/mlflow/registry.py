"""The registry on MLflow: an HTTP server, or a database URI such as `sqlite:///mlflow.db`.

A search by tags is answered from MLflow's index, however many versions there are. The ledger's write-once
entries are in `journals`, what shows of it in `aliases`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus, Metric, Param, ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS
from mlflow.tracking import get_tracking_uri

from airflow_provider_ifp.adapters.registry.mlflow.aliases import project_aliases, read_aliases
from airflow_provider_ifp.adapters.registry.mlflow.auth import held_address
from airflow_provider_ifp.adapters.registry.mlflow.database import artifact_root, opening
from airflow_provider_ifp.adapters.registry.mlflow.entities import (
    all_pages,
    shortened,
    to_run,
    to_version,
)
from airflow_provider_ifp.adapters.registry.mlflow.errors import (
    code_name,
    require_answer,
    translated,
    user_of,
    without_user,
)
from airflow_provider_ifp.adapters.registry.mlflow.files import MlflowFiles
from airflow_provider_ifp.adapters.registry.mlflow.journals import MlflowJournals, named_experiment
from airflow_provider_ifp.adapters.registry.protocol import StoredModel
from airflow_provider_ifp.core.errors import RegistryDeniedError, RegistryError, VersionNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from airflow_provider_ifp.adapters.registry.protocol import Measurement, ModelVersion, Run
    from airflow_provider_ifp.core.registry.lifecycle import Stage

_CONTENT = "ifp.content_digest"
_PARAM_BATCH = 100  # MLflow's limit of params in one log_batch call
_BATCH = 1000  # MLflow's limit of metrics in one log_batch call, and of runs in one page to be quick


class MlflowRegistry:
    """A `Registry` on one MLflow tracking URI.

    Args:
        uri: Tracking URI; None: `MLFLOW_TRACKING_URI`, else MLflow's own default.
        username: For the server's basic auth; None: `MLFLOW_TRACKING_USERNAME`.
        password: Likewise.

    Raises:
        RegistryUnreachableError: the server does not answer.
        RegistryDeniedError: it refuses these credentials.
    """

    def __init__(
        self, uri: str | None = None, username: str | None = None, password: str | None = None
    ) -> None:
        self._address = held_address(uri or get_tracking_uri(), username, password)
        self.uri = without_user(self._address)
        self._user = user_of(self._address)
        require_answer(self._address, self.uri)
        with self._translated(), opening(self._address):
            self._client = MlflowClient(self._address, self._address)
        self._journals = MlflowJournals(self._client, self.uri)
        self._experiments: dict[str, str] = {}
        self._files = MlflowFiles(self._client, self._address)

    def start_run(self, model: str, *, name: str, tags: Mapping[str, str]) -> str:
        with self._translated():
            experiment = self._experiment(model)
            return str(self._client.create_run(experiment, run_name=name, tags=dict(tags)).info.run_id)

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        entries = [Param(key, shortened(value)) for key, value in params.items()]
        with self._translated():
            for start in range(0, len(entries), _PARAM_BATCH):
                self._client.log_batch(run_id, params=entries[start : start + _PARAM_BATCH])

    def log_metrics(self, run_id: str, measurements: Sequence[Measurement]) -> None:
        metrics = [Metric(m.key, m.value, m.time, m.step) for m in measurements]
        with self._translated():
            for start in range(0, len(metrics), _BATCH):
                self._client.log_batch(run_id, metrics=metrics[start : start + _BATCH])

    def finish_run(self, run_id: str, status: str) -> None:
        with self._translated():
            self._client.set_terminated(run_id, status)

    def tag_run(self, run_id: str, key: str, value: str) -> None:
        with self._translated():
            self._client.set_tag(run_id, key, value)

    def run(self, run_id: str) -> Run | None:
        try:
            with self._translated():
                found = self._client.get_run(run_id)
        except VersionNotFoundError:
            return None
        return to_run(found)

    def training_runs(self, model: str) -> dict[str, Run]:
        with self._translated():
            experiment = self._client.get_experiment_by_name(model)
            if experiment is None:
                return {}
            found = all_pages(
                lambda token: self._client.search_runs(
                    [experiment.experiment_id],
                    run_view_type=ViewType.ALL,
                    max_results=_BATCH,
                    page_token=token,
                )
            )
        return {str(entry.info.run_id): to_run(entry) for entry in found}

    def put_file(self, run_id: str, path: str, content: bytes) -> None:
        with self._translated():
            self._files.put(run_id, path, content)

    def get_file(self, run_id: str, path: str) -> bytes | None:
        with self._translated():
            return self._files.get(run_id, path)

    def file_address(self, run_id: str, path: str) -> str | None:
        """On the server's pages; a database without a server has none."""
        if not self.uri.startswith(("http://", "https://")):
            return None
        with self._translated():
            experiment = self._client.get_run(run_id).info.experiment_id
        return f"{self.uri.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}/artifacts/{path}"

    def store_model(self, model: str, run_id: str, folder: Path, *, content_digest: str) -> StoredModel:
        with self._translated():
            logged = self._client.create_logged_model(
                self._experiment(model),
                name=model,
                source_run_id=run_id,
                tags={_CONTENT: content_digest},
            )
            self._files.upload(str(logged.artifact_location), folder)
            ready = self._client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
            return StoredModel(ready.model_id, str(ready.artifact_location))

    def stored_models(self, model: str, content_digest: str | None = None) -> tuple[StoredModel, ...]:
        wanted = None if content_digest is None else f"tags.`{_CONTENT}` = '{content_digest}'"
        with self._translated():
            experiment = self._client.get_experiment_by_name(model)
            if experiment is None:
                return ()
            found = all_pages(
                lambda token: self._client.search_logged_models(
                    [experiment.experiment_id],
                    wanted,
                    order_by=[{"field_name": "creation_time", "ascending": True}],
                    page_token=token,
                )
            )
        whole = (entry for entry in found if entry.status == LoggedModelStatus.READY)
        return tuple(StoredModel(entry.model_id, str(entry.artifact_location)) for entry in whole)

    def stored_folders(self, model: str) -> tuple[str, ...]:
        with self._translated():
            experiment = self._client.get_experiment_by_name(model)
            if experiment is None:
                return ()
            root = f"{experiment.artifact_location.rstrip('/')}/models"
            return tuple(f"{root}/{name}/artifacts" for name in self._files.folders(root))

    def create_version(
        self, model: str, *, run_id: str, stored: StoredModel, tags: Mapping[str, str], nonce: str
    ) -> ModelVersion:
        if made := self.find_versions(model, {"ifp.nonce": nonce}):
            return made[0]
        with self._translated():
            try:
                self._client.create_registered_model(model)
            except MlflowException as error:
                if error.error_code != code_name(RESOURCE_ALREADY_EXISTS):
                    raise
            self._client.create_model_version(
                model,
                source=stored.uri,
                run_id=run_id,
                model_id=stored.id,
                # MLflow takes the model id and never gives it back: a twin of this version needs it.
                tags={**tags, "ifp.nonce": nonce, "ifp.stored_model": stored.id},
                await_creation_for=0,
            )
        # MLflow's client repeats a POST whose answer it lost: one call can make several versions, and the
        # lowest with this nonce counts.
        made = self.find_versions(model, {"ifp.nonce": nonce})
        if not made:
            raise RegistryError(
                f"{model}: MLflow at {self.uri} lost the version it had just created; try again"
            )
        return made[0]

    def versions(self, model: str) -> tuple[ModelVersion, ...]:
        return self.find_versions(model, {})

    def latest(self, model: str) -> ModelVersion | None:
        with self._translated():
            found = self._client.search_model_versions(
                f"name = '{model}'", max_results=1, order_by=["version_number DESC"]
            )
        return to_version(found[0]) if found else None

    def find_versions(self, model: str, tags: Mapping[str, str]) -> tuple[ModelVersion, ...]:
        wanted = [f"name = '{model}'", *(f"tag.`{key}` = '{value}'" for key, value in tags.items())]
        with self._translated():
            found = all_pages(
                lambda token: self._client.search_model_versions(
                    " AND ".join(wanted), order_by=["version_number ASC"], page_token=token
                )
            )
        return tuple(map(to_version, found))

    def tag_version(self, version: ModelVersion, key: str, value: str) -> None:
        with self._translated():
            self._client.set_model_version_tag(version.model, version.version, key, value)

    def version(self, model: str, version: str) -> ModelVersion:
        hidden = ""
        if version.isdecimal():  # MLflow calls anything else an invalid parameter
            try:
                with suppress(VersionNotFoundError), self._translated():
                    return to_version(self._client.get_model_version(model, version))
            except RegistryDeniedError:
                # So a server with basic auth answers for a model that is not there, too.
                hidden = f", or user {self._user!r} may not read it"
        known = ", ".join(entry.version for entry in self.versions(model)) or "none"
        raise VersionNotFoundError(
            f"{model} has no version {version!r} at {self.uri}{hidden}; its versions: {known}"
        )

    def download(self, stored: StoredModel, folder: Path) -> None:
        with self._translated():
            self._files.download(stored.uri, folder)

    def entries(self, model: str, journal: str) -> dict[str, str]:
        with self._translated():
            return self._journals.entries(model, journal)

    def has_entry(self, model: str, journal: str, key: str) -> bool:
        with self._translated():
            return self._journals.has(model, journal, key)

    def put_entry(self, model: str, journal: str, key: str, text: str) -> None:
        with self._translated():
            self._journals.put(model, journal, key, text)

    def journal_run(self, model: str, journal: str) -> str | None:
        with self._translated():
            return self._journals.find_run(model, journal)

    def aliases(self, model: str) -> dict[Stage, str]:
        with self._translated():
            return read_aliases(self._client, model)

    def project(self, model: str, stages: Mapping[Stage, str]) -> None:
        with self._translated():
            project_aliases(self._client, model, stages)

    def _experiment(self, model: str) -> str:
        if model not in self._experiments:
            self._experiments[model] = named_experiment(self._client, model, artifact_root(self._address))
        return self._experiments[model]

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self.uri, self._user)
