"""Records of drift checks on drawn data, as pages are made from them."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.counting.profiling import profile_column, profile_table
from airflow_provider_ifp.core.drift.check import check_drift
from airflow_provider_ifp.core.drift.record import Compared, drift_record
from airflow_provider_ifp.core.drift.rule import Rule
from airflow_provider_ifp.core.profile.record import ERROR, Profile
from airflow_provider_ifp.core.windows import Window, calendar_blocks

RULE = Rule()
WINDOW = Window(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 4, tzinfo=UTC))


def draw(seed, shift=0.0, names=("price",), rows=2_000, region=("north", "south")):
    rng = np.random.default_rng(seed)
    numbers = {name: rng.normal(shift * (place == 0), 1, rows) for place, name in enumerate(names)}
    holes = pa.array(rng.normal(size=rows), mask=rng.random(rows) < 0.25)
    return pa.table({**numbers, "region": rng.choice(region, rows), "holes": holes})


def record(current, *, rule=RULE, notes=(), names=("price",), errors=None):
    reference = draw(0, names=names)
    profile = profile_table(reference, reference.column_names)
    return drift_record(
        compared(profile, current, rule),
        model="demand",
        version="7",
        window=WINDOW,
        reference="what version 7 was trained on",
        notes=notes,
        errors=errors,
    )


def compared(profile, current, rule=RULE):
    days = [count_batches(profile, current.slice(start, 500).to_batches()) for start in (0, 500, 1_000)]
    counts = count_batches(profile, current.to_batches())
    return Compared(
        check=check_drift(profile, counts, rule),
        profile=profile,
        counts=counts,
        blocks=list(zip(calendar_blocks(WINDOW), days, strict=True)),
    )


def errors_of_numbers(shift=0.0, rows=1_500):
    """Production's errors in the window, against errors of mean 0 and deviation 1 on the holdout."""
    draws = np.random.default_rng(3)
    error = profile_column(ERROR, pa.array(draws.normal(size=2_000)), None)
    profile = Profile((), 2_000, (error,))
    return compared(profile, pa.table({ERROR: draws.normal(shift, 1, rows)}))


def errors_of_labels(wrong, rows=1_500):
    """Production's mistakes in the window, against a holdout without one."""
    profile = Profile((), 2_000, (profile_column(ERROR, pa.array(["right"] * 2_000), None),))
    return compared(
        profile, pa.table({ERROR: ["wrong"] * int(rows * wrong) + ["right"] * int(rows * (1 - wrong))})
    )
