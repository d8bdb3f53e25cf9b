"""The policy's section `validation`: bounds on metrics, and the comparison with production.

`min_<metric>` and `max_<metric>` are keys without a list of their own, so they are pydantic's extra fields;
everything else that is unknown is refused like in any other section.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ModelWrapValidatorHandler, Strict, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from airflow_provider_ifp.core.metrics.bounds import Bound
from airflow_provider_ifp.core.metrics.names import metric_direction, metric_problem
from airflow_provider_ifp.core.policy.durations import PositiveDuration
from airflow_provider_ifp.core.policy.types import (
    Count,
    Names,
    Path,
    Section,
    Share,
    Text,
    refusal,
)

_BOUND = re.compile(r"(?P<end>min|max)_(?P<metric>.+)")


class NotifyOnFail(Section):
    """Where word of a failed gate goes."""

    slack: Text


OwnMetric = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
"""module:function"""


class InfrastructureSection(Section):
    """What loading and answering may take, before any metric is asked for.

    Attributes:
        timeout: To load and to answer the holdout.
        max_memory_mb: Largest resident memory of the process that answers, 2^20 bytes; None: any.
    """

    timeout: PositiveDuration = timedelta(minutes=30)
    max_memory_mb: Count | None = None


def _describe_bounds(schema: dict[str, Any]) -> None:
    """Tell the JSON Schema that the open keys are bounds."""
    schema["patternProperties"] = {"^(min|max)_": {"type": "number"}}
    schema["additionalProperties"] = False


class ValidationSection(Section):
    """Both gates of a candidate.

    Attributes:
        metric: the one that is compared; not given: the first bound's, filled in when the policy is read so
            that the order of keys means nothing afterwards.
        tolerance: candidate - production, in the metric's better direction, must be at least this.
        confidence: None: the point decides; else the bound of the paired interval does.
        metrics: own metrics, name -> module:function.
        infrastructure: what loading and answering may take.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra=_describe_bounds)
    __pydantic_extra__: dict[str, float] = Field(init=False)

    metric: Text | None = None
    compare_to: Literal["production", "none"] = "production"
    tolerance: float = 0.0
    confidence: Share | None = None
    min_rows: Count = 500
    slices: Names = ()
    slice_min_rows: Count = 100
    metrics: Mapping[Text, OwnMetric] = Field(default_factory=dict)
    infrastructure: InfrastructureSection = InfrastructureSection()
    mode: Literal["enforce", "dry_run"] = "enforce"
    promote_on_pass: Literal["staging", "shadow", "production"] = "production"  # noqa: S105 - a stage
    notify_on_fail: Annotated[tuple[NotifyOnFail, ...], Strict(False)] = ()

    @model_validator(mode="wrap")
    @classmethod
    def _check(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Check the open keys beside the fixed ones, so that all problems are told at once."""
        if not isinstance(value, Mapping):
            return handler(value)
        problems = _problems(value)
        first = next((match["metric"] for match in map(_match_bound, value) if match), None)
        filled = value if value.get("metric") is not None or first is None else {**value, "metric": first}
        try:
            section = handler(filled)
        except ValidationError as error:
            raise _together(error, problems) from None
        if problems:
            raise _together(None, problems)
        return section

    @property
    def compared_metric(self) -> str | None:
        """The metric that is held against production's; None without a metric and without bounds."""
        return self.metric

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """The absolute gate's bounds: the compared metric's first, then by name."""
        ends: dict[str, dict[str, float]] = {}
        for key, value in (self.model_extra or {}).items():
            match = _match_bound(key)
            if match:
                ends.setdefault(match["metric"], {})[match["end"]] = value
        order = sorted(ends, key=lambda metric: (metric != self.metric, metric))
        return tuple(
            Bound(metric, minimum=ends[metric].get("min"), maximum=ends[metric].get("max"))
            for metric in order
        )


def _match_bound(key: object) -> re.Match[str] | None:
    if not isinstance(key, str) or key in ValidationSection.model_fields:
        return None
    return _BOUND.fullmatch(key)


def _problems(value: Mapping[Any, Any]) -> list[tuple[Path, str | None]]:
    """Find what is wrong with open keys and metric names; no text stands for a key that nobody knows."""
    given = value.get("metrics")
    own = [str(name) for name in given] if isinstance(given, Mapping) else []
    problems: list[tuple[Path, str | None]] = [
        (("metrics", name), f"{name!r} is a metric of the provider's own; choose another name")
        for name in own
        if metric_direction(name)
    ]
    for key in value:
        if key in ValidationSection.model_fields:
            continue
        match = _match_bound(key)
        if match is None:
            problems.append(((key,), None))
            continue
        unknown = metric_problem(match["metric"], own)
        if unknown:
            problems.append(((key,), unknown))
        low, high = value.get(f"min_{match['metric']}"), value.get(f"max_{match['metric']}")
        if (
            match["end"] == "min"
            and isinstance(low, int | float)
            and isinstance(high, int | float)
            and low > high
        ):
            problems.append(((key,), f"expected at most max_{match['metric']} ({high}), found {low}"))
    if isinstance(value.get("metric"), str):
        unknown = metric_problem(value["metric"], own)
        if unknown:
            problems.append((("metric",), unknown))
    return problems


def _together(error: ValidationError | None, problems: list[tuple[Path, str | None]]) -> ValidationError:
    """Make one error of pydantic's and ours; ours speaks where both name a key."""
    ours = {path for path, _ in problems}
    lines = [
        InitErrorDetails(
            type=refusal(line["msg"]) if line["type"] == "policy" else line["type"],
            loc=line["loc"],
            input=line["input"],
            ctx=line.get("ctx", {}),
        )
        for line in (error.errors() if error else [])
        if line["loc"] not in ours
    ]
    lines += [
        InitErrorDetails(type="extra_forbidden" if text is None else refusal(text), loc=path, input=None)
        for path, text in problems
    ]
    return ValidationError.from_exception_data("validation", lines)
