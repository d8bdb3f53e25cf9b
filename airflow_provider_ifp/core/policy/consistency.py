"""What must fit together between the policy's sections, each of which is right by itself."""

from typing import TYPE_CHECKING

from airflow_provider_ifp.core.metrics.names import metric_problem
from airflow_provider_ifp.core.policy.trigger import (
    AirflowDagJob,
    DriftCondition,
    MetricCondition,
    TriggerGroup,
)
from airflow_provider_ifp.core.policy.types import Path

if TYPE_CHECKING:
    from airflow_provider_ifp.core.policy.model import Policy


def inconsistencies(policy: "Policy") -> list[tuple[Path, str]]:
    """List what contradicts what, each at the key to change."""
    return [*_problems_of_keys(policy), *_problems_of_conditions(policy), *_problems_of_dags(policy)]


def _problems_of_keys(policy: "Policy") -> list[tuple[Path, str]]:
    problems: list[tuple[Path, str]] = []
    if policy.catchup and policy.start_date is None:
        problems.append((("catchup",), "needs start_date: from when on is there something to catch up with?"))
    if policy.validation.promote_on_pass == "shadow" and policy.shadow.mode == "off":  # noqa: S105 - a stage
        problems.append(
            (("validation", "promote_on_pass"), "shadow needs shadow.mode replay or live, found off")
        )
    methods = policy.watch.methods
    if not any(getattr(methods, name).enabled for name in type(methods).model_fields):
        problems.append((("monitor", "methods"), "all are disabled; enable one, or nothing is ever found"))
    return problems


def _problems_of_conditions(policy: "Policy") -> list[tuple[Path, str]]:
    """Hold the trigger's conditions against metrics and feature groups that stand elsewhere in the file."""
    problems: list[tuple[Path, str]] = []
    groups = [group.name for group in policy.watch.feature_groups]

    def walk(group: TriggerGroup, place: Path) -> None:
        name = "any" if group.any else "all"
        for index, condition in enumerate(group.any or group.all or ()):
            here = (*place, name, index)
            if isinstance(condition, TriggerGroup):
                walk(condition, here)
            elif isinstance(condition, MetricCondition):
                unknown = metric_problem(condition.metric, policy.validation.metrics)
                if unknown:
                    problems.append(((*here, "metric"), unknown))
            elif isinstance(condition, DriftCondition) and condition.feature_group not in (None, *groups):
                known = ", ".join(groups) or "none"
                text = f"unknown group {condition.feature_group!r}; monitor.feature_groups has {known}"
                problems.append(((*here, "feature_group"), text))

    walk(policy.trigger, ("trigger",))
    return problems


def _problems_of_dags(policy: "Policy") -> list[tuple[Path, str]]:
    """Refuse names that would put two Dags in one place, or a Dag that starts itself."""
    job = policy.job
    pipeline = policy.monitor.on_trigger.pipeline if policy.monitor else None
    place: Path = ("monitor", "on_trigger", "pipeline")
    if (
        policy.train is None
        and isinstance(job, AirflowDagJob)
        and job.dag_id
        and pipeline not in (None, job.dag_id)
    ):
        return [(place, f"names {pipeline!r}, but job.dag_id names {job.dag_id!r}; leave one of them out")]
    taken = {policy.rollback_dag_id, policy.promote_dag_id, policy.monitor_dag_id}
    if pipeline in taken:
        return [(place, f"{pipeline!r} is the name of another Dag of this policy")]
    if policy.train is None and isinstance(job, AirflowDagJob) and job.dag_id in taken:
        return [
            (("job", "dag_id"), f"{job.dag_id!r} is the name of this policy's own Dag: it would start itself")
        ]
    return []
