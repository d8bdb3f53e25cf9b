"""A month of traffic: users ask, the server answers and logs, the labels arrive.

Error figures are read back: who answered what comes from the prediction log that the server wrote, the truth
from the flights.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from airflow_provider_ifp.adapters.log.predictions import read_log
from airflow_provider_ifp.adapters.registry.ledger import resolve
from airflow_provider_ifp.core.errors import ServiceError
from airflow_provider_ifp.core.metrics.answers import Answers
from airflow_provider_ifp.core.metrics.definitions import compute
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.demo.flights import select_month, write_month
from airflow_provider_ifp.loop.gates.scoring import score_versions

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.core.policy.model import Policy
    from airflow_provider_ifp.demo.client import Asking, Client
    from airflow_provider_ifp.demo.services import Services

METRIC = "rmse"
_SERVER_SECONDS = 60
_LOG_SECONDS = 60


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
        client: Asks the server.
        services: The server is one of them.
    """

    def __init__(
        self,
        registry: Registry,
        policy: Policy,
        flights: pa.Table,
        dataset: Path,
        *,
        client: Client,
        services: Services,
    ) -> None:
        self._registry = registry
        self._policy = policy
        self._flights = flights
        self._dataset = dataset
        self._log = policy.log_root(None)
        self._client = client
        self._services = services
        self._first: ModelVersion | None = None

    def land(self, month: str) -> int:
        """Let a month's flights land: their labels are in the training dataset now. Returns their number."""
        return write_month(self._flights, self._dataset, month)

    def serve(self, month: str) -> Served:
        """Let users ask for a month's flights, and look what the logged answers were worth.

        Raises:
            ServiceError: the server does not take production, a request failed, or the log lacks some of
                them a minute later.
            VersionNotFoundError: nothing is in production.
        """
        production = resolve(self._registry, self._policy.model, "@production")
        self._first = self._first or production
        self._services.wait_until(
            lambda: self._client.version() == production.version,
            what=f"the server to answer with version {production.version}",
            seconds=_SERVER_SECONDS,
        )
        rows = select_month(self._flights, month)
        asked = self._client.ask(rows)
        if asked.failed:
            raise ServiceError(
                f"{len(asked.failed):,} of {asked.count:,} requests failed; the first: {asked.failed[0]}"
            )
        answered = self._wait_for_log(month, rows)
        version = ", ".join(pc.unique(answered["model_version"]).to_pylist())
        error = compute(METRIC, self._truth(answered), Answers(prediction=answered["prediction"].to_numpy()))
        return Served(
            version=version,
            rows=rows.num_rows,
            error=error,
            first_error=error if version == self._first.version else self._first_error(self._first, rows),
        )

    def keep_asking(self, month: str, at: datetime) -> Asking:
        """Let users ask again for a month's first flights, as of a time, until they are told to stop."""
        return self._client.keep_asking(select_month(self._flights, month).slice(0, 1_000), at)

    def _wait_for_log(self, month: str, rows: pa.Table) -> pa.Table:
        """The answers to a month's flights beside what was true, once the server has logged them all."""
        answered = rows
        label = str(self._policy.data.label)

        def is_whole() -> bool:
            nonlocal answered
            logged = self._logged(month)
            if logged.num_rows < rows.num_rows:
                return False
            answered = logged.join(rows.select(["request_id", label]), "request_id", join_type="inner")
            return bool(answered.num_rows == rows.num_rows)

        self._services.wait_until(
            is_whole, what=f"the log of {rows.num_rows:,} answers of {month}", seconds=_LOG_SECONDS
        )
        return answered

    def _logged(self, month: str) -> pa.Table:
        start = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
        window = Window(start, (start + timedelta(days=31)).replace(day=1))
        columns = ["request_id", "model_version", "prediction"]
        return read_log(self._log, self._policy.model, "production", window, [], log_columns=columns)

    def _first_error(self, first: ModelVersion, rows: pa.Table) -> float:
        features = list(self._policy.data.features or ())
        answers = score_versions(self._registry, [first], rows, features)
        return compute(METRIC, self._truth(rows), answers[first.version])

    def _truth(self, rows: pa.Table) -> Any:
        return rows[str(self._policy.data.label)].to_numpy()
