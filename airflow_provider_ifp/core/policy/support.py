"""What the contract's policy can say and this release does not do yet.

The Dag factory refuses such a policy with these lines. Nothing is accepted and then ignored.
"""

from collections.abc import Iterator
from datetime import timedelta

from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.core.policy.sections import TrainSection
from airflow_provider_ifp.core.policy.trigger import AirflowDagJob, DriftCondition


def unsupported(policy: Policy) -> list[str]:
    """List what a Dag of this policy would need and this release lacks, as `key: why`, in a stable order.

    >>> unsupported(Policy.from_json({"model": "fares", "cooldown": "48h"}))
    ['cooldown: 2d is not kept yet; leave it at 0h']
    """
    return [
        *_unsupported_timing(policy),
        *_unsupported_data(policy),
        *_unsupported_training(policy.train or TrainSection()),
        *_unsupported_trigger(policy),
        *_unsupported_job(policy),
        *_unsupported_gates(policy),
    ]


def _unsupported_timing(policy: Policy) -> Iterator[str]:
    if policy.schedule == "on_drift":
        yield "schedule: on_drift is not built yet; give a cron expression: each of its runs checks for drift"


def _unsupported_data(policy: Policy) -> Iterator[str]:
    data = policy.data
    if data.filter is not None:
        yield "data.filter: is not applied yet; filter in data.source.query, or when the dataset is written"


def _unsupported_training(train: TrainSection) -> Iterator[str]:
    if train.launcher != "local":
        yield f"train.launcher: {train.launcher} is not built yet; local is"
    if train.processes != 1:
        yield f"train.processes: {train.processes} needs torchrun, which is not built yet; leave it at 1"


def _unsupported_trigger(policy: Policy) -> Iterator[str]:
    conditions = list(policy.trigger.leaves())
    for kind in dict.fromkeys(leaf.type for leaf in conditions if not isinstance(leaf, DriftCondition)):
        yield f"trigger: conditions of type {kind} are not built yet; drift is"
    if policy.cooldown > timedelta(0):
        yield f"cooldown: {policy.to_json()['cooldown']} is not kept yet; leave it at 0h"
    if policy.budget is not None:
        yield "budget: is not kept yet; leave it out"


def _unsupported_job(policy: Policy) -> Iterator[str]:
    job = policy.job
    if job is None:
        return
    if not isinstance(job, AirflowDagJob):
        yield f"job.type: {job.type} is not built yet; airflow_dag is"
        return
    if job.conn_id is not None:
        yield "job.conn_id: starting a Dag of another Airflow is not built yet; leave it out"
    if policy.train is None:
        if policy.job_dag_id is None:
            yield "job.dag_id: missing; without `train`, the Dag that a firing starts must be named"
        return
    if job.dag_id not in (None, policy.training_dag_id):
        yield "job.dag_id: with `train`, a firing starts this policy's own Dag; leave it out"
    if set(job.run_config) - {"auto_promote"}:
        yield "job.run_config: this policy's own Dag takes none; put parameters under train.params"


def _unsupported_gates(policy: Policy) -> Iterator[str]:
    if policy.promotion.approval != "none":
        yield f"promotion.approval: {policy.promotion.approval} is not built yet; none is"
    if policy.notify:
        yield "notify: is not built yet; validation.notify_on_fail is"
