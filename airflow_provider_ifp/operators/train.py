"""Train a version on the policy's window, in a process of its own, and register it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_ifp.core.errors import (
    DatasetError,
    DatasetUnreachableError,
    EntrypointError,
    LossNotFiniteError,
    ModelError,
    PolicyError,
)
from airflow_provider_ifp.hooks.databases import connect, rendered
from airflow_provider_ifp.hooks.registry import ModelRegistryHook
from airflow_provider_ifp.hooks.run_facts import airflow_facts, attempt, cache_folder, run_time, to_policy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_provider_ifp.adapters.launch.protocol import Launcher
    from airflow_provider_ifp.core.policy.model import Policy

_NO_RETRY_HELPS = (PolicyError, EntrypointError, DatasetError, LossNotFiniteError, ModelError)


class TrainOperator(BaseOperator):
    """Run the policy's entrypoint on its training window and register what came out whole.

    Trains on the GPU where there is one, on the CPU otherwise. The trainer's output is this task's log; its
    metrics appear in MLflow while it runs. Failed or killed training registers nothing, and killing the task
    ends the whole process tree. XCom: model, version, run_id, content_digest, build_key, reused.

    Args:
        policy: The model's policy, or the path of its file.
        registry_conn_id: Airflow connection of the registry.
        train_params: Laid over the policy's `train.params` (templated).
        as_of: The time of the run, ISO 8601 (templated); empty: the end of the data interval, else
            `run_after`.
    """

    template_fields: Sequence[str] = ("train_params", "as_of")
    ui_color = "#fff4e5"

    def __init__(
        self,
        *,
        policy: Policy | str | Path,
        registry_conn_id: str = "ifp_default",
        train_params: dict[str, Any] | None = None,
        as_of: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._policy = to_policy(policy)
        self._launcher: Launcher | None = None
        self.registry_conn_id = registry_conn_id
        self.train_params = train_params
        self.as_of = as_of

    def execute(self, context: Context) -> dict[str, Any]:
        """Train and register one version, or reuse the one with the same build key.

        Raises:
            AirflowFailException: what no retry would mend: policy, entrypoint, data, a loss that is not
                finite.
            AirflowSkipException: the reused version need not be judged again; the XCom says which it is.
            TrainingError: anything else; Airflow's retries count.
        """
        from airflow_provider_ifp.adapters.launch.local import LocalLauncher
        from airflow_provider_ifp.loop.train.training import Order, reason_to_stop, train

        registry = ModelRegistryHook(self.registry_conn_id).get_conn()
        self._launcher = LocalLauncher()
        order = Order(
            policy=rendered(self, self._policy, context),
            now=run_time(context, self.as_of),
            params={**(self.train_params or {}), **(context["params"].get("train_params") or {})},
            work=cache_folder() / "training" / uuid.uuid4().hex,
            checkpoints=cache_folder() / "checkpoints",
            owner=attempt(context).nonce,
            nonce=attempt(context, try_counts=True).nonce,
            airflow=airflow_facts(context),
            connect=connect,
        )
        try:
            outcome = train(registry, order, self._launcher)
        except DatasetUnreachableError:
            raise
        except _NO_RETRY_HELPS as error:
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error
        if stop := reason_to_stop(registry, outcome):
            context["ti"].xcom_push(key="return_value", value=outcome)
            self.log.info("nothing goes on from here: %s", stop)
            raise AirflowSkipException(stop)
        self.log.info(
            "registered %s version %s (%s)", outcome["model"], outcome["version"], outcome["content_digest"]
        )
        return outcome

    def on_kill(self) -> None:
        """End the trainer and all that it started, within Airflow's five seconds."""
        if self._launcher is not None:
            self._launcher.kill()
