"""The shadow gate on what a real server mirrored."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from tests.shop import FEATURES

from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.loop.shadow.gate import look_at_traffic, shadow

pytestmark = pytest.mark.server

PAIRS = 600
REQUEST_ROWS = 20


def answering(factor):
    """Three times the price; of kind `c` so many times that."""

    def predict(frame):
        return 3.0 * frame["price"] * np.where(frame["kind"] == "c", factor, 1.0)

    return SimpleNamespace(predict=predict)


def sold(rows, kinds, seed):
    """Columns of what was asked."""
    random = np.random.default_rng(seed)
    return {
        "price": random.uniform(0, 50, rows).round(2),
        "count": random.integers(0, 100, rows),
        "kind": random.choice(kinds, rows),
    }


@pytest.fixture
def policy(shop):
    """Its holdout is the last week, with labels, and knows the kinds `a` and `b` only."""
    now = datetime.now(UTC)
    asked = sold(2_000, ["a", "b"], seed=1)
    columns = {field.name: pa.array(asked[field.name], field.type) for field in FEATURES}
    times = [now - timedelta(days=6) * (row / 2_000) for row in range(1, 2_001)]
    label = pa.array(3.0 * asked["price"] + np.random.default_rng(2).normal(0, 1, 2_000))
    table = pa.table({"ts": pa.array(times, pa.timestamp("us", "UTC")), **columns, "paid": label})
    pq.write_table(table, shop.folder / "sold.parquet")
    return Policy.from_json(
        {
            "model": shop.model,
            "data": {"source": str(shop.folder / "sold.parquet"), "time_column": "ts", "label": "paid"},
            "monitor": {"predictions": str(shop.log)},
            "shadow": {"mode": "live", "min_pairs": PAIRS, "max_latency_ratio": {"p95": 50}},
        }
    )


def test_a_candidate_that_answers_wildly_in_a_region_fails_and_the_region_is_named(shop, policy):
    wild = shop.add(answering(10.0))
    now = datetime.now(UTC)
    assert look_at_traffic(shop.registry, policy, wild, now=now)[0].pairs == 0  # nothing was logged yet
    shop.promote(wild, "shadow")
    shop.wait_until(lambda: shop.version()["stages"]["shadow"] == wild, "the shadow")
    asked = sold(PAIRS, ["a"] * 9 + ["b"] * 9 + ["c"] * 2, seed=3)
    for start in range(0, PAIRS, REQUEST_ROWS):
        body = {"inputs": {name: column[start:][:REQUEST_ROWS].tolist() for name, column in asked.items()}}
        reply = requests.post(f"{shop.url}/invocations", json=body, timeout=30)
        answers = [one["prediction"] for one in reply.json()["predictions"]]
        assert answers == (3.0 * asked["price"])[start:][:REQUEST_ROWS].tolist()
    shop.wait_until(lambda: look_at_traffic(shop.registry, policy, wild, now=now)[1], "all pairs in the log")
    verdict = shadow(shop.registry, policy, wild, now=now, attempt=shop.attempt())
    assert verdict.verdict == "fail"
    (check,) = (one for one in verdict.checks if one.name == "slice_alarm")
    assert (check.verdict, check.slice) == ("fail", "kind=c")
    times = np.count_nonzero(asked["kind"] == "c")
    assert f"kind=c: {times} requests, none like them in the holdout" in verdict.reason
    (errors,) = (one for one in verdict.checks if one.name == "error_rate")
    assert errors.rows == PAIRS
