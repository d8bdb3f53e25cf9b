"""Judge a candidate by production's requests, before it answers anybody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_provider_ifp.hooks.run_facts import run_time
from airflow_provider_ifp.operators.gate import GateOperator
from airflow_provider_ifp.triggers.shadow import ShadowTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_provider_ifp.operators.gate import Gate

_PATIENCE = timedelta(days=7)


class ShadowGateOperator(GateOperator):
    """Hold a candidate against production on what users ask: errors, disagreement, predictions, latency.

    `shadow.mode: replay` scores logged requests again, and waits for nothing. `live` takes the pairs that a
    server mirrored; the task waits for them in the triggerer, and decides once. The verdict is recorded (the
    candidate's run, the promotion ledger, XCom) before the task fails; a gate that says no fails at once,
    without retries.

    Args, beside `GateOperator`'s:
        predictions: Root of the prediction log where the policy names none (templated); None:
            `[ifp] predictions`.
        poke_interval: Live: seconds between looks at the log.
        patience: Live: with too few pairs after this, the gate decides by what there is: inconclusive. None:
            seven days, or twice `min_duration` where that is longer.
    """

    template_fields: Sequence[str] = ("version", "predictions", "as_of")

    def __init__(
        self,
        *,
        predictions: str | None = None,
        poke_interval: float = 60,
        patience: timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.predictions = predictions
        self.poke_interval = poke_interval
        self.patience = patience

    def gate(self) -> Gate:
        """Give the shadow gate."""
        from airflow_provider_ifp.loop.shadow.gate import shadow

        return shadow

    def log_root(self) -> str | None:
        """The argument's, else the configuration's."""
        return self.predictions or super().log_root()

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
                    predictions=self.log_root(),
                    registry_conn_id=self.registry_conn_id,
                    poke_interval=self.poke_interval,
                    until=self._until().isoformat(),
                ),
                method_name="execute_complete",
            )
        return self.decide(context)

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
        return self.decide(context)

    def _until(self) -> datetime:
        patience = self.patience or max(_PATIENCE, 2 * self._policy.shadow.min_duration)
        return datetime.now(UTC) + patience
