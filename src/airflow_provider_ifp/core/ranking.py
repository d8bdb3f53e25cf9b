"""Metrics of a ranking: how well a score puts the positives before the negatives."""

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


def mid_ranks(values: Floats) -> Floats:
    """Rank values from 1; equal values share the mean of their ranks.

    >>> mid_ranks(np.array([0.3, 0.1, 0.3]))
    array([2.5, 1. , 2.5])
    """
    _, codes, times = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(times)
    return np.asarray((last - (times - 1) / 2)[codes])


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
