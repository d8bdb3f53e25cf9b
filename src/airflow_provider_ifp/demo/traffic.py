"""A month of traffic: production answers the month's flights, the log keeps the answers, the labels arrive.

Error figures are read back: what was answered comes from the prediction log, the truth from the flights.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_provider_ifp.adapters.ledger import resolve
from airflow_provider_ifp.adapters.prediction_log import read_log, write_predictions
from airflow_provider_ifp.core.metrics import Answers, compute
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.demo.flights import select_month, write_month
from airflow_provider_ifp.loop.check import log_root
from airflow_provider_ifp.loop.scoring import score_versions

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_ifp.adapters.registry import ModelVersion, Registry
    from airflow_provider_ifp.core.policy import Policy

METRIC = "rmse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a month of answers was worth.

    Attributes:
        version: The version that answered.
        rows: Flights answered.
        error: Its error, from the prediction log.
        first_error: The error of the first version on the same flights.
    """

    version: str
    rows: int
    error: float
    first_error: float


class Traffic:
    """The flights as they come in, month by month.

    Args:
        registry: Where the versions are.
        policy: The model's policy; names dataset, log and columns.
        flights: The year's rows, as `flights.model_rows` gives them.
        dataset: The folder of the training dataset.
    """

    def __init__(self, registry: Registry, policy: Policy, flights: pa.Table, dataset: Path) -> None:
        self._registry = registry
        self._policy = policy
        self._flights = flights
        self._dataset = dataset
        self._log = log_root(policy, None)
        self._first: ModelVersion | None = None

    def land(self, month: str) -> int:
        """Let a month's flights land: their labels are in the training dataset now. Returns their number."""
        return write_month(self._flights, self._dataset, month)

    def serve(self, month: str) -> Served:
        """Let production answer a month's flights, log the answers, and look what they were worth.

        Raises:
            VersionNotFoundError: nothing is in production.
        """
        production = resolve(self._registry, self._policy.model, "@production")
        self._first = self._first or production
        rows = select_month(self._flights, month)
        features = list(self._policy.data.features or ())
        answers = score_versions(self._registry, [production, self._first], rows, features)
        self._write(rows, features, production.version, answers[production.version])
        return Served(
            version=production.version,
            rows=rows.num_rows,
            error=self._logged_error(month, rows),
            first_error=compute(METRIC, self._truth(rows), answers[self._first.version]),
        )

    def _write(self, rows: pa.Table, features: list[str], version: str, answers: Answers) -> None:
        asked = [rows[name].combine_chunks() for name in features]
        table = pa.table(
            {
                "request_id": rows["request_id"],
                "row": pa.array([0] * rows.num_rows, pa.int32()),
                "ts": rows["ts"],
                "model_version": [version] * rows.num_rows,
                "features": pa.StructArray.from_arrays(asked, features),
                "prediction": answers.prediction,
            }
        )
        write_predictions(self._log, self._policy.model, "production", table)

    def _logged_error(self, month: str, rows: pa.Table) -> float:
        start = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
        window = Window(start, (start + timedelta(days=31)).replace(day=1))
        logged = read_log(
            self._log, self._policy.model, "production", window, [], log_columns=["request_id", "prediction"]
        )
        label = str(self._policy.data.label)
        joined = logged.join(rows.select(["request_id", label]), "request_id", join_type="inner")
        return compute(METRIC, self._truth(joined), Answers(prediction=joined["prediction"].to_numpy()))

    def _truth(self, rows: pa.Table) -> Any:
        return rows[str(self._policy.data.label)].to_numpy()
