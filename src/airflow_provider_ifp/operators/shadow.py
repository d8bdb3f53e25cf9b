"""Judge a candidate by production's requests, before it answers anybody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_provider_ifp.core.errors import DigestMismatchError, ModelError, PolicyError
from airflow_provider_ifp.hooks.databases import connect, rendered
from airflow_provider_ifp.hooks.links import ReportLink
from airflow_provider_ifp.hooks.registry import ModelRegistryHook
from airflow_provider_ifp.hooks.run_facts import attempt, layers_folder, run_time, setting, to_policy
from airflow_provider_ifp.operators.gate_outcome import conclude
from airflow_provider_ifp.triggers.shadow import ShadowTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_provider_ifp.core.policy import Policy

_PATIENCE = timedelta(days=7)


class ShadowGateOperator(BaseOperator):
    """Hold a candidate against production on what users ask: errors, disagreement, predictions, latency.

    `shadow.mode: replay` scores logged requests again, and waits for nothing. `live` takes the pairs that a
    server mirrored; the task waits for them in the triggerer, and decides once. The verdict is recorded (the
    candidate's run, the promotion ledger, XCom) before the task fails; a gate that says no fails at once,
    without retries.

    Args:
        policy: The model's policy, or the path of its file.
        version: The candidate (templated).
        predictions: Root of the prediction log where the policy names none (templated); None:
            `[ifp] predictions`.
        registry_conn_id: Airflow connection of the registry.
        as_of: The time of the run, ISO 8601 (templated); empty: the end of the data interval, else
            `run_after`.
        poke_interval: Live: seconds between looks at the log.
        patience: Live: with too few pairs after this, the gate decides by what there is: inconclusive. None:
            seven days, or twice `min_duration` where that is longer.
    """

    template_fields: Sequence[str] = ("version", "predictions", "as_of")
    ui_color = "#e6f4ea"
    operator_extra_links = (ReportLink(),)
    report: str | None = None

    def __init__(
        self,
        *,
        policy: Policy | str | Path,
        version: Any,
        predictions: str | None = None,
        registry_conn_id: str = "ifp_default",
        as_of: str | None = None,
        poke_interval: float = 60,
        patience: timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._policy = to_policy(policy)
        self.version = version
        self.predictions = predictions
        self.registry_conn_id = registry_conn_id
        self.as_of = as_of
        self.poke_interval = poke_interval
        self.patience = patience

    def execute(self, context: Context) -> dict[str, Any]:
        """Judge by replay, or wait for live traffic.

        Raises:
            AirflowFailException: the gate says no, or the candidate cannot be judged at all.
        """
        policy = self._policy
        if policy.shadow.mode == "live":
            self.defer(
                trigger=ShadowTrigger(
                    policy=policy.to_json(),
                    folder=str(policy.folder) if policy.folder else None,
                    version=str(self.version),
                    now=run_time(context, self.as_of).isoformat(),
                    predictions=self._root(),
                    registry_conn_id=self.registry_conn_id,
                    poke_interval=self.poke_interval,
                    until=self._until().isoformat(),
                ),
                method_name="execute_complete",
            )
        return self._judge(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Judge by what was mirrored.

        Raises:
            AirflowFailException: the log cannot be read, the gate says no, or the candidate cannot be judged.
            AirflowException: the registry did not answer; Airflow's retries count.
        """
        if "error" in event:
            raise (
                AirflowException(event["error"])
                if event["transient"]
                else AirflowFailException(event["error"])
            )
        self.log.info("%s pairs in %s of log time", event["pairs"], timedelta(seconds=event["duration"]))
        return self._judge(context)

    def _judge(self, context: Context) -> dict[str, Any]:
        from airflow_provider_ifp.loop.shadow import shadow

        registry = ModelRegistryHook(self.registry_conn_id).get_conn()
        version = str(self.version)
        try:
            policy = rendered(self, self._policy, context)
            verdict = shadow(
                registry,
                policy,
                version,
                now=run_time(context, self.as_of),
                attempt=attempt(context, version),
                predictions=self._root(),
                connect=connect,
                layers=layers_folder(),
            )
        except (PolicyError, ModelError, DigestMismatchError) as error:
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error
        return conclude(self, context, registry, policy, verdict)

    def _until(self) -> datetime:
        patience = self.patience or max(_PATIENCE, 2 * self._policy.shadow.min_duration)
        return datetime.now(UTC) + patience

    def _root(self) -> str | None:
        return self.predictions or setting("predictions")
