"""What must fit together between the policy's sections, each of which is right by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_ifp.core.metrics.names import metric_problem
from airflow_provider_ifp.core.policy.trigger import (
    AirflowDagJob,
    DriftCondition,
    MetricCondition,
    TriggerGroup,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from airflow_provider_ifp.core.policy.monitor import MonitorSection
    from airflow_provider_ifp.core.policy.sections import ShadowSection, TrainSection
    from airflow_provider_ifp.core.policy.trigger import Job
    from airflow_provider_ifp.core.policy.types import Path
    from airflow_provider_ifp.core.policy.validation import ValidationSection

    Problems = list[tuple[Path, str]]
    """What contradicts what, each at the key to change."""


def problems_of_schedule(start_date: date | None, *, catchup: bool) -> Problems:
    """Refuse to catch up with nothing."""
    if catchup and start_date is None:
        return [(("catchup",), "needs start_date: from when on is there something to catch up with?")]
    return []


def problems_of_shadow(validation: ValidationSection, shadow: ShadowSection) -> Problems:
    """Refuse a promotion to a stage that is off."""
    if validation.promote_on_pass == "shadow" and shadow.mode == "off":  # noqa: S105 - a stage
        return [(("validation", "promote_on_pass"), "shadow needs shadow.mode replay or live, found off")]
    return []


def problems_of_methods(watch: MonitorSection) -> Problems:
    """Refuse a watch that looks at nothing."""
    methods = watch.methods
    if not any(getattr(methods, name).enabled for name in type(methods).model_fields):
        return [(("monitor", "methods"), "all are disabled; enable one, or nothing is ever found")]
    return []


def problems_of_conditions(
    trigger: TriggerGroup, watch: MonitorSection, validation: ValidationSection
) -> Problems:
    """Hold the trigger's conditions against metrics and feature groups that stand elsewhere in the file."""
    problems: Problems = []
    groups = [group.name for group in watch.feature_groups]

    def walk(group: TriggerGroup, place: Path) -> None:
        name = "any" if group.any else "all"
        for index, condition in enumerate(group.any or group.all or ()):
            here = (*place, name, index)
            if isinstance(condition, TriggerGroup):
                walk(condition, here)
            elif isinstance(condition, MetricCondition):
                unknown = metric_problem(condition.metric, validation.metrics)
                if unknown:
                    problems.append(((*here, "metric"), unknown))
            elif isinstance(condition, DriftCondition) and condition.feature_group not in (None, *groups):
                known = ", ".join(groups) or "none"
                text = f"unknown group {condition.feature_group!r}; monitor.feature_groups has {known}"
                problems.append(((*here, "feature_group"), text))

    walk(trigger, ("trigger",))
    return problems


def problems_of_dags(
    train: TrainSection | None, monitor: MonitorSection | None, job: Job | None, taken: Collection[str]
) -> Problems:
    """Refuse names that would put two Dags in one place, or a Dag that starts itself.

    Args:
        train: Without it a firing starts a Dag by another hand.
        monitor: May name the Dag that a firing starts.
        job: May do so, too.
        taken: Names of the policy's other Dags.
    """
    pipeline = monitor.on_trigger.pipeline if monitor else None
    place: Path = ("monitor", "on_trigger", "pipeline")
    if train is None and isinstance(job, AirflowDagJob) and job.dag_id and pipeline not in (None, job.dag_id):
        return [(place, f"names {pipeline!r}, but job.dag_id names {job.dag_id!r}; leave one of them out")]
    if pipeline in taken:
        return [(place, f"{pipeline!r} is the name of another Dag of this policy")]
    if train is None and isinstance(job, AirflowDagJob) and job.dag_id in taken:
        return [
            (("job", "dag_id"), f"{job.dag_id!r} is the name of this policy's own Dag: it would start itself")
        ]
    return []
