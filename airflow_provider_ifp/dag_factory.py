"""One policy, its Dags: the loop, and one each to roll back and to promote by hand.

A file in Airflow's Dags folder needs three lines:

    from pathlib import Path
    from airflow_provider_ifp.dag_factory import build_dags
    globals().update(build_dags(Path(__file__).parent / "policies"))

Nothing heavy is imported while it is parsed.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, get_parsing_context

from airflow_provider_ifp.adapters.policy.files import load_policies
from airflow_provider_ifp.core.errors import PolicyError
from airflow_provider_ifp.core.policy.model import Policy, require_training_keys
from airflow_provider_ifp.core.policy.support import unsupported
from airflow_provider_ifp.core.registry.lifecycle import STAGES
from airflow_provider_ifp.hooks.run_facts import setting
from airflow_provider_ifp.operators.promote import PromoteOperator, RollbackOperator
from airflow_provider_ifp.operators.shadow import ShadowGateOperator
from airflow_provider_ifp.operators.train import TrainOperator
from airflow_provider_ifp.operators.validation import ValidationGateOperator
from airflow_provider_ifp.sensors.drift import DriftSensor

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator


def build_dags(folder: str | Path | None = None) -> dict[str, DAG]:
    """Make the Dags of every policy in a folder.

    Args:
        folder: Holds one YAML file per model; None: `[ifp] policies_folder` of Airflow's config.

    Returns:
        Dag id -> Dag. A wrong policy gives a Dag that Airflow shows as an import error under the policy's own
        file; it takes no other model's Dags away.

    Raises:
        PolicyError: no folder is named, or it is not there.
    """
    named = folder or setting("policies_folder")
    if named is None:
        raise PolicyError(
            "build_dags: name the policies' folder, or set policies_folder in section [ifp] of airflow.cfg"
        )
    dags: dict[str, DAG] = {}
    # A task's process reads the file for one Dag, and must not stumble over another model's policy.
    wanted = get_parsing_context().dag_id
    for path, read in load_policies(Path(named)):
        try:
            if isinstance(read, PolicyError):
                raise read
            if wanted is None or wanted in read.dag_ids:
                dags |= {dag.dag_id: dag for dag in dags_of(read, path)}
        except PolicyError as error:
            broken = _broken_dag(path, error)
            dags[broken.dag_id] = broken
    return {wanted: dags[wanted]} if wanted in dags else dags


def dags_of(policy: Policy, path: Path) -> list[DAG]:
    """The Dags of one policy; none if it neither trains nor watches.

    Raises:
        PolicyError: it lacks what its Dag needs, or asks for what this release cannot do yet.
    """
    if not policy.makes_training_dag and not policy.makes_monitor_dag:
        return []
    refused = unsupported(policy)
    if refused:
        raise PolicyError("\n".join(f"{path}: {line}" for line in refused))
    if policy.makes_training_dag:
        try:
            require_training_keys(policy)
        except PolicyError as error:
            raise PolicyError(f"{path}: {error}") from None
        loop = _training_dag(policy)
    else:
        loop = _monitor_dag(policy)
    return [loop, _rollback_dag(policy), _promote_dag(policy)]


def _training_dag(policy: Policy) -> DAG:
    path = STAGES[: STAGES.index(policy.validation.promote_on_pass) + 1]
    stages = [stage for stage in path if stage != "shadow" or policy.shadow.mode != "off"]
    params = {
        "force": Param(False, type="boolean", description="Retrain though nothing fired."),
        "reason": _optional("Why, for the ledger."),
        "train_params": Param(
            None, type=["null", "object"], description="Laid over the policy's train.params."
        ),
        "stop_at": Param(
            stages[-1], type="string", enum=stages, description="The last stage that this run goes to."
        ),
        "as_of": _optional("The time of the run (ISO 8601); empty: now."),
    }
    with _dag(policy, policy.training_dag_id, policy.schedule, params) as dag:
        before: BaseOperator = _drift(policy)
        train = TrainOperator(task_id="train", policy=policy, as_of=_AS_OF, **_placement(policy))
        validate = ValidationGateOperator(
            task_id="validate", policy=policy, version=_pulled("train", "version"), as_of=_AS_OF
        )
        before >> train >> validate
        gate: ValidationGateOperator | ShadowGateOperator = validate
        before = validate
        for stage in stages:
            move = PromoteOperator(
                task_id=f"promote_{stage}",
                model=policy.model,
                version=_pulled("train", "version"),
                to=stage,
                verdict=gate.output,
                stop_at="{{ params.stop_at }}",
                policy=policy,
                as_of=_AS_OF,
            )
            before >> move
            before = move
            if stage == "shadow":
                gate = ShadowGateOperator(
                    task_id="shadow", policy=policy, version=_pulled("train", "version"), as_of=_AS_OF
                )
                before >> gate
                before = gate
    return dag


def _monitor_dag(policy: Policy) -> DAG:
    params = {
        "force": Param(False, type="boolean", description="Start the job though nothing fired."),
        "reason": _optional("Why."),
        "as_of": _optional("The time of the run (ISO 8601); empty: now."),
    }
    with _dag(policy, policy.monitor_dag_id, policy.schedule, params) as dag:
        drift = _drift(policy)
        if policy.job_dag_id is not None:
            run_config = dict(getattr(policy.job, "run_config", None) or {})
            drift >> TriggerDagRunOperator(
                task_id="trigger", trigger_dag_id=policy.job_dag_id, conf=run_config
            )
    return dag


def _rollback_dag(policy: Policy) -> DAG:
    params = {
        "to_version": _optional("The version to put back; empty: the last good one."),
        "reason": _optional("Why, for the ledger."),
    }
    with _by_hand(policy, policy.rollback_dag_id, params) as dag:
        RollbackOperator(
            task_id="rollback",
            model=policy.model,
            to_version="{{ params.to_version or '' }}",
            reason=_REASON,
            policy=policy,
        )
    return dag


def _promote_dag(policy: Policy) -> DAG:
    params = {
        "version": Param(type="string", minLength=1, description="The version to move."),
        "to": Param(
            "staging", type="string", enum=list(STAGES), description="The stage that it is to enter."
        ),
        "reason": Param(type="string", minLength=1, description="Why, for the ledger."),
    }
    with _by_hand(policy, policy.promote_dag_id, params) as dag:
        PromoteOperator(
            task_id="promote",
            model=policy.model,
            version="{{ params.version }}",
            to="{{ params.to }}",
            reason="{{ params.reason }}",
            policy=policy,
        )
    return dag


_AS_OF = "{{ params.as_of or '' }}"
_REASON = "{{ params.reason or '' }}"
_CHECK_RETRIES = 3
_CHECK_RETRY_DELAY = timedelta(seconds=20)


def _optional(description: str) -> Param:
    """A text that may stay empty: Airflow's form asks for every value whose type is not null as well."""
    return Param(None, type=["null", "string"], description=description)


