"""Real data for the integration tests."""

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_ifp.demo.flights import model_rows, read_flights

SAMPLE_ROWS = 30_000


@pytest.fixture(scope="session")
def data_sample(request) -> str:
    """`small` or `full`, as `--data-sample` says."""
    return request.config.getoption("--data-sample")


@pytest.fixture(scope="session")
def flights(data_sample) -> pa.Table:
    """The rows of model flight-time: all of 2013's, or a seeded sample over the whole year."""
    rows = model_rows(read_flights())
    if data_sample == "full":
        return rows
    chosen = np.random.default_rng(0).choice(rows.num_rows, SAMPLE_ROWS, replace=False)
    return rows.take(pa.array(np.sort(chosen)))
