"""What one more check of a window costs: 30 days of hourly files, of which only the last hour is new.

    python benchmarks/drift_window.py [--days 30] [--rows 1000]

Wall and CPU seconds of `loop.check.check` inside a running process, as the sensor's trigger runs it: the
stored profile is read, the log's folders are listed, what is new is counted, 25 features are judged, the
report is drawn. The registry is a stub in memory, so that the figures are the check's own. Cold is what the
task of a promotion counts ahead, or else the first check; a late file makes its day be merged anew.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import numpy as np
import pyarrow as pa

from airflow_provider_ifp.adapters.prediction_log import write_predictions
from airflow_provider_ifp.adapters.profiling import profile_table
from airflow_provider_ifp.core.policy import Policy
from airflow_provider_ifp.loop import check as checking
from airflow_provider_ifp.loop.reference import PROFILE, write_profile
from drift_speed import make_rows

if TYPE_CHECKING:
    from airflow_provider_ifp.core.firing import Firing

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


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
    write_predictions(str(root), "model", "production", pa.table(requests))


class OneVersion:
    """A registry with one version in production, as far as a check asks; what is written is dropped."""

    def __init__(self, profile: bytes) -> None:
        self.profile = profile

    def version(self, model: str, version: str) -> SimpleNamespace:
        """Return production."""
        return SimpleNamespace(model=model, version=version, run_id="run")

    def get_file(self, _: str, path: str) -> bytes | None:
        """Return the profile; the version has no other file."""
        return self.profile if path == PROFILE else None

    def entries(self, *_: str) -> dict[str, str]:
        """Return no baseline."""
        return {}

    def put_file(self, *_: object) -> None:
        """Take the report."""

    def file_address(self, *_: str) -> None:
        """Return no address: nobody shows the report."""


def check(registry: OneVersion, root: Path, now: datetime, days: int, cache: Path) -> Firing:
    """Check a window as the sensor's trigger does, the ledger apart."""
    monitor = {"predictions": str(root), "evaluation_window": f"{days}d"}
    policy = Policy.from_json({"model": "model", "monitor": monitor})
    ledger = SimpleNamespace(production="1", waiting=lambda: None)
    with mock.patch.object(checking, "project", return_value=ledger):
        return checking.check(cast("Any", registry), policy, now=now, cache=cache)


def main() -> None:
    """Write the log, and time the checks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rows", type=int, default=1_000, help="of each hour")
    chosen = parser.parse_args()
    hours = chosen.days * 24
    with tempfile.TemporaryDirectory(prefix="drift-window-") as made:
        root, cache = Path(made, "log"), Path(made, "cache")
        reference = make_rows(np.random.default_rng(10**6), 200_000, 0.0)
        registry = OneVersion(write_profile(profile_table(reference, reference.column_names)))
        for hour in range(hours):
            write_hour(root, hour, chosen.rows)

        def timed(what: str, end: int) -> None:
            wall, cpu = time.perf_counter(), time.process_time()
            firing = check(registry, root, START + end * HOUR, chosen.days, cache)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(f"{what:28}  {wall:7.2f} s wall  {cpu:7.2f} s CPU  {firing.reasons[0]}")

        print(f"{hours} hourly files of {chosen.rows:,} rows, 20 numbers and 5 texts")
        timed("cold: nothing is counted", hours)
        timed("warm: nothing is new", hours)
        for place in range(3):
            write_hour(root, hours + place, chosen.rows)
            timed("the last hour is new", hours + place + 1)
        write_hour(root, 100, chosen.rows + 1)
        timed("a file came 26 days late", hours + 3)
        kept = [file.stat().st_size for file in cache.rglob("*") if file.is_file()]
        print(f"the cache: {len(kept)} files, {sum(kept) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
