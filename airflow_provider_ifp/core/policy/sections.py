"""The policy's sections `data`, `train`, `shadow`, `promotion`, `budget` and `notify`.

Attribute names are the file's keys; the contract (README, "The policy") says what each means. None stands for
"not given".
"""

import math
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Strict, Tag, model_validator

from airflow_provider_ifp.core.policy.durations import Duration, PositiveDuration
from airflow_provider_ifp.core.policy.types import (
    Count,
    JsonMapping,
    Names,
    NotNegative,
    Path,
    Positive,
    Section,
    SomeNames,
    Text,
    refusal,
    refusals,
)


class SqlSource(Section):
    """A dataset in a database: a table, or what a query gives (rendered with Jinja)."""

    conn_id: Text
    table: Text | None = None
    query: Text | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.table is None) == (self.query is None):
            found = "neither" if self.table is None else "both"
            raise refusals([((), f"expected `table` or `query` beside conn_id, found {found}")])
        return self


Source = Annotated[
    Annotated[Text, Tag("<uri>")] | Annotated[SqlSource, Tag("<sql>")],
    Discriminator(lambda value: "<sql>" if isinstance(value, dict | SqlSource) else "<uri>"),
]


def _require_label(value: object) -> object:
    plain = isinstance(value, bool | int | float | str)
    if not plain or (isinstance(value, float) and not math.isfinite(value)):
        raise refusal(f"expected a label: a number, text, true or false, found {value!r}")
    return value


Label = Annotated[bool | int | float | str, BeforeValidator(_require_label)]


class DataSection(Section):
    """The labelled dataset that training and gates read, and its windows.

    Attributes:
        positive: the positive class of a binary label; None: 1, true or the larger value.
        features: None: every column but time, label and key.
        categorical: None: the string, bool and dictionary columns.
        train_window: ends where the holdout begins; None: all there is.
        holdout_window: the newest labelled rows, never in training.
        label_delay: how long after its time a row may still lack its label.
    """

    source: Source | None = None
    time_column: Text | None = None
    label: Text | None = None
    positive: Label | None = None
    key: Names = ()
    features: SomeNames | None = None
    categorical: Names | None = None
    train_window: PositiveDuration | None = None
    holdout_window: PositiveDuration = timedelta(days=7)
    label_delay: Duration = timedelta(0)
    filter: Text | None = None
    digest: Literal["content", "manifest"] = "content"

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        problems: list[tuple[Path, str]] = []
        if self.digest == "manifest" and isinstance(self.source, SqlSource):
            problems.append((("digest",), "manifest is of files; by conn_id there is content"))
        features = self.features
        if features is not None:
            if self.label in features:
                problems.append(
                    (("features",), f"contains the label {self.label!r}; a model must not see it")
                )
            stray = [name for name in self.categorical or () if name not in features]
            if stray:
                problems.append((("categorical",), f"names {stray[0]!r}, which is not among data.features"))
        if self.label is not None and self.label == self.time_column:
            problems.append((("label",), f"is the time column too ({self.label!r})"))
        if problems:
            raise refusals(problems)
        return self


class TrainSection(Section):
    """What trains a version, where and with what."""

    entrypoint: Text | None = None
    params: JsonMapping = Field(default_factory=dict)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    launcher: Literal["local", "torchrun", "sagemaker"] = "local"
    processes: Count = 1
    gpus: Annotated[int, Field(ge=0)] = 0
    timeout: PositiveDuration | None = None
    pool: Text | None = None
    queue: Text | None = None
    executor_config: JsonMapping = Field(default_factory=dict)
    reuse: bool = True
    environment: SomeNames | None = None


class LatencyRatios(Section):
    """Candidate's latency over production's, at most, by percentile."""

    p50: Positive | None = None
    p95: Positive | None = None
    p99: Positive | None = None


class ShadowSection(Section):
    """The shadow gate's mode and limits."""

    mode: Annotated[
        Literal["off", "replay", "live"], BeforeValidator(lambda value: "off" if value is False else value)
    ] = "off"
    min_pairs: Count = 1000
    min_duration: Duration = timedelta(0)
    max_disagreement: Annotated[float, Field(ge=0, le=1)] = 0.03
    disagreement_tolerance: NotNegative = 0.1
    slice_alarm: Annotated[float, Field(ge=0, le=1)] = 0.5
    max_prediction_psi: Positive | None = None
    max_latency_ratio: LatencyRatios = LatencyRatios(p95=1.5)
    max_error_rate: Annotated[float, Field(ge=0, le=1)] = 0.001
    slices: Names = ()


class PromotionSection(Section):
    """Who agrees before a version answers users."""

    approval: Literal["none", "human"] = "none"
    approvers: Names = ()
    approval_timeout: PositiveDuration | None = None


class BudgetSection(Section):
    """At most so many firings or GPU hours in a period."""

    firings: Count | None = None
    gpu_hours: Positive | None = None
    per: PositiveDuration

    @model_validator(mode="after")
    def _check_some(self) -> Self:
        if self.firings is None and self.gpu_hours is None:
            raise refusals([((), "expected `firings`, `gpu_hours` or both beside per, found neither")])
        return self


Event = Literal["fired", "suppressed", "gate_failed", "waiting", "promoted", "rolled_back", "failed"]
_ADDRESSES: dict[str, tuple[str, ...]] = {
    "slack": ("target", "url"),
    "webhook": ("url",),
    "sns": ("target",),
    "pagerduty": ("routing_key",),
    "email": ("target",),
}


class Notification(Section):
    """Where word of which events goes.

    Attributes:
        target: Slack channel, SNS topic or mail address.
        url: of a webhook; Slack's incoming webhooks too.
        routing_key: PagerDuty's; better `${NAME}` than the key itself.
    """

    channel: Literal["slack", "webhook", "sns", "pagerduty", "email"]
    target: Text | None = None
    url: Text | None = None
    routing_key: Text | None = None
    on: Annotated[tuple[Event, ...], Strict(False), Field(min_length=1)]

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        wanted = _ADDRESSES[self.channel]
        given = [key for key in ("target", "url", "routing_key") if getattr(self, key) is not None]
        problems: list[tuple[Path, str]] = [
            ((key,), f"channel {self.channel} has no {key}; it takes {' or '.join(wanted)}")
            for key in given
            if key not in wanted
        ]
        if not given:
            problems.append(((), f"channel {self.channel} needs {' or '.join(wanted)}"))
        if problems:
            raise refusals(problems)
        return self
