"""What fires (`trigger`), and what a firing starts (`job`)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, GetJsonSchemaHandler, Strict, Tag, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from airflow_provider_ifp.core.policy.durations import PositiveDuration
from airflow_provider_ifp.core.policy.types import (
    Count,
    Cron,
    DagId,
    JsonMapping,
    Positive,
    Section,
    Text,
    refusals,
    tag_reader,
)

P_VALUES = frozenset({"ks_pvalue", "chi2_pvalue"})
"""Drift metrics that fire below their threshold; the others fire above."""


class DriftCondition(Section):
    """The current window drifts from what production was trained on; the text `drift` is short for it.

    Attributes:
        metric: what is held against the threshold; None: what `monitor.methods` enables.
        threshold: psi, wasserstein and js fire above it, p-values below; None: the method's own.
        window: length of the current window; None: `monitor.evaluation_window`.
        feature_group: only the features of this group of `monitor.feature_groups`.
    """

    type: Literal["drift"] = "drift"
    metric: Literal["psi", "ks_pvalue", "wasserstein", "js", "chi2_pvalue"] | None = None
    threshold: Positive | None = None
    window: PositiveDuration | None = None
    feature_group: Text | None = None

    @model_validator(mode="after")
    def _check_threshold(self) -> Self:
        if self.threshold is not None and self.metric is None:
            raise refusals([(("threshold",), "needs `metric` beside it: a threshold of what?")])
        if self.threshold is not None and self.metric in P_VALUES and self.threshold >= 1:
            raise refusals([(("threshold",), f"expected a p-value under 1, found {self.threshold}")])
        return self


class MetricCondition(Section):
    """A metric on labelled rows of the prediction log passes a value, once there are labels enough.

    Attributes:
        evaluation_window: None: `monitor.evaluation_window`.
        min_labeled_rows: None: `monitor.min_rows`.
    """

    type: Literal["metric_threshold"] = "metric_threshold"
    metric: Text
    operator: Literal["lt", "gt", "lte", "gte"]
    value: float
    evaluation_window: PositiveDuration | None = None
    min_labeled_rows: Count | None = None


class FreshnessCondition(Section):
    """The data that production was trained on is older than this."""

    type: Literal["data_freshness"] = "data_freshness"
    max_age: PositiveDuration


class NewRowsCondition(Section):
    """At least so many labelled rows came since production was trained."""

    type: Literal["new_labeled_rows"] = "new_labeled_rows"
    min: Count


class ScheduleCondition(Section):
    """A cron time (UTC) passed since the last check."""

    type: Literal["schedule"] = "schedule"
    cron: Cron


Leaf = DriftCondition | MetricCondition | FreshnessCondition | NewRowsCondition | ScheduleCondition
CONDITION_TAGS = {
    "drift": "<drift>",
    "metric_threshold": "<metric_threshold>",
    "data_freshness": "<data_freshness>",
    "new_labeled_rows": "<new_labeled_rows>",
    "schedule": "<schedule>",
}
_leaf_tag = tag_reader(CONDITION_TAGS)


def _condition_tag(value: Any) -> str | None:
    nested = isinstance(value, Mapping) and "type" not in value and ("any" in value or "all" in value)
    return "<group>" if nested or isinstance(value, TriggerGroup) else _leaf_tag(value)


class _DriftAsText:
    """Let the JSON Schema know the short form."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"const": "drift"}, handler(schema)]}


class TriggerGroup(Section):
    """Conditions of which any one, or all together, must hold; groups nest."""

    any: Annotated[tuple["Condition", ...], Strict(False), Field(min_length=1)] | None = None
    all: Annotated[tuple["Condition", ...], Strict(False), Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.any is None) == (self.all is None):
            found = "neither" if self.any is None else "both"
            raise refusals([((), f"expected `any` or `all`, found {found}")])
        return self

    def leaves(self) -> Iterator[Leaf]:
        """Give the conditions themselves, in the order of the file, whatever the nesting."""
        for condition in self.any or self.all or ():
            if isinstance(condition, TriggerGroup):
                yield from condition.leaves()
            else:
                yield condition


Condition = Annotated[
    Annotated[DriftCondition, Tag("<drift>")]
    | Annotated[MetricCondition, Tag("<metric_threshold>")]
    | Annotated[FreshnessCondition, Tag("<data_freshness>")]
    | Annotated[NewRowsCondition, Tag("<new_labeled_rows>")]
    | Annotated[ScheduleCondition, Tag("<schedule>")]
    | Annotated[TriggerGroup, Tag("<group>")],
    Discriminator(
        _condition_tag,
        custom_error_type="unknown_type",
        custom_error_message=", ".join(CONDITION_TAGS),
    ),
    BeforeValidator(lambda value: {"type": "drift"} if value == "drift" else value),
    _DriftAsText(),
]
TriggerGroup.model_rebuild()


class AirflowDagJob(Section):
    """This policy's own Dag, or one by another hand.

    Attributes:
        dag_id: None: this policy's own.
        conn_id: Airflow connection of another Airflow; None: this one.
        run_config: the started run's `conf`.
    """

    type: Literal["airflow_dag"] = "airflow_dag"
    dag_id: DagId | None = None
    conn_id: Text | None = None
    run_config: JsonMapping = Field(default_factory=dict)


class GithubActionsJob(Section):
    """A workflow of a GitHub repository."""

    type: Literal["github_actions"] = "github_actions"
    conn_id: Text | None = None
    repo: Text | None = None
    workflow: Text | None = None
    ref: Text | None = None
    inputs: JsonMapping = Field(default_factory=dict)


class SagemakerPipelineJob(Section):
    """A pipeline of Amazon SageMaker."""

    type: Literal["sagemaker_pipeline"] = "sagemaker_pipeline"
    conn_id: Text | None = None
    name: Text | None = None
    parameters: JsonMapping = Field(default_factory=dict)


class KubeflowPipelineJob(Section):
    """A Kubeflow pipeline."""

    type: Literal["kubeflow_pipeline"] = "kubeflow_pipeline"
    conn_id: Text | None = None
    pipeline: Text | None = None
    experiment: Text | None = None
    parameters: JsonMapping = Field(default_factory=dict)


JOB_TAGS = {
    "airflow_dag": "<airflow_dag>",
    "github_actions": "<github_actions>",
    "sagemaker_pipeline": "<sagemaker_pipeline>",
    "kubeflow_pipeline": "<kubeflow_pipeline>",
}
Job = Annotated[
    Annotated[AirflowDagJob, Tag("<airflow_dag>")]
    | Annotated[GithubActionsJob, Tag("<github_actions>")]
    | Annotated[SagemakerPipelineJob, Tag("<sagemaker_pipeline>")]
    | Annotated[KubeflowPipelineJob, Tag("<kubeflow_pipeline>")],
    Discriminator(
        tag_reader(JOB_TAGS),
        custom_error_type="unknown_type",
        custom_error_message=", ".join(JOB_TAGS),
    ),
]
