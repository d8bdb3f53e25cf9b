"""What one more check of a window costs: 30 days of hourly files, of which only the last hour is new.

    python benchmarks/drift_window.py [--days 30] [--rows 1000]

Wall and CPU seconds of `loop.drift.check` inside a running process, as the sensor's trigger runs it, against
a real MLflow server: the registry is opened, ledger and profile are read, the log's folders are listed, what
is new is counted, 25 features are judged, the report is drawn and stored. The server's own CPU is not in it.
What the task of a promotion counts ahead is the first row; a late file makes its day be merged anew.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from airflow_provider_ifp.adapters.counting.profiling import profile_table
from airflow_provider_ifp.adapters.log.predictions import write_predictions
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.demo.services import running_services
from airflow_provider_ifp.demo.stack import launch_mlflow, wait_for_mlflow
from airflow_provider_ifp.loop.drift.check import check, count_ahead
from airflow_provider_ifp.loop.drift.reference import PROFILE, write_profile
from airflow_provider_ifp.loop.registry.move import promote
from drift_speed import make_rows
from filled_registry import add_version, attempt

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MODEL = "revenue-forecast"


def write_hour(root: Path, hour: int, rows: int) -> None:
    """Write one hour of requests to the log."""
    drawn = make_rows(np.random.default_rng(hour), rows, 0.0).combine_chunks()
    times = [START + hour * HOUR + row * HOUR / rows for row in range(rows)]
    requests = {
        "request_id": [f"{hour}-{row}" for row in range(rows)],
        "row": pa.array([0] * rows, pa.int32()),
        "ts": pa.array(times, pa.timestamp("us", "UTC")),
        "model_version": ["1"] * rows,
        "features": pa.StructArray.from_arrays(
            [drawn[name].combine_chunks() for name in drawn.column_names], drawn.column_names
        ),
        "prediction": [0.0] * rows,
    }
    write_predictions(str(root), MODEL, "production", pa.table(requests))


def put_in_production(uri: str, scratch: Path) -> None:
    """Register a version with the profile of 200,000 rows, and promote it."""
    registry = MlflowRegistry(uri)
    version = add_version(registry, MODEL, scratch)
    reference = make_rows(np.random.default_rng(10**6), 200_000, 0.0)
    profile = profile_table(reference, reference.column_names)
    registry.put_file(version.run_id, PROFILE, write_profile(profile))
    promote(registry, MODEL, version.version, "production", attempt=attempt("the first one"))


def show(what: str, act: Callable[[], object]) -> None:
    """Time what is done."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what:28}  {wall:7.2f} s wall  {cpu:7.2f} s CPU")


def main() -> None:
    """Write the log, and time the checks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rows", type=int, default=1_000, help="of each hour")
    chosen = parser.parse_args()
    hours = chosen.days * 24
    with (
        tempfile.TemporaryDirectory(prefix="drift-window-") as made,
        running_services(Path(made, "logs")) as services,
    ):
        root, cache = Path(made, "log"), Path(made, "cache")
        uri = launch_mlflow(services, Path(made, "mlflow"))
        wait_for_mlflow(services, uri)
        put_in_production(uri, Path(made, "model"))
        for hour in range(hours):
            write_hour(root, hour, chosen.rows)
        monitor = {"predictions": str(root), "evaluation_window": f"{chosen.days}d"}
        policy = Policy.from_json({"model": MODEL, "monitor": monitor})

        def check_at(end: int) -> None:
            found = check(MlflowRegistry(uri), policy, now=START + end * HOUR, cache=cache)
            if found.check is None or found.check.drifted is not False:
                raise SystemExit(f"expected no drift, found {found.reasons}")

        print(f"{hours} hourly files of {chosen.rows:,} rows, 20 numbers and 5 texts")
        now = START + hours * HOUR
        show("counted ahead", lambda: count_ahead(MlflowRegistry(uri), policy, now=now, cache=cache))
        show("nothing is new", lambda: check_at(hours))
        for end in range(hours + 1, hours + 4):
            write_hour(root, end - 1, chosen.rows)
            show("the last hour is new", functools.partial(check_at, end))
        write_hour(root, 100, chosen.rows + 1)
        show("a file came 26 days late", lambda: check_at(hours + 3))
        kept = [file.stat().st_size for file in cache.rglob("*") if file.is_file()]
        print(f"the cache: {len(kept)} files, {sum(kept) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
