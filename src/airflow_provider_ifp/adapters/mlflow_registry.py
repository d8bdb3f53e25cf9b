"""The registry on MLflow: an HTTP server, or a database URI such as `sqlite:///mlflow.db`.

Alias calls are last writer wins, so aliases are only a projection of the ledger, whose write-once entries
are in `adapters.mlflow_journals`; a search by tags is answered from MLflow's index, however many versions
there are.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts, list_artifacts
from mlflow.entities import LoggedModelStatus, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST
from mlflow.tracking import get_tracking_uri

from airflow_provider_ifp.adapters.mlflow_errors import code_name, require_answer, translated, without_user
from airflow_provider_ifp.adapters.mlflow_journals import PARAM_LIMIT, MlflowJournals, named_experiment
from airflow_provider_ifp.adapters.registry import ModelVersion, Run, StoredModel
from airflow_provider_ifp.core.errors import RegistryError, VersionNotFoundError
from airflow_provider_ifp.core.lifecycle import STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_ifp.adapters.registry import Measurement
    from airflow_provider_ifp.core.lifecycle import Stage

_CONTENT = "ifp.content_digest"
_PARAM_BATCH = 100  # MLflow's limit of params in one log_batch call
_BATCH = 1000  # MLflow's limit of metrics in one log_batch call


class MlflowRegistry:
    """A `Registry` on one MLflow tracking URI.

    Args:
        uri: Tracking URI; None: `MLFLOW_TRACKING_URI`, else MLflow's own default.
        username: For the server's basic auth; None: `MLFLOW_TRACKING_USERNAME`.
        password: Likewise.

    Raises:
        RegistryUnreachableError: the server does not answer, or refuses these credentials.
    """

    def __init__(
        self, uri: str | None = None, username: str | None = None, password: str | None = None
    ) -> None:
        if username:
            # MLflow reads credentials from the environment alone; they stand in no URI, argument or log.
            os.environ["MLFLOW_TRACKING_USERNAME"] = username
            os.environ["MLFLOW_TRACKING_PASSWORD"] = password or ""
        self._address = uri or get_tracking_uri()
        self.uri = without_user(self._address)
        require_answer(self._address, self.uri)
        with translated(self.uri):
            self._client = MlflowClient(self._address, self._address)
        self._journals = MlflowJournals(self._client, self.uri)
        self._experiments: dict[str, str] = {}

    def start_run(self, model: str, *, name: str, tags: Mapping[str, str]) -> str:
        with translated(self.uri):
            experiment = self._experiment(model)
            return str(self._client.create_run(experiment, run_name=name, tags=dict(tags)).info.run_id)

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        entries = [Param(key, _shortened(value)) for key, value in params.items()]
        with translated(self.uri):
            for start in range(0, len(entries), _PARAM_BATCH):
                self._client.log_batch(run_id, params=entries[start : start + _PARAM_BATCH])

    def log_metrics(self, run_id: str, measurements: Sequence[Measurement]) -> None:
        metrics = [Metric(m.key, m.value, m.time, m.step) for m in measurements]
        with translated(self.uri):
            for start in range(0, len(metrics), _BATCH):
                self._client.log_batch(run_id, metrics=metrics[start : start + _BATCH])

    def finish_run(self, run_id: str, status: str) -> None:
        with translated(self.uri):
            self._client.set_terminated(run_id, status)

    def tag_run(self, run_id: str, key: str, value: str) -> None:
        with translated(self.uri):
            self._client.set_tag(run_id, key, value)

    def run(self, run_id: str) -> Run | None:
        try:
            with translated(self.uri):
                found = self._client.get_run(run_id)
        except VersionNotFoundError:
            return None
        deleted = found.info.lifecycle_stage == "deleted"
        return Run(status=str(found.info.status), deleted=deleted, tags=dict(found.data.tags))

    def put_file(self, run_id: str, path: str, content: bytes) -> None:
        folder, _, name = path.rpartition("/")
        with tempfile.TemporaryDirectory(prefix="ifp-") as scratch, translated(self.uri):
            local = Path(scratch, name)
            local.write_bytes(content)
            self._client.log_artifact(run_id, str(local), folder or None)

    def get_file(self, run_id: str, path: str) -> bytes | None:
        folder = path.rpartition("/")[0]
        with tempfile.TemporaryDirectory(prefix="ifp-") as scratch, translated(self.uri):
            # Asked first, since a download of a missing path may give an empty folder and no error.
            there = self._client.list_artifacts(run_id, folder or None)
            if path not in {entry.path for entry in there if not entry.is_dir}:
                return None
            return Path(self._client.download_artifacts(run_id, path, scratch)).read_bytes()

    def store_model(self, model: str, run_id: str, folder: Path, *, content_digest: str) -> StoredModel:
        with translated(self.uri):
            logged = self._client.create_logged_model(
                self._experiment(model),
                name=model,
                source_run_id=run_id,
                tags={_CONTENT: content_digest},
            )
            self._client.log_model_artifacts(logged.model_id, str(folder))
            ready = self._client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
            return StoredModel(ready.model_id, str(ready.artifact_location))

    def stored_models(self, model: str, content_digest: str | None = None) -> tuple[StoredModel, ...]:
        wanted = None if content_digest is None else f"tags.`{_CONTENT}` = '{content_digest}'"
        with translated(self.uri):
            experiment = self._client.get_experiment_by_name(model)
            if experiment is None:
                return ()
            found, token = [], None
            while True:
                page = self._client.search_logged_models(
                    [experiment.experiment_id],
                    wanted,
                    order_by=[{"field_name": "creation_time", "ascending": True}],
                    page_token=token,
                )
                found += [entry for entry in page if entry.status == LoggedModelStatus.READY]
                token = page.token
                if not token:
                    return tuple(StoredModel(entry.model_id, str(entry.artifact_location)) for entry in found)

    def stored_folders(self, model: str) -> tuple[str, ...]:
        with translated(self.uri):
            experiment = self._client.get_experiment_by_name(model)
            if experiment is None:
                return ()
            root = experiment.artifact_location.rstrip("/")
            there = list_artifacts(artifact_uri=f"{root}/models", tracking_uri=self._address)
        return tuple(f"{root}/models/{Path(entry.path).name}/artifacts" for entry in there if entry.is_dir)

    def create_version(
        self, model: str, *, run_id: str, stored: StoredModel, tags: Mapping[str, str], nonce: str
    ) -> ModelVersion:
        if made := self.find_versions(model, {"ifp.nonce": nonce}):
            return made[0]
        with translated(self.uri):
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

    def find_versions(self, model: str, tags: Mapping[str, str]) -> tuple[ModelVersion, ...]:
        wanted = [f"name = '{model}'", *(f"tag.`{key}` = '{value}'" for key, value in tags.items())]
        with translated(self.uri):
            found, token = [], None
            while True:
                page = self._client.search_model_versions(
                    " AND ".join(wanted), order_by=["version_number ASC"], page_token=token
                )
                found += [_version(entry) for entry in page]
                token = page.token
                if not token:
                    return tuple(found)

    def tag_version(self, version: ModelVersion, key: str, value: str) -> None:
        with translated(self.uri):
            self._client.set_model_version_tag(version.model, version.version, key, value)

    def version(self, model: str, version: str) -> ModelVersion:
        if version.isdecimal():  # MLflow calls anything else an invalid parameter
            with suppress(VersionNotFoundError), translated(self.uri):
                return _version(self._client.get_model_version(model, version))
        known = ", ".join(entry.version for entry in self.versions(model)) or "none"
        raise VersionNotFoundError(f"{model} has no version {version!r} at {self.uri}; its versions: {known}")

    def download(self, stored: StoredModel, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="ifp-", dir=folder.parent) as scratch, translated(self.uri):
            got = Path(
                download_artifacts(artifact_uri=stored.uri, dst_path=scratch, tracking_uri=self._address)
            )
            for entry in got.iterdir():
                entry.rename(folder / entry.name)

    def entries(self, model: str, journal: str) -> dict[str, str]:
        with translated(self.uri):
            return self._journals.entries(model, journal)

    def put_entry(self, model: str, journal: str, key: str, text: str) -> None:
        with translated(self.uri):
            self._journals.put(model, journal, key, text)

    def aliases(self, model: str) -> dict[Stage, str]:
        with translated(self.uri):
            try:
                held = self._client.get_registered_model(model).aliases
            except MlflowException as error:
                if error.error_code == code_name(RESOURCE_DOES_NOT_EXIST):
                    return {}
                raise
        return {stage: str(held[stage]) for stage in STAGES if stage in held}

    def project(self, model: str, stages: Mapping[Stage, str]) -> None:
        held = self.aliases(model)
        with translated(self.uri):
            # New pointers first: a reader that polls never sees production empty during a move.
            for stage, version in stages.items():
                if held.get(stage) != version:
                    self._set_alias(model, stage, version)
            for stage in held.keys() - stages.keys():
                self._client.delete_registered_model_alias(model, stage)

    def _set_alias(self, model: str, stage: str, version: str) -> None:
        try:
            self._client.set_registered_model_alias(model, stage, version)
        except MlflowException:
            # The first setting of an alias by two clients at once violates a UNIQUE constraint in one of
            # them.
            self._client.set_registered_model_alias(model, stage, version)

    def _experiment(self, model: str) -> str:
        if model not in self._experiments:
            self._experiments[model] = named_experiment(self._client, model)
        return self._experiments[model]


def _version(entry: Any) -> ModelVersion:
    return ModelVersion(
        model=entry.name,
        version=str(entry.version),
        run_id=str(entry.run_id or ""),
        stored=StoredModel(str(entry.tags.get("ifp.stored_model", "")), str(entry.source)),
        created=int(entry.creation_timestamp),
        tags=dict(entry.tags),
    )


def _shortened(value: str) -> str:
    return value if len(value) <= PARAM_LIMIT else f"{value[: PARAM_LIMIT - 1]}…"
