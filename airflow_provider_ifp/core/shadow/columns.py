"""The features of log and holdout, side by side in one form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.figures import figures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_COMMAS_FROM = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One feature.

    Attributes:
        name: The feature's.
        names: Of a category: what its values are called (`carrier=HA`, `carrier missing`); None: it is a
            number.
        log: Values of the requests, shape (requests,): codes of `names`, or floats (NaN is missing).
        holdout: The same of the holdout's rows.
    """

    name: str
    names: tuple[str, ...] | None
    log: NDArray[Any]
    holdout: NDArray[Any]

    def ranks(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Ranks from 0 among the distinct values of both, log and holdout; missing ones together."""
        _, codes = np.unique(np.concatenate([self.log, self.holdout]), return_inverse=True)
        of_log, of_holdout = np.split(codes, [len(self.log)])
        return of_log, of_holdout


def to_columns(log: Mapping[str, NDArray[Any]], holdout: Mapping[str, NDArray[Any]]) -> list[Column]:
    """Bring the features that both have to one form.

    Args:
        log: By name, shape (requests,), at least one: floats (NaN is missing), or objects (text; None is
            missing).
        holdout: The same of the holdout's rows.

    Raises:
        DatasetError: They share no feature, or one is numbers here and text there.
    """
    shared = [name for name in log if name in holdout]
    if not shared:
        raise DatasetError(
            f"log and holdout share no feature: the log has {', '.join(log) or 'none'}, the holdout "
            f"{', '.join(holdout) or 'none'}; log the features that the model is asked with"
        )
    return [_to_column(name, log[name], holdout[name]) for name in shared]


def number_text(values: Sequence[float]) -> list[str]:
    """Write the ends of ranges; whole numbers from a thousand on with commas.

    >>> number_text([0.25, 2586.0])
    ['0.25', '2,586']
    """
    return [
        f"{value:,.0f}"
        if math.isfinite(value) and value == round(value) and abs(value) >= _COMMAS_FROM
        else text
        for value, text in zip(values, figures(values), strict=True)
    ]


def _to_column(name: str, log: NDArray[Any], holdout: NDArray[Any]) -> Column:
    numbers = [values.dtype.kind == "f" for values in (log, holdout)]
    if numbers[0] != numbers[1]:
        kinds = ["numbers" if one else "text" for one in numbers]
        raise DatasetError(
            f"{name}: the log has {kinds[0]} and the holdout {kinds[1]}; log what the dataset has"
        )
    if numbers[0]:
        return Column(name, None, log.astype(np.float64), holdout.astype(np.float64))
    values = np.concatenate([log, holdout])
    missing = np.array([value is None for value in values.tolist()], dtype=np.bool_)
    names, codes = np.unique(np.where(missing, "", values).astype(np.str_), return_inverse=True)
    codes = np.where(missing, len(names), codes)
    texts = (*(f"{name}={value}" for value in names.tolist()), f"{name} missing")
    return Column(name, texts, codes[: len(log)], codes[len(log) :])
