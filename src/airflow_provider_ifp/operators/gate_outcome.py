"""What a gate's task does with its verdict: show it, then pass or fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_ifp.adapters.registry import Registry
    from airflow_provider_ifp.core.policy import Policy
    from airflow_provider_ifp.core.verdict import Verdict


class GateTask(Protocol):
    """A task whose link leads to the verdict's page."""

    report: str | None

    @property
    def log(self) -> Any:
        """The task's log."""


def conclude(
    task: GateTask, context: Context, registry: Registry, policy: Policy, verdict: Verdict
) -> dict[str, Any]:
    """Return the verdict that lets the candidate go on, or push it, send word, and fail without retries.

    Raises:
        AirflowFailException: the gate says no, or cannot say.
    """
    from airflow_provider_ifp.loop.verdicts import PAGES
    from airflow_provider_ifp.notifications.slack import post

    run_id = registry.version(policy.model, verdict.version).run_id
    task.report = registry.file_address(run_id, PAGES[verdict.gate])
    record = verdict.to_json()
    task.log.info("%s version %s: %s: %s", verdict.model, verdict.version, verdict.verdict, verdict.reason)
    if verdict.promotes:
        return record
    context["ti"].xcom_push(key="return_value", value=record)
    for entry in policy.validation.notify_on_fail:
        post(entry.slack, f"{policy.model} version {verdict.version} did not pass its gate: {verdict.reason}")
    raise AirflowFailException(f"version {verdict.version}: {verdict.verdict}: {verdict.reason}")
