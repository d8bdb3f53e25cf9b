"""The shadow gate: what a candidate answers to production's requests, before it answers anybody.

The gates have judged the candidate on the holdout, with labels. This one looks at what users ask, without
labels: whether it answers at all, as fast as production, and where it differs from production in a way that
the holdout does not vouch for (`core/shadow/statistic.py`).

What is broken fails, in `dry_run` too: no answer at all, or answers of another kind or shape. What cannot be
decided is inconclusive, which is no pass: too few pairs, too little time, or a production that does not
answer now what its log says it answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_ifp.core.policy.durations import format_duration
from airflow_provider_ifp.core.registry.verdict import Check, sum_up
from airflow_provider_ifp.core.shadow.checks import Latency, error_check, latency_checks, prediction_checks
from airflow_provider_ifp.core.shadow.differences import kinds_problem
from airflow_provider_ifp.core.shadow.disagreement import disagreement_checks, newer_check
from airflow_provider_ifp.core.shadow.statistic import Disagreement, measure_disagreement
from airflow_provider_ifp.core.shadow.windows import window_size

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    import numpy as np
    from numpy.typing import NDArray

    from airflow_provider_ifp.core.gates.subject import Subject
    from airflow_provider_ifp.core.policy.sections import ShadowSection
    from airflow_provider_ifp.core.registry.verdict import Verdict

    Columns = Mapping[str, NDArray[Any]]

FIDELITY: Final = 0.999
TOLD: Final = 2
"""Cells, and slices, that a verdict's reason names; the checks name more."""
NO_PRODUCTION: Final = (
    "no production version yet: nobody is answered, so there is nothing to shadow; the validation gate "
    "decides"
)


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Requests of the log, or rows of the holdout, that both versions answered.

    Attributes:
        features: By name, shape (rows,): floats (NaN is missing) or objects (text; None is missing).
        candidate: The candidate's predictions, none of them missing.
        production: Production's.
    """

    features: Columns
    candidate: NDArray[Any]
    production: NDArray[Any]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.production)


@dataclass(frozen=True, slots=True, eq=False)
class Shadowed:
    """What a candidate's shadow was seen to do.

    Attributes:
        log: The requests that are judged.
        holdout: The holdout's rows.
        asked: Requests that the candidate was asked; those that it did not answer are not in `log`.
        errors: Requests that it did not answer.
        duration: From the first request asked to the last.
        fidelity: Of the requests that the present production answered: how many it answers the same now,
            and how many there are; None: nothing was scored again.
        latency: None: not measured.
        newer: Requests from after the holdout's end, shown apart.
        note: What the reader must know of the requests, or nothing.
    """

    log: Side
    holdout: Side
    asked: int
    errors: int
    duration: timedelta
    fidelity: tuple[int, int] | None = None
    latency: Latency | None = None
    newer: Side | None = None
    note: str = ""


def judge_shadow(
    evidence: Shadowed | None,
    rules: ShadowSection,
    *,
    mode: Literal["enforce", "dry_run"],
    subject: Subject,
    rng: np.random.Generator,
) -> Verdict:
    """Judge a candidate by what it answers to production's requests.

    Args:
        evidence: What was seen; None: there is no production version.
        rules: The policy's section `shadow`.
        mode: `dry_run` lets every limit stop nothing.
        subject: Who is judged, on what.
        rng: Draws the blocks of the latency's intervals.

    Raises:
        DatasetError: Log and holdout share no feature, or have one of different kinds.
    """
    if evidence is None:
        must_hold: tuple[Check, ...] = ()
        checks: tuple[Check, ...] = (Check(name="production", verdict="pass", reason=NO_PRODUCTION),)
        deciding = checks
    else:
        must_hold = _broken(evidence)
        checks = () if must_hold else _undecidable(evidence, rules) or _judged(evidence, rules, rng)
        deciding = _deciding(checks)
    notes = (evidence.note,) if evidence is not None and evidence.note else ()
    outcome, reason = sum_up((*must_hold, *deciding), notes)
    enforced = mode == "enforce" or bool(must_hold)
    return subject.verdict("shadow", outcome, reason, (*must_hold, *checks), enforced=enforced)


def _deciding(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """What the reason is made of: what was held against a limit; of cells and slices the worst ones."""
    chosen: list[Check] = []
    alarming = {check.slice for check in checks if check.name == "slice_alarm"}
    for check in checks:
        alike = sum(one.name == check.name for one in chosen)
        told_by_alarm = check.name == "cell" and check.slice in alarming
        if (check.verdict != "pass" or check.bound is not None) and alike < TOLD and not told_by_alarm:
            chosen.append(check)
    return tuple(chosen)


def _broken(evidence: Shadowed) -> tuple[Check, ...]:
    """What no mode lets pass: the candidate answers nothing, or something of another kind."""
    if evidence.asked and evidence.errors == evidence.asked:
        return (_broken_check(f"none of {evidence.asked:,} requests got an answer", evidence.asked),)
    for side, where in ((evidence.log, "requests"), (evidence.holdout, "rows of the holdout")):
        problem = kinds_problem(side.candidate, side.production)
        if problem is not None:
            return (_broken_check(f"{where}: {problem}", len(side)),)
    return ()


def _broken_check(reason: str, rows: int) -> Check:
    return Check(name="answers", rows=rows, verdict="fail", reason=reason)


def _undecidable(evidence: Shadowed, rules: ShadowSection) -> tuple[Check, ...]:
    """What is missing for a decision; all that is missing is told at once."""
    checks = []
    short = []
    if evidence.asked < rules.min_pairs:
        short.append(f"{evidence.asked:,} pairs, {rules.min_pairs:,} needed (shadow.min_pairs)")
    if evidence.duration < rules.min_duration:
        short.append(
            f"{format_duration(evidence.duration)} of log time, {format_duration(rules.min_duration)} needed "
            "(shadow.min_duration)"
        )
    if short:
        checks.append(
            Check(name="pairs", rows=evidence.asked, verdict="inconclusive", reason="; ".join(short))
        )
    elif window_size(len(evidence.log), len(evidence.holdout)) is None:
        reason = (
            f"the holdout has {len(evidence.holdout):,} rows that both versions answer, too few to vouch for "
            f"any of {len(evidence.log):,} requests; widen data.holdout_window"
        )
        rows = len(evidence.holdout)
        checks.append(Check(name="holdout", rows=rows, verdict="inconclusive", reason=reason))
    if evidence.fidelity is not None:
        fidelity = _fidelity_check(*evidence.fidelity)
        checks += [fidelity] if fidelity.verdict != "pass" else []
    return tuple(checks)


def _fidelity_check(matched: int, compared: int) -> Check:
    if not compared:
        reason = (
            "none of the requests was answered by the version that is in production now, so whether scoring "
            "again gives what users got cannot be told; judge again when it has answered some"
        )
        return Check(name="fidelity", rows=0, verdict="inconclusive", reason=reason)
    share = matched / compared
    told = f"production answers {matched:,} of {compared:,} logged requests as it did"
    if share >= FIDELITY:
        return Check(name="fidelity", value=share, bound=FIDELITY, rows=compared, verdict="pass", reason=told)
    reason = (
        f"{told}; {100 * FIDELITY:.4g}% needed: the log's features are not what the model was asked with, or "
        "its answers depend on more than them; look at what the server logs"
    )
    return Check(
        name="fidelity", value=share, bound=FIDELITY, rows=compared, verdict="inconclusive", reason=reason
    )


def _judged(evidence: Shadowed, rules: ShadowSection, rng: np.random.Generator) -> tuple[Check, ...]:
    log, holdout = evidence.log, evidence.holdout
    found = _measure(log, holdout, rules)
    checks = [
        error_check(evidence.errors, evidence.asked, rules.max_error_rate),
        *disagreement_checks(found, rules),
        *prediction_checks((log.candidate, holdout.candidate), log.production, rules.max_prediction_psi),
    ]
    if evidence.fidelity is not None:
        checks.insert(0, _fidelity_check(*evidence.fidelity))
    if evidence.latency is not None and len(evidence.latency.candidate):
        checks += latency_checks(evidence.latency, rules.max_latency_ratio.model_dump(), rng)
    if evidence.newer is not None and len(evidence.newer):
        checks.append(newer_check(_measure(evidence.newer, holdout, rules)))
    return tuple(checks)


def _measure(log: Side, holdout: Side, rules: ShadowSection) -> Disagreement:
    return measure_disagreement(
        (log.features, holdout.features),
        (log.candidate, holdout.candidate),
        (log.production, holdout.production),
        tolerance=rules.disagreement_tolerance,
        slice_alarm=rules.slice_alarm,
        slices=rules.slices,
    )
