"""The policy: what one YAML file per model says, checked and frozen.

    YAML --adapters.policy--> mapping --dialects--> canonical mapping --Policy.from_json--> Policy

Values such as `${NAME}` and relative paths stay as written, so that no secret is shown and the digest is the
same on every machine; `Policy.resolve` gives what they stand for. Light on purpose: every Dag file imports
this.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path as FolderPath
from typing import Annotated, Any, Self

from pydantic import ConfigDict, PrivateAttr, Strict, ValidationError, model_validator

from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.errors import PolicyError, PredictionLogError
from airflow_provider_ifp.core.policy.consistency import (
    problems_of_conditions,
    problems_of_dags,
    problems_of_methods,
    problems_of_schedule,
    problems_of_shadow,
)
from airflow_provider_ifp.core.policy.durations import Duration
from airflow_provider_ifp.core.policy.monitor import MonitorSection
from airflow_provider_ifp.core.policy.places import resolve_place
from airflow_provider_ifp.core.policy.problems import policy_problems
from airflow_provider_ifp.core.policy.sections import (
    BudgetSection,
    DataSection,
    Notification,
    PromotionSection,
    ShadowSection,
    SqlSource,
    TrainSection,
)
from airflow_provider_ifp.core.policy.trigger import (
    AirflowDagJob,
    DriftCondition,
    Job,
    TriggerGroup,
)
from airflow_provider_ifp.core.policy.types import (
    ModelName,
    Names,
    Schedule,
    Section,
    StartDate,
    refusals,
)
from airflow_provider_ifp.core.policy.validation import ValidationSection

_TRAINING_KEYS = (("data", "source"), ("data", "time_column"), ("data", "label"), ("train", "entrypoint"))


def _describe_open(schema: dict[str, Any]) -> None:
    """A file may leave `model` out: its name is the default."""
    schema.pop("required", None)


class Policy(Section):
    """One model's policy. Attributes are the file's keys; sections stand in `policy_sections` and beside it.

    >>> policy = Policy.from_json({"model": "fares", "validation": {"min_f1": 0.88}})
    >>> policy.validation.bounds, policy.training_dag_id
    ((Bound(metric='f1', minimum=0.88, maximum=None),), 'fares-training-dag')
    >>> Policy.from_json(policy.to_json()) == policy
    True
    """

    model_config = ConfigDict(json_schema_extra=_describe_open)

    model: ModelName
    description: str | None = None
    owner: str | None = None
    tags: Names = ()
    schedule: Schedule | None = None
    start_date: StartDate | None = None
    catchup: bool = False
    data: DataSection = DataSection()
    train: TrainSection | None = None
    monitor: MonitorSection | None = None
    trigger: TriggerGroup = TriggerGroup(any=(DriftCondition(),))
    cooldown: Duration = timedelta(0)
    budget: BudgetSection | None = None
    job: Job | None = None
    validation: ValidationSection = ValidationSection()
    shadow: ShadowSection = ShadowSection()
    promotion: PromotionSection = PromotionSection()
    notify: Annotated[tuple[Notification, ...], Strict(False)] = ()

    _folder: FolderPath | None = PrivateAttr(default=None)
    _written: str | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        taken = (self.rollback_dag_id, self.promote_dag_id, self.monitor_dag_id)
        problems = [
            *problems_of_schedule(self.start_date, catchup=self.catchup),
            *problems_of_shadow(self.validation, self.shadow),
            *problems_of_methods(self.watch),
            *problems_of_conditions(self.trigger, self.watch, self.validation),
            *problems_of_dags(self.train, self.monitor, self.job, taken),
        ]
        if problems:
            raise refusals(problems)
        return self

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any], folder: str | os.PathLike[str] | None = None) -> Self:
        """Check a canonical mapping.

        Args:
            mapping: what `to_json` gave, or a file's content after its dialect is translated.
            folder: the policy file's folder, against which relative paths stand.

        Raises:
            PolicyError: one line for each problem, `key: what is wrong`.
        """
        try:
            return cls.model_validate(mapping, context={"folder": folder})
        except ValidationError as error:
            raise PolicyError("\n".join(str(problem) for problem in policy_problems(error, cls))) from None

    def model_post_init(self, context: Any, /) -> None:
        """Keep the folder that a validation's context names."""
        folder = (context or {}).get("folder")
        self._folder = None if folder is None else FolderPath(folder).absolute()

    def to_json(self) -> dict[str, Any]:
        """Give the canonical form, defaults included; JSON can hold it."""
        return self.model_dump(mode="json")

    def digest(self) -> str:
        """Give the sha256 of the canonical form: what a verdict names as the rules it was made by."""
        return self._written or digest_json(self.to_json())

    def with_query(self, query: str) -> Self:
        """Put a rendered query into `data.source`; the digest stays that of the policy as written."""
        if not isinstance(self.data.source, SqlSource) or self.data.source.query is None:
            raise PolicyError("data.source.query: missing; there is none to replace")
        source = self.data.source.model_copy(update={"query": query})
        rendered = self.model_copy(update={"data": self.data.model_copy(update={"source": source})})
        rendered._written = self.digest()  # noqa: SLF001 - of our own kind
        return rendered

    @property
    def folder(self) -> FolderPath | None:
        """The policy file's folder; None for a policy that came from no file. No part of form or digest."""
        return self._folder

    def resolve(self, text: str) -> str:
        """Say what a path or address of this policy stands for, here and now.

        `${NAME}` becomes the environment's value; then a path that is neither absolute nor has a scheme
        (`s3://`) is taken from the policy file's folder, and `~` is the home.

        Raises:
            PolicyError: a variable is not set, `${` is not closed, or a relative path has no folder.
        """
        return resolve_place(text, self._folder, self.model)

    def log_root(self, predictions: str | None) -> str:
        """Say where the prediction log is: the policy's word first.

        Args:
            predictions: Its root where the policy names none; None: nobody else says.

        Raises:
            PredictionLogError: nobody says.
        """
        named = self.watch.predictions or predictions
        if not named:
            raise PredictionLogError(
                f"{self.model}: no prediction log is named; set monitor.predictions in the policy, or "
                "predictions in section [ifp] of airflow.cfg (AIRFLOW__IFP__PREDICTIONS)"
            )
        return self.resolve(named)

    @property
    def watch(self) -> MonitorSection:
        """The section `monitor`, or its defaults where the file has none."""
        return self.monitor or MonitorSection()

    @property
    def drift_conditions(self) -> tuple[DriftCondition, ...]:
        """The trigger's drift conditions, in the order of the file."""
        return tuple(leaf for leaf in self.trigger.leaves() if isinstance(leaf, DriftCondition))

    @property
    def psi_threshold(self) -> float:
        """The PSI above which a feature has drifted: the trigger's number, else the method's.

        Raises:
            PolicyError: the method's threshold is `auto` and the trigger has none.
        """
        for condition in self.drift_conditions:
            if condition.metric == "psi" and condition.threshold is not None:
                return condition.threshold
        threshold = self.watch.methods.psi.threshold
        if isinstance(threshold, str):
            raise PolicyError(
                "monitor.methods.psi.threshold: `auto` has no number of its own; write one such as 0.10"
            )
        return threshold

    @property
    def makes_training_dag(self) -> bool:
        """Whether this policy has a Dag that trains."""
        return self.train is not None

    @property
    def makes_monitor_dag(self) -> bool:
        """Whether this policy has a Dag that only watches (and starts `job_dag_id`, when there is one)."""
        return self.train is None and self.monitor is not None

    @property
    def training_dag_id(self) -> str:
        """Name of this policy's own training Dag."""
        named = self.monitor.on_trigger.pipeline if self.monitor and self.train else None
        return named or f"{self.model}-training-dag"

    @property
    def monitor_dag_id(self) -> str:
        """Name of the Dag that only watches."""
        return f"{self.model}-monitor"

    @property
    def rollback_dag_id(self) -> str:
        """Name of the Dag that rolls back by hand."""
        return f"{self.model}-rollback"

    @property
    def promote_dag_id(self) -> str:
        """Name of the Dag that promotes by hand."""
        return f"{self.model}-promote"

    @property
    def dag_ids(self) -> tuple[str, ...]:
        """Every Dag name that this policy lays claim to; empty for a policy that makes no Dag."""
        if self.train is None and self.monitor is None:
            return ()
        first = self.training_dag_id if self.train else self.monitor_dag_id
        return first, self.rollback_dag_id, self.promote_dag_id

    @property
    def job_dag_id(self) -> str | None:
        """The Dag by another hand that a firing triggers; None with `train`, and where none is named."""
        if self.train is not None:
            return None
        if isinstance(self.job, AirflowDagJob) and self.job.dag_id:
            return self.job.dag_id
        return self.monitor.on_trigger.pipeline if self.monitor else None

    def missing_for_training(self) -> list[str]:
        """List the keys that a training Dag needs and this policy lacks."""
        sections = {"data": self.data, "train": self.train}
        return [
            f"{section}.{key}"
            for section, key in _TRAINING_KEYS
            if getattr(sections[section], key, None) is None
        ]


def require_training_keys(policy: Policy) -> TrainSection:
    """Make sure that the policy says enough to train.

    Returns:
        Its section `train`, which then is there.

    Raises:
        PolicyError: it does not; the message lists what is missing.
    """
    missing = policy.missing_for_training()
    if missing or policy.train is None:
        raise PolicyError(
            f"{', '.join(missing)}: missing; the training Dag of {policy.model} cannot do without"
        )
    return policy.train
