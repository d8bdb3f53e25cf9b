"""The gates that a candidate must pass before it serves anybody.

First its answers must be fit to be judged; that is enforced always. Then the absolute gate holds its metrics
against the policy's bounds, and the comparison gate holds one metric against production's on the same rows:

    candidate - production, in the better direction, >= tolerance      (with a slack of 1e-12 for rounding)

With a `confidence` the lower end of the paired interval takes the difference's place. Each slice is held to
the comparison too. What cannot be computed does not pass. All functions are pure; the random generator of the
interval is handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ifp.core.errors import DatasetError, ModelError
from airflow_provider_ifp.core.figures import figure
from airflow_provider_ifp.core.gates.checks import absolute_gate, comparison_gate, rows_needed
from airflow_provider_ifp.core.gates.slices import slice_checks
from airflow_provider_ifp.core.metrics.answers import answers_problem
from airflow_provider_ifp.core.metrics.labels import missing_problem
from airflow_provider_ifp.core.registry.verdict import Check, Outcome, Verdict, sum_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.gates.subject import Subject
    from airflow_provider_ifp.core.metrics.bounds import Bound
    from airflow_provider_ifp.core.metrics.measures import Measures, Rows
    from airflow_provider_ifp.core.policy.validation import ValidationSection

REPORTED_LEVEL: Final = 0.95
FIRST_DEPLOYMENT: Final = (
    "first deployment: no production version to compare with; the absolute gate alone decides"
)
NOTHING: Final = "nothing to judge by: validation has no bound (such as min_f1)"
NOT_COMPARED: Final = "compare_to is none: not compared with production; the absolute gate alone decides"


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found so far: what must hold always, the other checks, notes of the reason, warnings."""

    must_hold: tuple[Check, ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __add__(self, other: _Found) -> _Found:
        # The compared metric is often a bound's too: what is broken is said once.
        return _Found(
            tuple(dict.fromkeys((*self.must_hold, *other.must_hold))),
            (*self.checks, *other.checks),
            (*self.notes, *other.notes),
            (*self.warnings, *other.warnings),
        )


def judge(
    rows: Rows,
    rules: ValidationSection,
    subject: Subject,
    measures: Measures,
    *,
    slices: Mapping[str, NDArray[Any]] | None = None,
    before: Sequence[Check] = (),
    warnings: Sequence[str] = (),
) -> Verdict:
    """Judge a candidate on the holdout.

    Args:
        rows: The holdout, and what both versions answered to it.
        rules: What is asked. With fewer rows than `min_rows` the verdict is inconclusive; `mode: dry_run`
            lets bounds, comparison, slices and `min_rows` stop nothing.
        subject: Who is judged.
        measures: Computes the metrics.
        slices: By column the value of each row as text, shape (rows,).
        before: What was found before any metric and must hold always, such as leakage.
        warnings: What was found that decides nothing.

    Returns:
        The verdict. Answers or labels that are missing, NaN or infinite, or that the metric cannot be
        computed on, fail it, in `dry_run` too.
    """
    found = _Found((*before, *_fit_to_judge(rows)), warnings=tuple(warnings))
    if not found.must_hold:
        needed = max(rules.min_rows, 1)
        if len(rows) < needed:
            short = f"{len(rows):,} rows in the holdout, {needed:,} needed"
            found += _Found(
                checks=(Check(name="rows", rows=len(rows), verdict="inconclusive", reason=short),)
            )
        else:
            found += _absolute(rows, rules.bounds, measures)
            found += _compared(rows, rules, subject.compared_to, measures, slices or {})
    return _verdict(found, rules, subject)


def refuse(
    checks: Sequence[Check], rules: ValidationSection, subject: Subject, warnings: Sequence[str] = ()
) -> Verdict:
    """Return the verdict of a candidate that never answered: what is broken is enforced always."""
    return _verdict(_Found(tuple(checks), warnings=tuple(warnings)), rules, subject)


def _verdict(found: _Found, rules: ValidationSection, subject: Subject) -> Verdict:
    checks = (*found.must_hold, *found.checks)
    outcome, reason = _sum_up(checks, found.notes)
    enforced = rules.mode == "enforce" or bool(found.must_hold)
    return subject.verdict("validation", outcome, reason, checks, enforced=enforced, warnings=found.warnings)


def _fit_to_judge(rows: Rows) -> tuple[Check, ...]:
    """Return what is wrong with labels or answers before any metric is asked for; enforced always."""
    problems = (
        ("labels", missing_problem(rows.label, "labels")),
        ("answers", answers_problem(rows.candidate, len(rows))),
    )
    return tuple(
        Check(name=name, rows=len(rows), verdict="fail", reason=problem)
        for name, problem in problems
        if problem
    )


def _absolute(rows: Rows, bounds: Sequence[Bound], measures: Measures) -> _Found:
    """Hold the candidate's metrics against the bounds; those that cannot be computed must hold always."""
    broken: list[Check] = []
    metrics: dict[str, float] = {}
    for name in dict.fromkeys(bound.metric for bound in bounds):
        try:
            metrics[name] = measures.value(name, rows, rows.candidate)
        except (DatasetError, ModelError) as error:
            broken.append(_not_computed(name, len(rows), "fail", str(error)))
    held = absolute_gate(metrics, [bound for bound in bounds if bound.metric in metrics], rows=len(rows))
    return _Found(tuple(broken), held)


def _compared(
    rows: Rows,
    rules: ValidationSection,
    compared_to: str | None,
    measures: Measures,
    slices: Mapping[str, NDArray[Any]],
) -> _Found:
    """Hold the candidate against production, if that is asked and possible."""
    if rules.compare_to == "none":
        return _Found(notes=(NOT_COMPARED,))
    if rows.production is None and compared_to is None:
        return _Found(notes=(FIRST_DEPLOYMENT,))
    if rows.production is None:
        reason = f"production is version {compared_to}, but it did not answer the holdout"
    elif rules.compared_metric is None:
        reason = "no metric to compare by; set validation.metric, or a bound such as min_f1"
    else:
        return _compare(rows, rules, measures, slices)
    unable = Check(name="comparison", metric=rules.compared_metric, verdict="inconclusive", reason=reason)
    return _Found(checks=(unable,))


def _compare(
    rows: Rows,
    rules: ValidationSection,
    measures: Measures,
    slices: Mapping[str, NDArray[Any]],
) -> _Found:
    """Return what is broken on the candidate's side (enforced always), the comparison, and the slices'."""
    production, metric = rows.production, rules.compared_metric
    if production is None or metric is None:
        raise ValueError("nothing to compare with, or by")
    try:
        value = measures.value(metric, rows, rows.candidate)
    except (DatasetError, ModelError) as error:
        return _Found((_not_computed(metric, len(rows), "fail", str(error)),))
    try:
        against = measures.value(metric, rows, production)
        interval = measures.interval(metric, rows, rules.confidence or REPORTED_LEVEL)
    except (DatasetError, ModelError) as error:
        # That production is broken says nothing about the candidate: nobody can decide, and somebody should
        # look.
        reason = (
            f"production's answers cannot be compared with: {error}; look at production, or set "
            "validation.compare_to: none to judge by the bounds alone"
        )
        return _Found(checks=(_not_computed(metric, len(rows), "inconclusive", reason, value),))
    check = comparison_gate(
        metric,
        value,
        against,
        tolerance=rules.tolerance,
        confidence=rules.confidence,
        interval=interval,
        rows=len(rows),
        better=measures.better(metric),
    )
    of_slices, untold = slice_checks(
        rows,
        slices,
        metric=metric,
        measures=measures,
        tolerance=rules.tolerance,
        min_rows=rules.slice_min_rows,
    )
    return _Found(checks=(check, *of_slices), warnings=(*_too_small(check, rules), *untold))


def _too_small(check: Check, rules: ValidationSection) -> tuple[str, ...]:
    """Warn where chance alone moves the difference by more than the tolerance, and the point decides."""
    needed = rows_needed(check.interval, check.rows or 0, rules.tolerance)
    if needed is None or rules.confidence is not None:
        return ()
    told = (
        f"the holdout is too small for the tolerance {figure(rules.tolerance)}: of {check.rows:,} rows the "
        f"difference in {check.metric} is known no better than that; {needed:,} rows would tell"
    )
    return (told,)


def _sum_up(checks: Sequence[Check], notes: Sequence[str]) -> tuple[Outcome, str]:
    """Sum up; of the slices of a pass only how many they are."""
    outcome, reason = sum_up(checks, notes, NOTHING)
    slices = sum(check.name == "slice" for check in checks)
    if outcome != "pass" or not slices:
        return outcome, reason
    told = [check.reason for check in checks if check.name != "slice"]
    return "pass", "; ".join([*told, f"no slice of {slices} worse beyond chance", *notes])


def _not_computed(metric: str, rows: int, verdict: Outcome, reason: str, value: float | None = None) -> Check:
    return Check(
        name="comparison" if verdict == "inconclusive" else "answers",
        metric=metric,
        value=value,
        rows=rows,
        verdict=verdict,
        reason=reason,
    )
