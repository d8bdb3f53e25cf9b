"""Write-once entries on MLflow: one run per model and journal, whose params are the entries.

`log_param` is write-once (of racing writers exactly one wins, a repeat with the same value succeeds, nothing
deletes a param), so it is the compare-and-set. Creating runs is none; but names of experiments are unique,
and tags come with creation: the experiment `.../genesis` elects the run, and losers read its tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_ALREADY_EXISTS

from airflow_provider_ifp.adapters.registry.mlflow.errors import code_name
from airflow_provider_ifp.adapters.registry.protocol import PROMOTION
from airflow_provider_ifp.core.errors import LedgerConflictError, RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LEDGER = "ifp-ledger"
PARAM_LIMIT = 6000  # past this MLflow cuts a param silently
_ELECTED = "ifp.ledger_run"
_DELETED = "deleted"


class MlflowJournals:
    """The journals of every model on one MLflow.

    Args:
        client: MLflow's client.
        uri: Its address without credentials, for messages.
    """

    def __init__(self, client: MlflowClient, uri: str) -> None:
        self._client = client
        self._uri = uri
        self._runs: dict[tuple[str, str], str] = {}
        self._experiments: dict[str, str] = {}

    def entries(self, model: str, journal: str) -> dict[str, str]:
        """All entries; empty if nobody ever wrote one."""
        run_id = self._run_id(model, journal)
        return {} if run_id is None else dict(self._run(run_id).data.params)

    def has(self, model: str, journal: str, key: str) -> bool:
        """Whether there is such an entry; MLflow searches its index, and sends the others only with a yes."""
        run_id = self._run_id(model, journal)
        if run_id is None:
            return False
        experiment = self._experiments.get(run_id) or str(self._run(run_id).info.experiment_id)
        wanted = f"attributes.run_id = '{run_id}' AND params.`{key}` != ''"
        return bool(self._client.search_runs([experiment], wanted, ViewType.ALL, max_results=1))

    def put(self, model: str, journal: str, key: str, text: str) -> None:
        """Write an entry once.

        Raises:
            LedgerConflictError: the key has another text.
            RegistryError: the text is too long for MLflow.
        """
        if len(text) >= PARAM_LIMIT:
            raise RegistryError(
                f"{model}: {journal} entry {key} has {len(text)} characters, more than {PARAM_LIMIT}; "
                "shorten its reason"
            )
        run_id = self._run_id(model, journal) or self._elect(model, journal)
        try:
            self._client.log_param(run_id, key, text)
        except MlflowException as error:
            if error.error_code != code_name(INVALID_PARAMETER_VALUE):
                raise
            found = self._client.get_run(run_id)
            if found.info.lifecycle_stage == _DELETED:
                raise RegistryError(
                    f"{model}: the run {run_id} that holds its {journal} journal was deleted in MLflow at "
                    f"{self._uri}; restore it (`mlflow runs restore --run-id {run_id}`)"
                ) from error
            if found.data.params.get(key) == text:
                return
            if key not in found.data.params:
                raise
            raise LedgerConflictError(f"{model}: another writer took {journal} entry {key}") from error

    def find_run(self, model: str, journal: str) -> str | None:
        """The id of the run that holds a journal; None if nobody ever wrote to it."""
        return self._run_id(model, journal)

    def _run(self, run_id: str) -> Run:
        found = self._client.get_run(run_id)
        self._experiments[run_id] = str(found.info.experiment_id)
        return found

    def _run_id(self, model: str, journal: str) -> str | None:
        known = self._runs.get((model, journal))
        if known is not None:
            return known
        genesis = _genesis(model, journal)
        elected = self._client.get_experiment_by_name(genesis)
        if elected is None:
            return None
        if elected.lifecycle_stage == _DELETED:
            raise RegistryError(
                f"{model}: experiment {genesis!r} at {self._uri} was deleted, and it says where the "
                f"{journal} journal is; restore it (`mlflow experiments restore -x {elected.experiment_id}`)"
            )
        if _ELECTED not in elected.tags:
            raise RegistryError(
                f"{model}: experiment {genesis!r} at {self._uri} has no tag {_ELECTED!r}, so its {journal} "
                "journal cannot be found; restore that tag"
            )
        self._runs[model, journal] = str(elected.tags[_ELECTED])
        return self._runs[model, journal]

    def _elect(self, model: str, journal: str) -> str:
        experiment = named_experiment(self._client, f"{LEDGER}/{model}")
        mine = str(self._client.create_run(experiment, run_name=f"{model} {journal} journal").info.run_id)
        try:
            self._client.create_experiment(_genesis(model, journal), tags={_ELECTED: mine})
        except MlflowException as error:
            if error.error_code != code_name(RESOURCE_ALREADY_EXISTS):
                raise
        elected = self._run_id(model, journal)
        if elected is None:
            raise RegistryError(
                f"{model}: MLflow at {self._uri} lost the experiment that it had just created"
            )
        if elected != mine:
            self._client.delete_run(mine)
        return elected


def named_experiment(client: MlflowClient, name: str, artifact_root: str | None = None) -> str:
    """The id of an experiment, made if need be; whoever loses the race for a name finds the other's.

    Args:
        client: MLflow's client.
        name: Of the experiment.
        artifact_root: A new one's files go into a folder of its name there; None: MLflow decides.
    """
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_root and f"{artifact_root}/{name}"))
        except MlflowException as error:
            found = client.get_experiment_by_name(name)
            if error.error_code != code_name(RESOURCE_ALREADY_EXISTS) or found is None:
                raise
    if found.lifecycle_stage == _DELETED:
        raise RegistryError(
            f"MLflow's experiment {name!r} was deleted, and takes no runs; restore it (`mlflow experiments "
            f"restore -x {found.experiment_id}`)"
        )
    return str(found.experiment_id)


def _genesis(model: str, journal: str) -> str:
    return f"{LEDGER}/{model}/genesis" if journal == PROMOTION else f"{LEDGER}/{model}/{journal}/genesis"
