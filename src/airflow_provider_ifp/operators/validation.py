"""Judge a candidate: good enough, and no worse than production, on one holdout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_ifp.core.errors import DigestMismatchError, ModelError, PolicyError
from airflow_provider_ifp.hooks.databases import connect, rendered
from airflow_provider_ifp.hooks.links import ReportLink
from airflow_provider_ifp.hooks.registry import ModelRegistryHook
from airflow_provider_ifp.hooks.run_facts import attempt, layers_folder, run_time, setting, to_policy
from airflow_provider_ifp.operators.gate_outcome import conclude

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_provider_ifp.core.policy import Policy


class ValidationGateOperator(BaseOperator):
    """Hold a candidate against its bounds and against production, both scored now on the same holdout.

    The verdict is recorded (the candidate's run, the promotion ledger, XCom) before the task fails; a gate
    that says no fails at once, without retries.

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

    def execute(self, context: Context) -> dict[str, Any]:
        """Judge, record, then pass or fail.

        Raises:
            AirflowFailException: the gate says no, or the candidate cannot be judged at all.
        """
        from airflow_provider_ifp.loop.validate import validate

        registry = ModelRegistryHook(self.registry_conn_id).get_conn()
        version, now = str(self.version), run_time(context, self.as_of)
        try:
            policy = rendered(self, self._policy, context)
            verdict = validate(
                registry,
                policy,
                version,
                now=now,
                attempt=attempt(context, version),
                predictions=setting("predictions"),
                connect=connect,
                layers=layers_folder(),
            )
        except (PolicyError, ModelError, DigestMismatchError) as error:
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error
        return conclude(self, context, registry, policy, verdict)
