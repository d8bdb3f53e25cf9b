"""What the gates judge by, made of tables and the policy: answers, slices, metrics."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.core.errors import DatasetError, PolicyError
from airflow_provider_ifp.core.metrics.answers import Answers
from airflow_provider_ifp.core.metrics.measures import Measures, Rows, own_metric

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.metrics.measures import OwnFunction
    from airflow_provider_ifp.core.policy.model import Policy

MISSING: Final = "(missing)"


def to_rows(
    policy: Policy, table: pa.Table, label: str, candidate: Answers, production: Answers | None
) -> Rows:
    """Labelled rows as the gates take them; own metrics see the whole table.

    Args:
        policy: Says whether there are own metrics.
        table: The rows.
        label: The label's column.
        candidate: The candidate's answers.
        production: Production's; None: it did not answer, or there is none.
    """
    frame = table.to_pandas() if policy.validation.metrics else None
    return Rows(label=to_array(table[label]), candidate=candidate, production=production, frame=frame)


def to_answers(table: pa.Table, prediction: str = "prediction", score: str = "score") -> Answers:
    """What one version answered; without a column of scores it gave none."""
    return Answers(
        prediction=to_array(table[prediction]),
        score=to_array(table[score]) if score in table.column_names else None,
    )


def to_array(column: pa.ChunkedArray) -> NDArray[Any]:
    """One value a row, or one row of values a row (a probability for each class)."""
    if pa.types.is_dictionary(column.type):
        # Its own `to_numpy` gives a missing row the last value of the dictionary.
        column = column.cast(column.type.value_type)
    if not pa.types.is_nested(column.type):
        return np.asarray(column.to_numpy())
    listed = column.to_pylist()
    try:
        return np.array(listed)
    except ValueError:  # a row is missing, or of another length: the gate finds it there
        values = np.empty(len(listed), dtype=object)
        values[:] = listed
        return values


def to_slices(policy: Policy, table: pa.Table) -> dict[str, NDArray[Any]]:
    """By column of `validation.slices` the value of each row as text, shape (rows,).

    Raises:
        DatasetError: A column's values have no text.
    """
    slices: dict[str, NDArray[Any]] = {}
    for name in policy.validation.slices:
        try:
            slices[name] = np.asarray(as_text(table[name]).to_numpy(), dtype=np.str_)
        except pa.ArrowException as error:
            raise DatasetError(
                f"validation.slices: column {name!r} is {table[name].type}, whose values cannot be written "
                f"as text ({error}); name another column, or make it text"
            ) from None
    return slices


def as_text(column: Any) -> Any:
    """A column's values as text, missing ones by name."""
    return pc.fill_null(column.cast(pa.string()), MISSING)


def measures_of(policy: Policy) -> Measures:
    """What the gates measure: the provider's metrics and the policy's own.

    Raises:
        PolicyError: An own metric does not import, is no function, or does not say which way is better.
    """
    paths: Mapping[str, str] = policy.validation.metrics
    own = {
        name: own_metric(name, _imported(name, path), policy.validation.bounds)
        for name, path in paths.items()
    }
    seed = policy.train.seed if policy.train else 0
    return Measures(own=own, positive=policy.data.positive, rng=np.random.default_rng(seed))


def _imported(name: str, path: str) -> OwnFunction:
    module, _, attribute = path.partition(":")
    try:
        function: OwnFunction = getattr(import_module(module), attribute)
    except Exception as error:  # the user's module may raise anything
        raise PolicyError(
            f"validation.metrics.{name}: {path} does not import: {type(error).__name__}: {error}; expected "
            "module:function of a module that the gate's task can import"
        ) from error
    if not callable(function):
        raise PolicyError(f"validation.metrics.{name}: {path} is a {type(function).__name__}, not a function")
    return function
