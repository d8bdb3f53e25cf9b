"""Whether a training done again gave the same model: bit by bit, within tolerances, or another one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from airflow_provider_ifp.core.registry.build import changed_packages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.metrics.answers import Answers

Answer = Literal["bitwise", "numeric", "different", "impossible"]

TOLERANCE, MAX_CHANGED = 0.01, 0.01
_MACHINE = ("machine", "cpu", "cores", "threads", "gpus")
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How far the answers of two models to the same rows are apart.

    Attributes:
        rows: How many were answered.
        largest_difference: Of the scores; of the predictions where they are numbers and there are no scores;
            None where there is neither, or where the two cannot be subtracted.
        labels_changed: Share of the rows with another label, 0 to 1; None for a regression.
        spread: Standard deviation of the recorded version's predictions, to judge a regression's difference
            by; None for labels.
        problem: Why the two cannot be compared at all.
    """

    rows: int
    largest_difference: float | None = None
    labels_changed: float | None = None
    spread: float | None = None
    problem: str | None = None

    def decide(self, tolerance: float = TOLERANCE, max_changed: float = MAX_CHANGED) -> tuple[Answer, str]:
        """`numeric` or `different`, with the reason.

        >>> Comparison(rows=1_000, labels_changed=0.002).decide()
        ('numeric', 'over 1,000 rows: 0.20% of labels changed <= 1%')
        >>> Comparison(rows=1_000, largest_difference=0.25).decide()
        ('different', 'over 1,000 rows: largest difference of predictions 0.25 > 0.01')
        """
        if self.problem is not None:
            return "different", self.problem
        kind = "predictions" if self.labels_changed is None else "scores"
        checks = []
        if self.largest_difference is not None:
            found, bound = self.largest_difference, tolerance
            checks.append((found <= bound, f"largest difference of {kind} {found:.3g}", f"{bound:g}"))
        if self.labels_changed is not None:
            found, bound = self.labels_changed, max_changed
            checks.append((found <= bound, f"{found:.2%} of labels changed", f"{100 * bound:g}%"))
        told = ", ".join(f"{what} {'<=' if fine else '>'} {limit}" for fine, what, limit in checks)
        answer: Answer = "numeric" if all(fine for fine, _, _ in checks) else "different"
        return answer, f"over {self.rows:,} rows: {told}"


def compare(recorded: Answers, again: Answers) -> Comparison:
    """Hold the answers of the model trained again against those of the recorded version.

    Labels are text, booleans, integers, or whatever comes with scores; other predictions are a regression's.
    """
    rows = len(recorded.prediction)
    if (recorded.score is None) != (again.score is None):
        which = "the recorded version" if again.score is None else "the model trained again"
        return Comparison(rows=rows, problem=f"only {which} answers with scores")
    labelled = recorded.score is not None or _are_labels(recorded.prediction)
    if labelled:
        changed = float(np.mean(~_equal(recorded.prediction, again.prediction))) if rows else 0.0
        if recorded.score is None or again.score is None:
            return Comparison(rows=rows, labels_changed=changed)
        return _apart(Comparison(rows=rows, labels_changed=changed), recorded.score, again.score)
    if _are_labels(again.prediction):
        return Comparison(rows=rows, problem="the predictions were numbers, and are labels now")
    finite = recorded.prediction[np.isfinite(recorded.prediction)]
    apart = Comparison(rows=rows, spread=float(np.std(finite)) if len(finite) else None)
    return _apart(apart, recorded.prediction, again.prediction)


def environment_warnings(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What of interpreter, image and distributions is another than it was.

    Args:
        recorded: `environment` of a version's provenance.
        now: The environment at hand.
    """
    found = []
    for name in ("python", "implementation", "image"):
        was, is_now = recorded.get(name), now.get(name)
        if was != is_now and was is not None:
            found.append(f"{name} {was} -> {is_now or 'none'}")
    packages = recorded.get("distributions")
    if packages is None:
        return [*found, "the packages of then are not on record"]
    changed = changed_packages(packages, now["distributions"])
    more = [f"and {len(changed) - _SHOWN} packages more"] if len(changed) > _SHOWN else []
    return found + changed[:_SHOWN] + more


def machine_warnings(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What of the machine, or of a process's determinism, is another than it was, if it is on record.

    >>> machine_warnings({"cpu": "EPYC 7763", "cores": 8}, {"cpu": "EPYC 9654", "cores": 8, "threads": 8})
    ['cpu EPYC 7763 -> EPYC 9654']
    """
    names = [name for name in recorded if name in now]
    return [f"{name} {recorded[name]} -> {now[name]}" for name in names if recorded[name] != now[name]]


def hardware_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What of the hardware can change a result; memory and the kernel's release do not.

    >>> hardware_of({"cpu": "EPYC 7763", "memory_bytes": 2**34})
    {'cpu': 'EPYC 7763'}
    """
    return {name: facts[name] for name in _MACHINE if name in facts}


def _apart(apart: Comparison, before: NDArray[Any], after: NDArray[Any]) -> Comparison:
    """Add the largest difference of two arrays of numbers, or why there is none."""
    if before.shape != after.shape:
        return replace(apart, problem=f"answers had the shape {before.shape}, and have {after.shape} now")
    old, new = before.astype(np.float64), after.astype(np.float64)
    same = _equal(old, new)
    strange = int(np.count_nonzero(~same & ~(np.isfinite(old) & np.isfinite(new))))
    if strange:
        return replace(apart, problem=f"{strange:,} answers are NaN or infinite in one of the two")
    with np.errstate(invalid="ignore"):  # infinite on both sides, and so the same
        found = np.where(same, 0.0, np.abs(old - new))
    return replace(apart, largest_difference=float(np.max(found, initial=0.0)))


def _are_labels(values: NDArray[Any]) -> bool:
    return values.dtype.kind not in "fc" and values.ndim == 1


def _equal(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.bool_]:
    """Value by value; missing is equal to missing."""
    both_missing = (before != before) & (after != after)  # noqa: PLR0124 - only NaN is not itself
    return np.asarray((before == after) | both_missing, dtype=np.bool_)
