"""`ifp.monitor`: a model's reference from a notebook or a script, without Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.counting.dataset_profile import count_dataset, profile_dataset
from airflow_provider_ifp.adapters.counting.profiling import profile_table
from airflow_provider_ifp.adapters.registry.ledger import read_ledger
from airflow_provider_ifp.core.drift.check import DEFAULT_RULE, check_drift
from airflow_provider_ifp.core.errors import DatasetError, RegistryError
from airflow_provider_ifp.core.policy.types import ModelName
from airflow_provider_ifp.loop.drift.baseline import Baseline, clear_baseline, read_baseline, set_baseline
from airflow_provider_ifp.loop.drift.reference import read_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_ifp.adapters.registry.protocol import Registry
    from airflow_provider_ifp.core.drift.findings import DriftCheck
    from airflow_provider_ifp.core.drift.rule import Rule
    from airflow_provider_ifp.core.profile.record import Profile


class Monitor:
    """What a model's data is held against, and the check itself.

    Args:
        registry: Where the model is.
        model: The registered model.
    """

    def __init__(self, registry: Registry, model: str) -> None:
        self._registry = registry
        self.model = model

    @property
    def baseline(self) -> Baseline | None:
        """The baseline that stands, None where none was set.

        Raises:
            DigestMismatchError: its file is not the one that was written.
        """
        return read_baseline(self._registry, self.model)

    def set_baseline(
        self,
        data: Any,
        *,
        window_label: str,
        freeze: bool = True,
        categorical: Sequence[str] | None = None,
    ) -> Baseline:
        """Make this data the reference of every later check, DriftSensor's too.

        Args:
            data: The features: a pandas frame, an Arrow table, or a dataset's path or URI.
            window_label: What to call it.
            freeze: It stays whatever `monitor.baseline_window` says; else a rolling window may take over.
            categorical: Columns that are categories; None: text, booleans and dictionaries.

        Raises:
            DatasetError: no rows, or a column that has no profile.
            RegistryError: the registry says no.
        """
        if isinstance(data, str | Path):
            profile = profile_dataset(str(data), categorical=categorical)
        else:
            table = _table(data)
            profile = profile_table(table, table.column_names, categorical)
        return set_baseline(self._registry, self.model, profile, label=window_label, freeze=freeze)

    def clear_baseline(self) -> None:
        """Go back to what the version in production was trained on."""
        clear_baseline(self._registry, self.model)

    def check(self, data: Any, rule: Rule = DEFAULT_RULE) -> DriftCheck:
        """Hold data against the reference: the baseline, else what production was trained on.

        Args:
            data: As for `set_baseline`; columns besides the reference's are left aside.
            rule: What is asked; by default PSI over 0.10, chance accounted for.

        Raises:
            DatasetError: a feature is missing, or has other values than the reference.
            RegistryError: there is no reference.
        """
        reference = self._reference()
        if isinstance(data, str | Path):
            return check_drift(reference, count_dataset(reference, str(data)), rule)
        return check_drift(reference, count_batches(reference, _table(data).to_batches()), rule)

    def _reference(self) -> Profile:
        baseline = self.baseline
        if baseline is not None:
            return baseline.profile
        production = read_ledger(self._registry, self.model).production
        if production is None:
            raise RegistryError(
                f"{self.model}: no version is in production and no baseline is set, so there is nothing to "
                "hold data against; call set_baseline(X, window_label=...) first"
            )
        version = self._registry.version(self.model, production)
        return read_reference(self._registry, version, answers=False)


def monitor(model: str, *, tracking_uri: str | None = None) -> Monitor:
    """Watch a registered model.

    Args:
        model: Its name.
        tracking_uri: MLflow's; None: MLFLOW_TRACKING_URI, else MLflow's own default.

    Raises:
        RegistryError: no model can have that name.
        RegistryUnreachableError: the registry does not answer, or refuses the credentials.
    """
    from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry

    try:
        TypeAdapter(ModelName).validate_python(model)
    except ValidationError:
        raise RegistryError(
            f"model {model!r}: expected up to 200 letters, digits, _ and -, as a policy's `model`"
        ) from None
    return Monitor(MlflowRegistry(tracking_uri), model)


def _table(data: Any) -> pa.Table:
    if isinstance(data, pa.Table):
        return data
    if hasattr(data, "columns") and hasattr(data, "dtypes"):
        try:
            return pa.Table.from_pandas(data, preserve_index=False)
        except (pa.ArrowException, ValueError, TypeError) as error:
            told = "; ".join(str(part) for part in error.args)
            raise DatasetError(f"the frame's columns are no table: {told}; give each one type") from None
    raise DatasetError(
        f"expected a pandas frame, an Arrow table or a dataset's path, found {type(data).__name__}; "
        "pandas.DataFrame(X, columns=[...]) gives the columns names"
    )
