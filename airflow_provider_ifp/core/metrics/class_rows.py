"""Metrics of classes, computed from counts of rows: a thousand resamples cost no more than their counts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airflow_provider_ifp.core.metrics.labels import Classes
from airflow_provider_ifp.core.metrics.names import split_parameter

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassRows:
    """Rows by class, shape (..., classes): labelled and predicted so, truly so, predicted so."""

    hits: Floats
    labelled: Floats
    predicted: Floats


def count_class_rows(classes: Classes) -> ClassRows:
    """Count labels and predictions by class."""
    size = len(classes.names)
    right = classes.label[classes.label == classes.prediction]
    hits, labelled, predicted = (
        np.bincount(codes, minlength=size).astype(np.float64)
        for codes in (right, classes.label, classes.prediction)
    )
    return ClassRows(hits, labelled, predicted)


def of_class_rows(metric: str, rows: ClassRows, positive: int | None) -> Floats:
    """Compute a metric of classes from counts of rows, shape (..., classes) to (...).

    Shares of nothing are 0, scikit-learn's `zero_division`.
    """
    plain_metric, _ = split_parameter(metric)
    recall = _share(rows.hits, rows.labelled)
    if plain_metric == "balanced_accuracy":
        present = rows.labelled > 0
        return np.asarray(np.sum(recall * present, axis=-1) / np.sum(present, axis=-1))
    f1 = _share(2 * rows.hits, rows.labelled + rows.predicted)
    if plain_metric == "f1_weighted":
        return np.asarray(np.sum(f1 * rows.labelled, axis=-1) / np.sum(rows.labelled, axis=-1))
    if plain_metric == "f1_macro":
        known = (rows.labelled + rows.predicted) > 0
        return np.asarray(np.sum(f1, axis=-1) / np.sum(known, axis=-1))
    by_class = {"precision": _share(rows.hits, rows.predicted), "recall": recall, "f1": f1}[plain_metric]
    return np.asarray(by_class[..., positive])


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0)
