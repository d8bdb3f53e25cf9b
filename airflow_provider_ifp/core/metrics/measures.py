"""What a gate measures: the metrics of the provider's own, and those that a policy brings along.

An own metric is a function of the user's: `function(y_true, y_pred, frame) -> float`. Which way is better it
says by an attribute `better` (`higher` or `lower`); without one the policy's bound says it: a `min_` means
higher, a `max_` lower.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_ifp.core.errors import ModelError, PolicyError
from airflow_provider_ifp.core.metrics.answers import Answers, answers_problem
from airflow_provider_ifp.core.metrics.definitions import compute, direction
from airflow_provider_ifp.core.metrics.intervals import FEWEST_ROWS, paired_interval, resamples_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.metrics.bounds import Bound
    from airflow_provider_ifp.core.metrics.names import Direction

OwnFunction = Callable[["NDArray[Any]", "NDArray[Any]", Any], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Labelled rows, and what both versions answered to them.

    Attributes:
        label: Shape (rows,).
        candidate: The candidate's answers.
        production: Production's; None: it did not answer.
        frame: The rows as a pandas frame, for own metrics; None where there are none.
    """

    label: NDArray[Any]
    candidate: Answers
    production: Answers | None
    frame: Any = None

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.label)

    def take(self, places: NDArray[np.intp]) -> Rows:
        """Return some of the rows, in the order of `places`."""
        return replace(
            self,
            label=self.label[places],
            candidate=_take(self.candidate, places),
            production=None if self.production is None else _take(self.production, places),
            frame=None if self.frame is None else self.frame.iloc[places],
        )


@dataclass(frozen=True, slots=True)
class OwnMetric:
    """A metric that the policy brings along."""

    name: str
    function: OwnFunction
    better: Direction


def own_metric(name: str, function: OwnFunction, bounds: Sequence[Bound]) -> OwnMetric:
    """Find out which way an own metric is better.

    Raises:
        PolicyError: Neither the function nor a bound says it, or the bounds say both.

    >>> from airflow_provider_ifp.core.metrics.bounds import Bound
    >>> own_metric("profit", lambda label, answer, frame: 1.0, [Bound("profit", minimum=0.0)]).better
    'higher'
    """
    said = getattr(function, "better", None)
    if said is None:
        of_metric = [bound for bound in bounds if bound.metric == name]
        ends = {
            way
            for bound in of_metric
            for way, limit in (("higher", bound.minimum), ("lower", bound.maximum))
            if limit is not None
        }
        said = ends.pop() if len(ends) == 1 else None
    if said == "higher":
        return OwnMetric(name, function, "higher")
    if said != "lower":
        raise PolicyError(
            f"validation.metrics.{name}: which way is better is not said; give the function an attribute, "
            f'{getattr(function, "__name__", name)}.better = "higher" (or "lower"), or one bound: '
            f"min_{name} where higher is better, max_{name} where lower is"
        )
    return OwnMetric(name, function, "lower")


@dataclass(frozen=True, slots=True)
class Measures:
    """Computes metrics on rows.

    Attributes:
        own: The policy's own metrics by name.
        positive: The positive class of a binary label; None: 1 or true or the larger value.
        rng: Draws the resamples of intervals that need them.
    """

    own: Mapping[str, OwnMetric] = field(default_factory=dict)
    positive: object = None
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def better(self, metric: str) -> Direction:
        """Say which way the metric is better.

        Raises:
            PolicyError: There is no such metric.
        """
        return self.own[metric].better if metric in self.own else direction(metric)

    def value(self, metric: str, rows: Rows, answers: Answers) -> float:
        """Compute a metric of one version's answers to the rows.

        Raises:
            DatasetError: The labels cannot decide the metric.
            ModelError: The answers do not fit, or an own metric raised or gave no finite number.
        """
        if metric not in self.own:
            return compute(metric, rows.label, answers, self.positive)
        if problem := answers_problem(answers, len(rows)):
            raise ModelError(f"{metric}: {problem}")
        return _call(self.own[metric], rows.label, answers.prediction, rows.frame)

    def interval(self, metric: str, rows: Rows, level: float) -> tuple[float, float] | None:
        """Return the paired interval of candidate - production in the better direction.

        Returns:
            None with fewer than two rows, or where it is not finite.

        Raises:
            DatasetError, ModelError: As `value`.
        """
        if rows.production is None:
            return None
        if metric in self.own:
            return self._resampled(self.own[metric], rows, level)
        return paired_interval(
            metric,
            rows.label,
            rows.candidate,
            rows.production,
            rng=self.rng,
            positive=self.positive,
            level=level,
        )

    def _resampled(self, metric: OwnMetric, rows: Rows, level: float) -> tuple[float, float] | None:
        """Paired bootstrap, the candidate's and production's value of the same drawn rows."""
        if len(rows) < FEWEST_ROWS:
            return None
        sign = 1.0 if metric.better == "higher" else -1.0
        drawn = np.empty(resamples_of(len(rows)))
        for place in range(len(drawn)):
            some = rows.take(self.rng.integers(len(rows), size=len(rows)))
            one, other = (
                _call(metric, some.label, answers.prediction, some.frame)
                for answers in (some.candidate, some.production)
                if answers is not None
            )
            drawn[place] = sign * (one - other)
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]).tolist()
        return low, high


def _call(metric: OwnMetric, label: NDArray[Any], prediction: NDArray[Any], frame: Any) -> float:
    try:
        value = float(metric.function(label, prediction, frame))
    except Exception as error:
        raise ModelError(
            f"{metric.name}: the own metric raised {type(error).__name__}: {error}; correct the function"
        ) from error
    if not math.isfinite(value):
        raise ModelError(f"{metric.name}: the own metric gave {value}; expected a finite number")
    return value


def _take(answers: Answers, places: NDArray[np.intp]) -> Answers:
    score = None if answers.score is None else answers.score[places]
    return Answers(answers.prediction[places], score)
