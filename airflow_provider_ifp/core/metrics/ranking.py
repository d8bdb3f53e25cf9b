"""Metrics of a ranking: how well a score puts the positives before the negatives."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def auc(is_positive: NDArray[np.bool_], score: Floats) -> float:
    """Return the area under the ROC curve: how often a positive outranks a negative, ties counting half.

    >>> auc(np.array([False, True, True]), np.array([0.1, 0.1, 0.9]))
    0.75
    """
    positives = int(np.count_nonzero(is_positive))
    pairs = positives * (len(score) - positives)
    return float((mid_ranks(score)[is_positive].sum() - positives * (positives + 1) / 2) / pairs)


def auc_influence(is_positive: NDArray[np.bool_], score: Floats) -> Floats:
    """Return how each row moves the area under the ROC curve, shape (rows,), with mean 0.

    A positive's part is the share of negatives that it outranks, a negative's the share of positives that
    outrank it (DeLong, DeLong and Clarke-Pearson, 1988), each by mid-ranks (Sun and Xu, 2014).
    """
    ranks = mid_ranks(score)
    positives = int(np.count_nonzero(is_positive))
    negatives = len(score) - positives
    parts = np.empty(len(score))
    parts[is_positive] = (ranks[is_positive] - mid_ranks(score[is_positive])) / negatives
    parts[~is_positive] = 1 - (ranks[~is_positive] - mid_ranks(score[~is_positive])) / positives
    weights = np.where(is_positive, len(score) / positives, len(score) / negatives)
    return np.asarray(weights * (parts - parts[is_positive].mean()))


def mid_ranks(values: Floats) -> Floats:
    """Rank values from 1; equal values share the mean of their ranks.

    >>> mid_ranks(np.array([0.3, 0.1, 0.3]))
    array([2.5, 1. , 2.5])
    """
    order = np.argsort(values)
    ordered = values[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    times = np.diff(starts, append=len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(starts + (times + 1) / 2, times)
    return ranks


def average_precision(is_positive: NDArray[np.bool_], score: Floats) -> float:
    """Return the mean of the precisions at each score, weighted by the recall gained there.

    >>> average_precision(np.array([False, True, True]), np.array([0.8, 0.6, 0.9]))
    0.8333333333333333
    """
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    return weighted_average_precision(is_positive[order].astype(np.float64), np.ones(len(score)), ends)


def weighted_average_precision(hits: Floats, weights: Floats, ends: NDArray[np.intp]) -> float:
    """Return the average precision of rows in descending order of score, each counted `weights` times.

    Args:
        hits: 1 where the row is positive, shape (rows,).
        weights: Shape (rows,).
        ends: Index of the last row of each distinct score.
    """
    found, ranked = np.cumsum(hits * weights)[ends], np.cumsum(weights)[ends]
    precision = np.divide(found, ranked, out=np.zeros(len(ends)), where=ranked > 0)
    gained = np.diff(found, prepend=0.0)
    return float(np.sum(precision * gained) / found[-1]) if found[-1] else 0.0


RANKED: Final[dict[str, Callable[[NDArray[np.bool_], Floats], float]]] = {
    "auc": auc,
    "average_precision": average_precision,
}
