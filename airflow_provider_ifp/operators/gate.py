"""What both gates' tasks share: they judge, show the verdict, then pass or fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_ifp.core.errors import DigestMismatchError, ModelError, PolicyError
from airflow_provider_ifp.hooks.databases import connect, rendered
from airflow_provider_ifp.hooks.links import ReportLink
from airflow_provider_ifp.hooks.registry import ModelRegistryHook
from airflow_provider_ifp.hooks.run_facts import attempt, layers_folder, run_time, setting, to_policy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_provider_ifp.adapters.registry.protocol import Registry
    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.core.policy.model import Policy
    from airflow_provider_ifp.core.registry.moves import Attempt
    from airflow_provider_ifp.core.registry.verdict import Verdict


class Gate(Protocol):
    """Judges a candidate and records the verdict: `loop.gates.validate`, `loop.shadow.gate`."""

    def __call__(
        self,
        registry: Registry,
        policy: Policy,
        version: str,
        *,
        now: datetime,
        attempt: Attempt,
        predictions: str | None,
        connect: Connect | None,
        layers: Path | None,
    ) -> Verdict:
        """Judge."""


class GateOperator(BaseOperator):
    """A gate that says no fails its task at once, without retries, after its verdict was recorded.

    Args:
        policy: The model's policy, or the path of its file.
        version: The candidate (templated).
        registry_conn_id: Airflow connection of the registry.
        as_of: The time of the run, ISO 8601 (templated); empty: the end of the data interval, else
            `run_after`.
    """

    template_fields: Sequence[str] = ("version", "as_of")
    ui_color = "#e6f4ea"
    operator_extra_links = (ReportLink(),)
    report: str | None = None

    def __init__(
        self,
        *,
        policy: Policy | str | Path,
        version: Any,
        registry_conn_id: str = "ifp_default",
        as_of: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._policy = to_policy(policy)
        self.version = version
        self.registry_conn_id = registry_conn_id
        self.as_of = as_of

    def gate(self) -> Gate:
        """Give the gate, imported where the task runs."""
        raise NotImplementedError

    def log_root(self) -> str | None:
        """Where the prediction log is if the policy names no root."""
        return setting("predictions")

    def execute(self, context: Context) -> dict[str, Any]:
        """Judge, record, then pass or fail.

        Raises:
            AirflowFailException: the gate says no, or the candidate cannot be judged at all.
        """
        return self.decide(context)

    def decide(self, context: Context) -> dict[str, Any]:
        """As `execute`; a deferred task comes here without it."""
        registry = ModelRegistryHook(self.registry_conn_id).get_conn()
        version = str(self.version)
        try:
            policy = rendered(self, self._policy, context)
            verdict = self.gate()(
                registry,
                policy,
                version,
                now=run_time(context, self.as_of),
                attempt=attempt(context, version),
                predictions=self.log_root(),
                connect=connect,
                layers=layers_folder(),
            )
        except (PolicyError, ModelError, DigestMismatchError) as error:
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error
        return self._conclude(context, registry, policy, verdict)

    def _conclude(
        self, context: Context, registry: Registry, policy: Policy, verdict: Verdict
    ) -> dict[str, Any]:
        """Show the verdict, send word unless it is a pass, and fail where the candidate may not go on."""
        from airflow_provider_ifp.loop.gates.verdicts import PAGES
        from airflow_provider_ifp.notifications.slack import post

        run_id = registry.version(policy.model, verdict.version).run_id
        self.report = registry.file_address(run_id, PAGES[verdict.gate])
        record = verdict.to_json()
        told = f"{verdict.model} version {verdict.version}: {verdict.verdict}: {verdict.reason}"
        self.log.info("%s", told)
        if verdict.verdict != "pass":
            stops = "" if verdict.enforced else " (dry_run: nothing is stopped)"
            for entry in policy.validation.notify_on_fail:
                post(entry.slack, f"{verdict.gate} gate{stops}: {told}")
        if verdict.promotes:
            return record
        context["ti"].xcom_push(key="return_value", value=record)
        raise AirflowFailException(f"version {verdict.version}: {verdict.verdict}: {verdict.reason}")
