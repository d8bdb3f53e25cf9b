"""The policy's section `monitor`: how the prediction log is watched.

Attribute names are the file's keys. None stands for "not given".
"""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Strict, Tag, model_validator

from airflow_provider_ifp.core.policy.durations import PositiveDuration
from airflow_provider_ifp.core.policy.types import (
    Count,
    DagId,
    Names,
    Positive,
    Section,
    Share,
    SomeNames,
    Text,
    refusal,
    refusals,
)


def _require_threshold(value: object) -> object:
    if isinstance(value, str) and value != "auto":
        raise refusal(f"expected a number greater than 0, or auto, found text {value!r}")
    return value


PsiThreshold = Annotated[
    Annotated[Positive, Tag("<number>")] | Annotated[Literal["auto"], Tag("<auto>")],
    Discriminator(lambda value: "<auto>" if isinstance(value, str) else "<number>"),
    BeforeValidator(_require_threshold),
]
BaselineWindow = Annotated[
    Annotated[Literal["training"], Tag("<training>")] | Annotated[PositiveDuration, Tag("<log>")],
    Discriminator(lambda value: "<training>" if value == "training" else "<log>"),
]


class PsiMethod(Section):
    """Population stability index; `auto` calibrates the threshold on the reference."""

    enabled: bool = True
    threshold: PsiThreshold = 0.10


class KsMethod(Section):
    """Two-sample Kolmogorov-Smirnov test.

    Off by default; but a method that is written down, with a threshold say, is on unless it says otherwise.
    """

    enabled: bool = True
    p_value_threshold: Share = 0.05


class WassersteinMethod(Section):
    """Wasserstein distance in units of the reference's standard deviation."""

    enabled: bool = True
    threshold: Positive = 0.05


class JsMethod(Section):
    """Jensen-Shannon distance."""

    enabled: bool = True
    threshold: Positive = 0.10


class Chi2Method(Section):
    """Chi-squared test of categories."""

    enabled: bool = True
    p_value_threshold: Share = 0.05


class Methods(Section):
    """How drift is measured; PSI alone when nothing is said."""

    psi: PsiMethod = PsiMethod()
    ks_test: KsMethod = KsMethod(enabled=False)
    wasserstein: WassersteinMethod = WassersteinMethod(enabled=False)
    js: JsMethod = JsMethod(enabled=False)
    chi2: Chi2Method = Chi2Method(enabled=False)


class FeatureGroup(Section):
    """Features judged together, by a method of their own if need be."""

    name: Text
    features: SomeNames
    method_override: Literal["psi", "ks_test", "wasserstein", "js", "chi2"] | None = None


class Consecutive(Section):
    """`windows` of the last `of_last` windows must drift."""

    windows: Count = 1
    of_last: Count = 1

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.windows > self.of_last:
            raise refusals(
                [(("windows",), f"expected at most of_last ({self.of_last}), found {self.windows}")]
            )
        return self


class OnTrigger(Section):
    """What a firing does.

    Attributes:
        pipeline: with `train` the name of this policy's own Dag; without, the Dag by another hand that a
            firing starts.
    """

    action: Literal["retrain"] = "retrain"
    pipeline: DagId | None = None


class MonitorSection(Section):
    """The watch over the prediction log.

    Attributes:
        predictions: root of the prediction log; None: Airflow's `[ifp] predictions`.
        baseline_window: `training`, or how much of the log's newest past is the reference.
        min_rows: fewer rows than this decide nothing.
        prediction: production's predictions are watched like a feature.
    """

    predictions: Text | None = None
    baseline_window: BaselineWindow = "training"
    evaluation_window: PositiveDuration = timedelta(days=7)
    min_rows: Count = 500
    methods: Methods = Methods()
    prediction: bool = True
    feature_groups: Annotated[tuple[FeatureGroup, ...], Strict(False)] = ()
    segments: Names = ()
    correction: Literal["auto", "none"] = "auto"
    consecutive: Consecutive = Consecutive()
    unreadable: Literal["fail", "skip"] = "fail"
    on_trigger: OnTrigger = OnTrigger()

    @model_validator(mode="after")
    def _check_groups(self) -> Self:
        names = [group.name for group in self.feature_groups]
        twice = [
            (("feature_groups", index, "name"), f"{name!r} is the name of an earlier group")
            for index, name in enumerate(names)
            if name in names[:index]
        ]
        if twice:
            raise refusals(twice)
        return self
