"""What one more check of a window costs: 30 days of hourly files, of which only the last hour is new.

    python benchmarks/drift_window.py [--days 30] [--rows 1000]

Wall and CPU seconds inside a running process: the stored profile is read, the log's folders are listed, what
is new is counted, 25 features are judged. Cold is the first check after a promotion; a late file makes its
day be merged anew.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from airflow_provider_ifp.adapters.count_cache import CountCache
from airflow_provider_ifp.adapters.prediction_log import write_predictions
from airflow_provider_ifp.adapters.profiling import profile_table
from airflow_provider_ifp.core.drift import check_drift
from airflow_provider_ifp.core.profile import Profile
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.loop.reference import write_profile
from airflow_provider_ifp.loop.window import LogCounter
from drift_speed import make_rows

if TYPE_CHECKING:
    from airflow_provider_ifp.core.findings import DriftCheck

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


def check(profile: Path, root: Path, window: Window, cache: Path) -> DriftCheck:
    """Check a window as the sensor's trigger does."""
    read = Profile.from_json(json.loads(profile.read_bytes()))
    counter = LogCounter(str(root), "model", "production", read, CountCache(cache))
    return check_drift(read, counter.count(window).counts)


def main() -> None:
    """Write the log, and time the checks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rows", type=int, default=1_000, help="of each hour")
    chosen = parser.parse_args()
    hours = chosen.days * 24
    with tempfile.TemporaryDirectory(prefix="drift-window-") as made:
        root, cache, profile = Path(made, "log"), Path(made, "cache"), Path(made, "profile.json")
        reference = make_rows(np.random.default_rng(10**6), 200_000, 0.0)
        profile.write_bytes(write_profile(profile_table(reference, reference.column_names)))
        for hour in range(hours):
            write_hour(root, hour, chosen.rows)

        def timed(what: str, end: int) -> None:
            wall, cpu = time.perf_counter(), time.process_time()
            found = check(profile, root, Window(START + (end - hours) * HOUR, START + end * HOUR), cache)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(f"{what:28}  {wall:7.2f} s wall  {cpu:7.2f} s CPU  {found.rows['current']:,} rows")

        print(f"{hours} hourly files of {chosen.rows:,} rows, 20 numbers and 5 texts")
        timed("cold: nothing is counted", hours)
        timed("warm: nothing is new", hours)
        for place in range(3):
            write_hour(root, hours + place, chosen.rows)
            timed("the last hour is new", hours + place + 1)
        write_hour(root, 100, chosen.rows + 1)
        timed("a file came 26 days late", hours + 3)
        kept = [file.stat().st_size for file in cache.iterdir()]
        print(f"the cache: {len(kept)} files, {sum(kept) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