def _drift(policy: Policy) -> DriftSensor:
    return DriftSensor(
        task_id="drift",
        policy=policy,
        force="{{ params.force }}",
        reason=_REASON,
        as_of=_AS_OF,
        # A check changes nothing, so it can be made again: a registry that was away for a minute costs
        # nothing.
        retries=_CHECK_RETRIES,
        retry_delay=_CHECK_RETRY_DELAY,
    )


def _pulled(task_id: str, key: str) -> str:
    return f"{{{{ ti.xcom_pull(task_ids='{task_id}')['{key}'] }}}}"


def _placement(policy: Policy) -> dict[str, Any]:
    """Pool, queue and executor_config of the training task, where the policy names them."""
    train = policy.train
    if train is None:
        return {}
    named = {"pool": train.pool, "queue": train.queue, "executor_config": dict(train.executor_config) or None}
    return {key: value for key, value in named.items() if value is not None}


def _by_hand(policy: Policy, dag_id: str, params: dict[str, Param]) -> DAG:
    """A Dag that only ever runs when somebody asks, and must then not wait for somebody to unpause it."""
    return _dag(policy, dag_id, None, params, is_paused_upon_creation=False)


def _dag(policy: Policy, dag_id: str, schedule: str | None, params: dict[str, Param], **settings: Any) -> DAG:
    start = policy.start_date
    return DAG(
        dag_id=dag_id,
        description=policy.description or f"The loop of {policy.model}",
        schedule=schedule,
        start_date=datetime(start.year, start.month, start.day, tzinfo=UTC) if start else None,
        catchup=policy.catchup,
        # Two runs at once would judge against one production and then both move it.
        max_active_runs=1,
        params=params,
        tags={"ifp", policy.model, *policy.tags},
        default_args={"owner": policy.owner or "airflow"},
        doc_md=f"Made from the policy of `{policy.model}` by `airflow_provider_ifp.dag_factory`.",
        **settings,
    )


class BrokenPolicyDag(DAG):
    """Stands for a policy that is wrong, and fails where Airflow shows it as an import error.

    Airflow takes all Dags of a file away when that file has an import error. In its Dag processor this Dag
    therefore fails a step later, when it is serialised, and under the policy's own path, so that the others
    of its file stay. A plain `DagBag` (tests, the command line) never serialises; there it fails when it is
    validated.
    """

    problem: str
    policy_path: str

    def validate(self) -> None:
        """Fail now, or under the policy's path when serialised.

        Raises:
            PolicyError: in a plain `DagBag`.
        """
        if os.environ.get("_AIRFLOW_PROCESS_CONTEXT") != "client":
            raise PolicyError(self.problem)
        base = Path(self.fileloc).parent
        for _ in Path(self.relative_fileloc or "").parts[:-1]:
            base = base.parent
        self.relative_fileloc = os.path.relpath(self.policy_path, base)

    def get_serialized_fields(self) -> Any:  # type: ignore[override]  # Airflow's is a class method, and this one needs the Dag
        """Fail, where Airflow would write this Dag into its database."""
        raise PolicyError(self.problem)


def _broken_dag(path: Path, error: PolicyError) -> BrokenPolicyDag:
    dag = BrokenPolicyDag(dag_id=f"{path.stem}-policy-error", schedule=None)
    dag.problem, dag.policy_path = str(error), str(path)
    return dag
