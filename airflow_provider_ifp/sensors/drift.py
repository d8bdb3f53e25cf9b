"""Hold what production answers against what it was trained on; fire when it has moved."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.utils.skipmixin import SkipMixin
from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_provider_ifp.hooks.assets import announce, announced
from airflow_provider_ifp.hooks.databases import rendered
from airflow_provider_ifp.hooks.links import ReportLink
from airflow_provider_ifp.hooks.run_facts import run_time, setting, to_policy, truth
from airflow_provider_ifp.triggers.drift import DriftTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_provider_ifp.core.policy.model import Policy


class DriftSensor(BaseSensorOperator, SkipMixin):
    """Compare the current window of the prediction log with the production version's own profile.

    The check runs in the triggerer, so that it holds no worker slot. Not fired or undecided: the task
    succeeds with its result and everything after it is skipped. Fired: what comes after runs, and the asset
    `ifp://<model>/drift` gets an event.

    Args:
        policy: The model's policy, or the path of its file.
        predictions: Root of the prediction log where the policy names none; None: `[ifp] predictions`.
        registry_conn_id: Airflow connection of the registry.
        wait: Check again every `poke_interval` until it fires, in Dags of one's own.
        force: Fire without a check (templated).
        reason: Why, when forced (templated).
        as_of: The time of the run, ISO 8601 (templated); empty: the end of the data interval, else
            `run_after`.
    """

    template_fields: Sequence[str] = ("predictions", "force", "reason", "as_of")
    ui_color = "#e8f0fe"
    operator_extra_links = (ReportLink(),)
    report: str | None = None

    def __init__(
        self,
        *,
        policy: Policy | str | Path,
        predictions: str | None = None,
        registry_conn_id: str = "ifp_default",
        wait: bool = False,
        force: bool | str = False,
        reason: str = "",
        as_of: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._policy = to_policy(policy)
        self._firing = announced(self._policy.model, "drift")
        super().__init__(**{**kwargs, "outlets": [*(kwargs.get("outlets") or ()), self._firing]})
        self.predictions = predictions
        self.registry_conn_id = registry_conn_id
        self.wait = wait
        self.force = force
        self.reason = reason
        self.as_of = as_of

    def execute(self, context: Context) -> None:
        """Hand the check to the triggerer.

        Raises:
            AirflowFailException: `data.source.query`, by which labels are found, is no template.
        """
        # Without a key nothing is joined, and the query is the training's own affair.
        policy = rendered(self, self._policy, context) if self._policy.data.key else self._policy
        self.defer(
            trigger=DriftTrigger(
                policy=policy.to_json(),
                folder=str(policy.folder) if policy.folder else None,
                now=run_time(context, self.as_of).isoformat(),
                predictions=self.predictions or setting("predictions"),
                registry_conn_id=self.registry_conn_id,
                force=truth(self.force),
                reason=self.reason or "",
                wait=self.wait,
                poke_interval=self.poke_interval,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Take the check's result; skip what follows unless it fired.

        Raises:
            AirflowFailException: the check could not be decided: no log, a damaged file; no retry would help.
            AirflowException: the registry did not answer; Airflow's retries count.
        """
        if "error" in event:
            raise (
                AirflowException(event["error"])
                if event["transient"]
                else AirflowFailException(event["error"])
            )
        result: dict[str, Any] = event["result"]
        self.report = result.get("report")
        said = "fired" if result["fired"] else "not fired" if result["decided"] else "undecided"
        self.log.info("%s %s: %s", self._policy.model, said, "; ".join(result["reasons"]))
        if result["fired"]:
            announce(context, self._firing, reasons=result["reasons"])
            return result
        context["ti"].xcom_push(key="return_value", value=result)
        self.skip(ti=context["ti"], tasks=self.get_flat_relatives(upstream=False))
        return result
