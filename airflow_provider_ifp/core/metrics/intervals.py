"""How sure is the difference between candidate and production on the same rows?

Both answered the same rows, so the interval is paired: what makes a row hard for both cancels out. It is of
candidate - production in the better direction: above 0, the candidate is better.

| metric | method |
| --- | --- |
| accuracy, log_loss, brier, mae, mape | mean of the paired differences, normal approximation |
| rmse, r2 | delta method on the paired squares |
| auc, of many classes the mean of one against the rest | DeLong, DeLong and Clarke-Pearson (1988) |
| precision, recall, f1 (each, macro, weighted), balanced_accuracy | bootstrap of the cells |
| average_precision | bootstrap of the rows |

Resampling rows and resampling the counts of their cells (label, candidate's answer, production's answer) is
the same draw, but the second needs no rows. Known weakness: with few rows, or very few rows on which the two
differ, all of these are too narrow; `validation.min_rows` guards against that.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_ifp.core.metrics.answers import (
    Answers,
    class_answers,
    positives_and_scores,
    rankings_of,
)
from airflow_provider_ifp.core.metrics.class_rows import ClassRows, of_class_rows
from airflow_provider_ifp.core.metrics.definitions import MEANS, direction, losses, spread
from airflow_provider_ifp.core.metrics.labels import encode
from airflow_provider_ifp.core.metrics.names import split_parameter
from airflow_provider_ifp.core.metrics.ranking import auc, auc_influence, weighted_average_precision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RESAMPLES: Final = 1_000
# Of many rows there are fewer resamples, but never fewer than a 95% interval needs.
_FEWEST_RESAMPLES: Final = 200
_MOST_RESAMPLED_ROWS: Final = 100_000_000
FEWEST_ROWS: Final = 2
_CELLS_AT_ONCE: Final = 4_000_000
_CELLS_COUNTED: Final = 1_000_000
"""Above so many cells that could be, they are found by sorting."""


def paired_interval(
    metric: str,
    y_true: NDArray[Any],
    candidate: Answers,
    production: Answers,
    *,
    rng: np.random.Generator,
    positive: object = None,
    level: float = 0.95,
) -> tuple[float, float] | None:
    """Return the interval of candidate - production in the better direction.

    Args:
        metric: A name of `core.metrics.names`.
        y_true: Labels, shape (rows,).
        candidate: The candidate's answers to these rows.
        production: Production's answers to the same rows.
        rng: For what is resampled; the same seed gives the same interval.
        positive: The positive class of a binary label.
        level: Coverage, two-sided.

    Returns:
        Lower and upper end in the metric's unit; None with fewer than two rows, or where it is not finite.

    Raises:
        IfpError: As `core.metrics.definitions.compute`.

    >>> rng = np.random.default_rng(0)
    >>> y = np.zeros(400); better, worse = Answers(rng.normal(0, 1, 400)), Answers(rng.normal(0, 2, 400))
    >>> low, high = paired_interval("rmse", y, better, worse, rng=rng)
    >>> 0 < low < high
    True
    """
    better = 1.0 if direction(metric) == "higher" else -1.0
    if len(y_true) < FEWEST_ROWS:
        return None
    plain_metric, _ = split_parameter(metric)
    pair = (candidate, production)
    if plain_metric in MEANS | {"r2", "auc"}:
        with np.errstate(over="ignore", invalid="ignore"):
            rows = _influence(metric, y_true, pair, positive)
            difference, error = float(rows.mean()), float(rows.std(ddof=1)) / len(rows) ** 0.5
        reach = NormalDist().inv_cdf(0.5 + level / 2) * error
        low, high = sorted((better * difference - reach, better * difference + reach))
    else:
        resample = _resampled_ranking if plain_metric == "average_precision" else _resampled_classes
        drawn = better * resample(metric, y_true, pair, positive, rng)
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return (low, high) if np.isfinite([low, high]).all() else None


def resamples_of(rows: int) -> int:
    """Say how often so many rows are resampled, where each resample costs a pass over them.

    >>> [resamples_of(rows) for rows in (5_000, 200_000, 1_000_000)]
    [1000, 500, 200]
    """
    return min(RESAMPLES, max(_FEWEST_RESAMPLES, _MOST_RESAMPLED_ROWS // rows))


def _influence(metric: str, y_true: NDArray[Any], pair: tuple[Answers, Answers], positive: object) -> Floats:
    """Return per row what it adds to the difference; the mean over rows is the difference itself."""
    if metric == "auc":
        one, other = (_auc_rows(y_true, answers, positive) for answers in pair)
        return one - other
    if metric not in ("rmse", "r2"):
        one, other = (losses(metric, y_true, answers, positive) for answers in pair)
        return one - other
    squares = [losses("rmse", y_true, answers) for answers in pair]
    if metric == "rmse":
        roots = [float(np.sqrt(square.mean())) for square in squares]
        # d sqrt(m) = dm / (2 sqrt(m)); a model without any error has nothing that could vary.
        halves = [
            (s - s.mean()) / (2 * r) if r else np.zeros(len(s)) for s, r in zip(squares, roots, strict=True)
        ]
        return np.asarray(halves[0] - halves[1] + (roots[0] - roots[1]))
    away = spread(y_true)
    ratio = float((squares[1] - squares[0]).mean() / away.mean())
    return np.asarray((squares[1] - squares[0] - ratio * away) / away.mean() + ratio)


def _auc_rows(y_true: NDArray[Any], answers: Answers, positive: object) -> Floats:
    """Return per row what it adds to the AUC, or to the mean of the AUCs of each class against the rest."""
    rankings = rankings_of("auc", y_true, answers, positive)
    return np.asarray(sum(auc_influence(*ranking) + auc(*ranking) for ranking in rankings) / len(rankings))


def _resampled_classes(
    metric: str,
    y_true: NDArray[Any],
    pair: tuple[Answers, Answers],
    positive: object,
    rng: np.random.Generator,
) -> Floats:
    """Return resampled differences, shape (resamples,), from the counts of (label, answer, answer)."""
    (one, code), (other, _) = (class_answers(metric, y_true, answers, positive) for answers in pair)
    # The two may know different classes: bring label and both answers to one list of names.
    both = encode(one.names[one.prediction], other.names[other.prediction])
    label = encode(one.names[one.label], both.names)
    names = label.names
    answered = [np.searchsorted(names, a.names)[a.prediction] for a in (one, other)]
    if code is not None:
        code = int(np.searchsorted(names, one.names[code]))
    cells, rows = _count_cells([label.label, *answered], len(names))
    at_once = max(1, _CELLS_AT_ONCE // (3 * cells.shape[1] + 3 * len(names)))
    differences = []
    for start in range(0, RESAMPLES, at_once):
        size = min(at_once, RESAMPLES - start)
        drawn = rng.multinomial(int(rows.sum()), rows / rows.sum(), size=size).astype(np.float64)
        labelled = _by_class(drawn, cells[0], len(names))
        values = []
        for answer in cells[1:]:
            hits = _by_class(drawn * (cells[0] == answer), answer, len(names))
            rows_of = ClassRows(hits, labelled, _by_class(drawn, answer, len(names)))
            values.append(of_class_rows(metric, rows_of, code))
        differences.append(values[0] - values[1])
    return np.concatenate(differences)


def _count_cells(
    codes: Sequence[NDArray[np.intp]], classes: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the cells that have rows, shape (3, cells), and their rows: label, answer, answer."""
    joined = (codes[0] * classes + codes[1]) * classes + codes[2]
    if classes**3 <= _CELLS_COUNTED:
        counts = np.bincount(joined)
        present = np.flatnonzero(counts)
        rows = counts[present]
    else:
        present, rows = np.unique(joined, return_counts=True)
    return np.stack(np.unravel_index(present, (classes,) * 3)), rows


def _by_class(drawn: Floats, codes: NDArray[np.intp], classes: int) -> Floats:
    """Sum the cells of each class: shape (resamples, cells) to (resamples, classes)."""
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    sums = np.zeros((len(drawn), classes))
    sums[:, present] = np.add.reduceat(drawn[:, order], starts, axis=1)
    return sums


def _resampled_ranking(
    metric: str,
    y_true: NDArray[Any],
    pair: tuple[Answers, Answers],
    positive: object,
    rng: np.random.Generator,
) -> Floats:
    """Return resampled differences, shape (resamples,); scores are sorted once, a resample weighs rows."""
    prepared = []
    for answers in pair:
        is_positive, score = positives_and_scores(metric, y_true, answers, positive)
        order = np.argsort(-score, kind="stable")
        ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
        prepared.append((order, is_positive[order].astype(np.float64), ends))
    differences = np.empty(resamples_of(len(y_true)))
    for draw in range(len(differences)):
        weights = np.bincount(rng.integers(len(y_true), size=len(y_true)), minlength=len(y_true)).astype(
            float
        )
        one, other = (
            weighted_average_precision(hits, weights[order], ends) for order, hits, ends in prepared
        )
        differences[draw] = one - other
    return differences
