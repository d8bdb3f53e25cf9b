"""The gates that a candidate must pass before it serves anybody.

First its answers must be fit to be judged; that is enforced always. Then the absolute gate holds its metrics
against the policy's bounds, and the comparison gate holds one metric against production's on the same rows:

    candidate - production, in the better direction, >= tolerance      (with a slack of 1e-12 for rounding)

With a `confidence` the lower end of the paired interval takes the difference's place. What cannot be computed
does not pass. All functions are pure; the random generator of the interval is handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_ifp.core.errors import DatasetError, ModelError
from airflow_provider_ifp.core.gate_checks import absolute_gate, comparison_gate
from airflow_provider_ifp.core.intervals import paired_interval
from airflow_provider_ifp.core.labels import missing_problem
from airflow_provider_ifp.core.metrics import Answers, answers_problem, compute
from airflow_provider_ifp.core.verdict import Check, Outcome, Verdict, sum_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from airflow_provider_ifp.core.bounds import Bound

__all__ = ["absolute_gate", "comparison_gate", "judge"]

REPORTED_LEVEL: Final = 0.95
FIRST_DEPLOYMENT: Final = (
    "first deployment: no production version to compare with; the absolute gate alone decides"
)
NOTHING: Final = "nothing to judge by: validation has no bound (such as min_f1)"
NOT_COMPARED: Final = "compare_to is none: not compared with production; the absolute gate alone decides"


def judge(
    *,
    y_true: NDArray[Any],
    candidate: Answers,
    production: Answers | None,
    bounds: Sequence[Bound],
    metric: str | None,
    compare_to: Literal["production", "none"],
    tolerance: float,
    confidence: float | None,
    min_rows: int,
    mode: Literal["enforce", "dry_run"],
    positive: object,
    model: str,
    version: str,
    content_digest: str,
    compared_to: str | None,
    holdout_digest: str,
    policy_digest: str,
    rng: np.random.Generator,
) -> Verdict:
    """Judge a candidate on the holdout.

    Args:
        y_true: The holdout's labels, shape (rows,).
        candidate: The candidate's answers to these rows.
        production: Production's answers to the same rows; None: there is no production version.
        bounds: The absolute gate.
        metric: The metric that is compared; None: nothing is named to compare by.
        compare_to: `none` leaves the comparison out, even where production answered.
        tolerance: See `comparison_gate`.
        confidence: See `comparison_gate`.
        min_rows: With fewer rows the verdict is inconclusive.
        mode: `dry_run` lets bounds, comparison and `min_rows` stop nothing.
        positive: The positive class of a binary label; None: 1 or true or the larger value.
        model: The registered model.
        version: The candidate.
        content_digest: The candidate's content.
        compared_to: Production's version when judged, whatever `compare_to` says.
        holdout_digest: The holdout's rows.
        policy_digest: The policy.
        rng: Draws the resamples of intervals that need them.

    Returns:
        The verdict. Answers or labels that are missing, NaN or infinite, or that the metric cannot be
        computed on, fail it, in `dry_run` too.
    """
    rows = len(y_true)
    must_hold = _fit_to_judge(y_true, candidate)
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    if not must_hold:
        if rows < max(min_rows, 1):
            short = f"{rows:,} rows in the holdout, {max(min_rows, 1):,} needed"
            checks = (Check(name="rows", rows=rows, verdict="inconclusive", reason=short),)
        else:
            must_hold, checks = _absolute(y_true, candidate, bounds, positive)
            against, notes = _production(production, compare_to, compared_to, metric)
            if isinstance(against, Check):
                checks = (*checks, against)
            elif against is not None and metric is not None:
                broken, compared = _compare(
                    y_true,
                    candidate,
                    against,
                    metric=metric,
                    tolerance=tolerance,
                    confidence=confidence,
                    positive=positive,
                    rng=rng,
                )
                # The compared metric is often a bound's too: what is broken is said once.
                must_hold, checks = tuple(dict.fromkeys((*must_hold, *broken))), (*checks, *compared)
    outcome, reason = sum_up((*must_hold, *checks), notes, NOTHING)
    return Verdict(
        verdict=outcome,
        enforced=mode == "enforce" or bool(must_hold),
        reason=reason,
        gate="validation",
        model=model,
        version=version,
        content_digest=content_digest,
        compared_to=compared_to,
        holdout_digest=holdout_digest,
        policy_digest=policy_digest,
        checks=(*must_hold, *checks),
    )


def _fit_to_judge(y_true: NDArray[Any], candidate: Answers) -> tuple[Check, ...]:
    """Return what is wrong with labels or answers before any metric is asked for; enforced always."""
    rows = len(y_true)
    problems = (
        ("labels", missing_problem(y_true, "labels")),
        ("answers", answers_problem(candidate, rows)),
    )
    return tuple(
        Check(name=name, rows=rows, verdict="fail", reason=problem) for name, problem in problems if problem
    )


def _absolute(
    y_true: NDArray[Any], candidate: Answers, bounds: Sequence[Bound], positive: object
) -> tuple[tuple[Check, ...], tuple[Check, ...]]:
    """Return the metrics that could not be computed (enforced always), and the checks of those that could."""
    broken: list[Check] = []
    metrics: dict[str, float] = {}
    for name in dict.fromkeys(bound.metric for bound in bounds):
        try:
            metrics[name] = compute(name, y_true, candidate, positive)
        except (DatasetError, ModelError) as error:
            broken.append(_not_computed(name, len(y_true), "fail", str(error)))
    held = absolute_gate(metrics, [bound for bound in bounds if bound.metric in metrics], rows=len(y_true))
    return tuple(broken), held


def _production(
    production: Answers | None,
    compare_to: Literal["production", "none"],
    compared_to: str | None,
    metric: str | None,
) -> tuple[Answers | Check | None, tuple[str, ...]]:
    """Return what the candidate is compared with, or a check that says why it cannot be, and what to note."""
    if compare_to == "none":
        return None, (NOT_COMPARED,)
    if production is None and compared_to is None:
        return None, (FIRST_DEPLOYMENT,)
    if production is None:
        reason = f"production is version {compared_to}, but it did not answer the holdout"
        return Check(name="comparison", metric=metric, verdict="inconclusive", reason=reason), ()
    if metric is None:
        reason = "no metric to compare by; set validation.metric, or a bound such as min_f1"
        return Check(name="comparison", verdict="inconclusive", reason=reason), ()
    return production, ()


def _compare(
    y_true: NDArray[Any],
    candidate: Answers,
    production: Answers,
    *,
    metric: str,
    tolerance: float,
    confidence: float | None,
    positive: object,
    rng: np.random.Generator,
) -> tuple[tuple[Check, ...], tuple[Check, ...]]:
    """Return what is broken on the candidate's side (enforced always), and the comparison."""
    rows = len(y_true)
    try:
        value = compute(metric, y_true, candidate, positive)
    except (DatasetError, ModelError) as error:
        return (_not_computed(metric, rows, "fail", str(error)),), ()
    try:
        against = compute(metric, y_true, production, positive)
        interval = paired_interval(
            metric,
            y_true,
            candidate,
            production,
            rng=rng,
            positive=positive,
            level=confidence or REPORTED_LEVEL,
        )
    except (DatasetError, ModelError) as error:
        # That production is broken says nothing about the candidate: nobody can decide, and somebody should
        # look.
        reason = (
            f"production's answers cannot be compared with: {error}; look at production, or set "
            "validation.compare_to: none to judge by the bounds alone"
        )
        return (), (_not_computed(metric, rows, "inconclusive", reason, value),)
    check = comparison_gate(
        metric,
        value,
        against,
        tolerance=tolerance,
        confidence=confidence,
        interval=interval,
        rows=rows,
    )
    return (), (check,)


def _not_computed(metric: str, rows: int, verdict: Outcome, reason: str, value: float | None = None) -> Check:
    return Check(
        name="comparison" if verdict == "inconclusive" else "answers",
        metric=metric,
        value=value,
        rows=rows,
        verdict=verdict,
        reason=reason,
    )
