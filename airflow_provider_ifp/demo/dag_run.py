"""One run of the loop's Dag, started and watched through Airflow's API, and what its tasks said."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.core.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_ifp.demo.airflow_api import AirflowApi

_SECONDS = 300.0
_LOOK_SECONDS = 1.0
_DONE = {"success", "failed"}
_RESULTS = ("drift", "train", "validate", "shadow")
_SHOWN_LINES = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopRun:
    """What a run of the loop said, task by task, as its XComs hold it.

    Attributes:
        as_of: The time of the run, such as `2013-07-01`.
        seconds: How long it took.
        drift: The check's result.
        train: The version that was trained or reused; None: nothing fired.
        verdict: The gates' answer; None: nothing was judged.
        shadow: The shadow gate's answer; None: it was not asked.
    """

    as_of: str
    seconds: float
    drift: Mapping[str, Any]
    train: Mapping[str, Any] | None
    verdict: Mapping[str, Any] | None
    shadow: Mapping[str, Any] | None

    @property
    def version(self) -> str | None:
        """The version that came of it, whatever became of it."""
        return str(self.train["version"]) if self.train else None

    @property
    def reason(self) -> str:
        """Why it fired, or did not."""
        return "; ".join(self.drift["reasons"])

    @property
    def largest(self) -> Mapping[str, Any] | None:
        """The feature with the largest PSI; None where nothing was compared."""
        return next(iter(self.drift["features"]), None)


def run_loop(
    api: AirflowApi,
    dag_id: str,
    as_of: str,
    *,
    on_wait: Callable[[str], None],
    on_training: Callable[[], None],
) -> LoopRun:
    """Trigger the Dag as of a day, as the button in Airflow's pages does, and wait for its end.

    Args:
        api: A user's session.
        dag_id: The loop's Dag.
        as_of: The time of the run.
        on_wait: Told about once a second what is being waited for.
        on_training: Called once, when the training begins.

    Raises:
        ServiceError: the run did not end in time, or failed otherwise than by a gate that said no.
    """
    started = time.monotonic()
    trains = False
    run_id = api.trigger(dag_id, {"as_of": as_of, "reason": f"the month before {as_of} is complete"})
    while (state := api.run_state(dag_id, run_id)) not in _DONE:
        seconds = time.monotonic() - started
        tasks = api.task_states(dag_id, run_id)
        if seconds > _SECONDS:
            raise ServiceError(f"{dag_id} {run_id} did not end within {_SECONDS:.0f} s; its tasks: {tasks}")
        if tasks.get("train") == "running" and not trains:
            trains = True
            on_training()
        on_wait(_doing(tasks))
        time.sleep(_LOOK_SECONDS)
    drift, train, verdict, shadow = (api.result(dag_id, run_id, task) for task in _RESULTS)
    refused = any(said is not None and said["verdict"] != "pass" for said in (verdict, shadow))
    if drift is None or (state == "failed" and not refused):
        raise ServiceError(_tell_failure(api, dag_id, run_id))
    seconds = time.monotonic() - started
    return LoopRun(as_of=as_of, seconds=seconds, drift=drift, train=train, verdict=verdict, shadow=shadow)


def _doing(tasks: Mapping[str, str | None]) -> str:
    busy = [
        f"{task} is {state.replace('_', ' ')}" for task, state in tasks.items() if state and not _ended(state)
    ]
    return ", ".join(busy) or "the scheduler takes the next step"


def _ended(state: str) -> bool:
    return state in {"success", "failed", "skipped", "upstream_failed", "removed"}


def _tell_failure(api: AirflowApi, dag_id: str, run_id: str) -> str:
    failed = [task for task, state in api.task_states(dag_id, run_id).items() if state == "failed"]
    logs = [
        f"{task}:\n" + "\n".join(api.log(dag_id, run_id, task).splitlines()[-_SHOWN_LINES:])
        for task in failed
    ]
    return f"{dag_id} {run_id} failed; " + (
        "\n".join(logs) or "no task of it failed, so look into its scheduler's log"
    )
